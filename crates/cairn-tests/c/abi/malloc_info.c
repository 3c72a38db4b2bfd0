/* Prints malloc_info's report after allocating 40 MB in small blocks and 30 MB in large ones, and malloc_stats' to
 * standard error. The test reads them. */
#include "check.h"

int main(void) {
    for (int i = 0; i < 40000; i++) memset(malloc(1000), 1, 1000);
    for (int i = 0; i < 30; i++) memset(malloc(1000000), 1, 1000000);
    CHECK(malloc_info(opaque(1), stdout) != 0, "malloc_info accepts options it can't know");
    CHECK(malloc_info(0, stdout) == 0, "malloc_info failed");
    fflush(stdout);
    malloc_stats();
    return 0;
}

/* mm_check on a heap that is whole, and on one with an overwritten header: it returns 0, says what and where, and goes on. */
#include "must.h"
#include <mm.h>

int main(void) {
    char *block = mm_malloc(100), *next = mm_malloc(100);
    MUST(block && next && mm_check() == 1 && mm_checkheap(77) == 1);
    uint64_t *header = (uint64_t *)next - 1, kept = *header;
    *header = 0x4141414141414141;
    dprintf(1, "%p %p\n", (void *)header, (void *)next);
    MUST(mm_check() == 0);
    MUST(mm_checkheap(77) == 0);
    *header = kept;
    MUST(mm_check() == 1);
    return 0;
}

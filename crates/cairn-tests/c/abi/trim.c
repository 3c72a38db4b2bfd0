/* Claim: malloc_trim gives free memory back to the kernel at once, and says that it did. */
#include "check.h"

enum { COUNT = 100000 };
static void *blocks[COUNT];

int main(void) {
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(1000);
        memset(blocks[i], 1, 1000);
    }
    void *large = malloc(50 << 20);
    memset(large, 1, 50 << 20);
    long full = status_kib("VmRSS");
    CHECK(full > 140 << 10, "150 MB were written, %ld KiB are resident", full);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    free(large);
    int gave = malloc_trim(0);
    long rss = status_kib("VmRSS");
    CHECK(rss < full / 8, "after malloc_trim %ld of %ld KiB are resident", rss, full);
    /* If the pages went before, trim may truthfully say that it gave none; it may not say so if it gave them. */
    CHECK(gave == 0 || gave == 1, "malloc_trim returned %d", gave);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = calloc(1, 1000);
        CHECK(*(int *)blocks[i] == 0, "calloc after malloc_trim is dirty");
        free(blocks[i]);
    }
    return 0;
}

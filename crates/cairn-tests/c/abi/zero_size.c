/* Claim: a block of no bytes is not NULL, differs from every other live block, and can be freed. */
#include "check.h"

enum { COUNT = 2000 };
static void *blocks[COUNT];

static int by_address(const void *a, const void *b) {
    uintptr_t x = (uintptr_t) * (void *const *)a, y = (uintptr_t) * (void *const *)b;
    return x < y ? -1 : x > y;
}

int main(void) {
    for (int i = 0; i < COUNT; i++) {
        void *aligned = NULL;
        switch (i % 6) {
        case 0: blocks[i] = malloc(opaque(0)); break;
        case 1: blocks[i] = calloc(opaque(0), 8); break;
        case 2: blocks[i] = calloc(8, opaque(0)); break;
        case 3: blocks[i] = realloc(NULL, opaque(0)); break;
        case 4: blocks[i] = aligned_alloc(64, opaque(0)); break;
        case 5:
            CHECK(posix_memalign(&aligned, 64, opaque(0)) == 0, "posix_memalign(64, 0) failed");
            blocks[i] = aligned;
            break;
        }
        CHECK(blocks[i] != NULL, "door %d gave NULL for no bytes", i % 6);
    }
    qsort(blocks, COUNT, sizeof *blocks, by_address);
    for (int i = 1; i < COUNT; i++) CHECK(blocks[i] != blocks[i - 1], "%p was given twice", blocks[i]);
    for (int i = 0; i < COUNT; i++) free(blocks[i]);
    free(NULL);
    return 0;
}

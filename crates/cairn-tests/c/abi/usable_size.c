/* Claim: malloc_usable_size is 0 for NULL and at least the size asked for, every byte of it may be written, and it
 * does not change; and it is at most a quarter and two pages above the size. */
#include "check.h"

int main(void) {
    CHECK(malloc_usable_size(NULL) == 0, "malloc_usable_size(NULL) is %zu", malloc_usable_size(NULL));
    enum { COUNT = 600 };
    static void *blocks[COUNT];
    static size_t sizes[COUNT];
    int n = 0;
    for (size_t size = 1; n < COUNT && size < 4u << 20; size += 1 + size / 40, n++) {
        blocks[n] = malloc(size);
        sizes[n] = malloc_usable_size(blocks[n]);
        CHECK(sizes[n] >= size, "malloc(%zu) has %zu usable bytes", size, sizes[n]);
        CHECK(sizes[n] <= size + size / 4 + 8192, "malloc(%zu) has %zu usable bytes", size, sizes[n]);
        fill(blocks[n], sizes[n], n);
    }
    for (int i = 0; i < n; i++) {
        CHECK(malloc_usable_size(blocks[i]) == sizes[i], "the usable size changed from %zu", sizes[i]);
        CHECK(differs(blocks[i], sizes[i], i) == sizes[i], "usable bytes of block %d overlap another block", i);
        /* realloc keeps usable bytes that were used. */
        blocks[i] = realloc(blocks[i], sizes[i] * 2);
        CHECK(differs(blocks[i], sizes[i], i) == sizes[i], "realloc dropped usable bytes of a block of %zu", sizes[i]);
        free(blocks[i]);
    }
    return 0;
}

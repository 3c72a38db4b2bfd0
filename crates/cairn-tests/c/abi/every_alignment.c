/* Claim: any power-of-two alignment may be asked for, with any size, and such blocks can be freed and resized. */
#include "check.h"

int main(void) {
    static void *kept[64][12];
    int row = 0;
    for (size_t align = 1; align <= ((size_t)64 << 20); align *= 2, row++) {
        int n = 0;
        static const size_t sizes[] = {0, 1, 8, 24, 100, 1000, 4096, 5000, 40000, 70000, 300000, 3000000};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            void *block = aligned_alloc(align, sizes[i]);
            CHECK(block && is_aligned(block, align), "aligned_alloc(%zu, %zu) gave %p", align, sizes[i], block);
            CHECK(malloc_usable_size(block) >= sizes[i], "%zu of %zu usable", malloc_usable_size(block), sizes[i]);
            fill(block, sizes[i], row * 16 + n);
            kept[row][n++] = block;
        }
        for (n = 0; n < 12; n++)
            CHECK(differs(kept[row][n], sizes[n], row * 16 + n) == sizes[n], "alignment %zu, size %zu: another block lies over it", align, sizes[n]);
        for (n = 0; n < 12; n += 2) free(kept[row][n]);
        /* realloc of an aligned block keeps the contents; it promises only the usual alignment. */
        for (n = 1; n < 12; n += 2) {
            void *grown = realloc(kept[row][n], sizes[n] * 2 + 5);
            CHECK(grown && is_aligned(grown, sizes[n] < 2 ? 8 : 16), "realloc of an aligned block gave %p", grown);
            CHECK(differs(grown, sizes[n], row * 16 + n) == sizes[n], "realloc lost contents, size %zu", sizes[n]);
            free(grown);
        }
    }
    /* One GiB: address space, not memory. */
    void *block = aligned_alloc((size_t)1 << 30, 1 << 20);
    CHECK(block && is_aligned(block, (size_t)1 << 30), "aligned_alloc(1 GiB, 1 MiB) gave %p", block);
    memset(block, 1, 1 << 20);
    free(block);
    long rss = status_kib("VmRSS");
    CHECK(rss < 300 << 10, "aligned blocks were freed, and %ld KiB stay resident", rss);
    return 0;
}

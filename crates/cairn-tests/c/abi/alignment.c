/* Claim: blocks of 16 bytes and more are aligned to 16, smaller ones to what their size can need; for every door that
 * takes only a size, at every size up to 20,000 and then in steps. */
#include "check.h"

static void check(const char *door, void *block, size_t size) {
    CHECK(block != NULL, "%s(%zu) gave NULL", door, size);
    size_t align = size > 8 ? 16 : 8;
    CHECK(is_aligned(block, align), "%s(%zu) gave %p", door, size, block);
    CHECK(malloc_usable_size(block) >= size, "%s(%zu) has %zu usable bytes", door, size, malloc_usable_size(block));
    memset(block, 0x5a, size);
}

int main(void) {
    for (size_t size = 1; size < (16u << 20); size += size < 20000 ? 1 : size / 7) {
        void *a = malloc(size);
        check("malloc", a, size);
        void *b = calloc(1, size);
        check("calloc", b, size);
        void *c = realloc(NULL, size);
        check("realloc", c, size);
        c = realloc(c, size + size / 2 + 1);
        check("realloc to one and a half", c, size + size / 2 + 1);
        free(a);
        free(b);
        free(c);
    }
    return 0;
}

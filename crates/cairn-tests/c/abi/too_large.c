/* Claim: sizes above PTRDIFF_MAX and products that overflow give NULL and ENOMEM, and harm nothing. */
#include "check.h"

static void refused(const char *door, size_t size, void *block) {
    CHECK(block == NULL, "%s(%zx) gave %p", door, size, block);
    CHECK(errno == ENOMEM, "%s(%zx) left errno at %d", door, size, errno);
    errno = 0;
}

int main(void) {
    const size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 15, SIZE_MAX - 4095, SIZE_MAX - 65536, SIZE_MAX / 2 + 100};
    errno = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = opaque(sizes[i]);
        refused("malloc", size, malloc(size));
        refused("calloc of one", size, calloc(1, size));
        refused("calloc of bytes", size, calloc(size, 1));
        refused("realloc of NULL", size, realloc(NULL, size));
        refused("aligned_alloc", size, aligned_alloc(64, size));
        refused("memalign", size, memalign(4096, size));
        refused("valloc", size, valloc(size));
        refused("pvalloc", size, pvalloc(size));
        void *block = malloc(100);
        fill(block, 100, 3);
        refused("realloc", size, realloc(block, size));
        refused("reallocarray", size, reallocarray(block, size, 1));
        CHECK(differs(block, 100, 3) == 100, "a refused realloc changed the block");
        free(block);
        void *out = (void *)0x1234;
        errno = 77;
        int code = posix_memalign(&out, 64, size);
        CHECK(code == ENOMEM, "posix_memalign(%zx) returned %d", size, code);
        CHECK(errno == 77, "posix_memalign touched errno: %d", errno);
        CHECK(out == (void *)0x1234, "posix_memalign changed its result to %p and failed", out);
        errno = 0;
    }
    /* Products. The last wraps to 16. */
    const size_t factors[][2] = {{SIZE_MAX, 2}, {SIZE_MAX / 2 + 1, 2}, {(size_t)1 << 32, (size_t)1 << 32}, {SIZE_MAX / 16 + 2, 16}};
    for (size_t i = 0; i < sizeof factors / sizeof *factors; i++) {
        size_t a = opaque(factors[i][0]), b = opaque(factors[i][1]);
        refused("calloc", a, calloc(a, b));
        refused("calloc", b, calloc(b, a));
        refused("reallocarray", a, reallocarray(NULL, a, b));
        void *block = malloc(40);
        refused("reallocarray", a, reallocarray(block, a, b));
        free(block);
    }
    /* A size no kernel has room for, below PTRDIFF_MAX. */
    refused("malloc", (size_t)1 << 62, malloc(opaque((size_t)1 << 62)));
    refused("calloc", (size_t)1 << 62, calloc(opaque((size_t)1 << 60), 4));
    refused("aligned_alloc", (size_t)1 << 62, aligned_alloc(opaque((size_t)1 << 62), 1));
    void *block = malloc(64);
    CHECK(block != NULL, "after all refusals malloc(64) fails");
    free(block);
    return 0;
}

/* Claim: posix_memalign, aligned_alloc, memalign, valloc and pvalloc align as told, and refuse what they must refuse
 * with the code that glibc 2.38 and later give. */
#include "check.h"

int main(void) {
    void *out = (void *)0x1234;
    static const size_t bad[] = {0, 1, 2, 3, 4, 7, 12, 24, 48, 96, 4097, 6144, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        errno = 77;
        int code = posix_memalign(&out, opaque(bad[i]), 64);
        CHECK(code == EINVAL, "posix_memalign with alignment %zu returned %d", bad[i], code);
        CHECK(errno == 77, "posix_memalign set errno to %d", errno);
        CHECK(out == (void *)0x1234, "posix_memalign failed and changed its result");
    }
    for (size_t align = sizeof(void *); align <= 65536; align *= 2) {
        for (size_t size = 1; size < 300000; size = size * 3 + 1) {
            errno = 77;
            CHECK(posix_memalign(&out, align, size) == 0, "posix_memalign(%zu, %zu)", align, size);
            CHECK(errno == 77, "posix_memalign set errno to %d", errno);
            CHECK(out && is_aligned(out, align), "posix_memalign(%zu, %zu) gave %p", align, size, out);
            CHECK(malloc_usable_size(out) >= size, "%zu of %zu usable", malloc_usable_size(out), size);
            memset(out, 0x77, size);
            free(out);
        }
    }
    static const size_t no_power[] = {0, 3, 12, 24, 48, 1000, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof no_power / sizeof *no_power; i++) {
        errno = 0;
        void *block = aligned_alloc(opaque(no_power[i]), 64);
        CHECK(block == NULL, "aligned_alloc(%zu, 64) gave %p", no_power[i], block);
        CHECK(errno == EINVAL, "aligned_alloc(%zu, 64) left errno at %d", no_power[i], errno);
    }
    for (size_t align = 1; align <= 65536; align *= 2) {
        /* The size need not be a multiple of the alignment. */
        void *a = aligned_alloc(align, 3 * align + 1), *b = memalign(align, 100);
        CHECK(a && is_aligned(a, align), "aligned_alloc(%zu) gave %p", align, a);
        CHECK(b && is_aligned(b, align), "memalign(%zu) gave %p", align, b);
        memset(a, 1, 3 * align + 1);
        memset(b, 1, 100);
        free(a);
        free(b);
    }
    /* memalign rounds an alignment up to the next power of two, or refuses it. */
    errno = 0;
    void *odd = memalign(opaque(48), 100);
    CHECK(odd ? is_aligned(odd, 64) : errno == EINVAL, "memalign(48) gave %p, errno %d", odd, errno);
    free(odd);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 4 * page; size += 1 + size / 3) {
        void *a = valloc(size), *b = pvalloc(size);
        CHECK(a && is_aligned(a, page), "valloc(%zu) gave %p", size, a);
        CHECK(b && is_aligned(b, page), "pvalloc(%zu) gave %p", size, b);
        size_t whole = (size + page - 1) / page * page;
        CHECK(malloc_usable_size(b) >= whole, "pvalloc(%zu): %zu usable", size, malloc_usable_size(b));
        memset(a, 1, size);
        memset(b, 1, whole);
        free(a);
        free(b);
    }
    return 0;
}

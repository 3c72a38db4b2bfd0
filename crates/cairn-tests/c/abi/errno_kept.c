/* Claim: free keeps errno, for small blocks and for large ones that go back to the kernel, and so does every
 * allocation that succeeds. */
#include "check.h"

#define KEEPS(call)                                                          \
    do {                                                                     \
        errno = 4711;                                                        \
        call;                                                                \
        CHECK(errno == 4711, "%s left errno at %d, size %zu", #call, errno, size); \
    } while (0)

int main(void) {
    static const size_t sizes[] = {1, 16, 24, 100, 1024, 5000, 20000, 70000, 300000, 1 << 20, 5 << 20, 33 << 20, 200 << 20};
    for (int round = 0; round < 30; round++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            size_t size = sizes[i];
            void *a, *b, *c, *d = NULL;
            KEEPS(a = malloc(size));
            CHECK(a != NULL, "malloc(%zu)", size);
            memset(a, 1, size < 100000 ? size : 100000);
            KEEPS(b = calloc(1, size));
            KEEPS(c = aligned_alloc(4096, size));
            KEEPS(if (posix_memalign(&d, 256, size)) _exit(3));
            KEEPS(a = realloc(a, size * 2));
            KEEPS(a = realloc(a, size / 2 + 1));
            CHECK(a && b && c && d, "an allocation of %zu failed", size);
            KEEPS(malloc_usable_size(a));
            KEEPS(free(a));
            KEEPS(free(b));
            KEEPS(free(c));
            KEEPS(free(d));
            KEEPS(free(NULL));
        }
    }
    /* Many, so that bins overflow and whole slabs go back. */
    static void *many[40000];
    size_t size = 200;
    for (int i = 0; i < 40000; i++) KEEPS(many[i] = malloc(size));
    for (int i = 0; i < 40000; i++) KEEPS(free(many[i]));
    KEEPS(malloc_trim(0));
    return 0;
}

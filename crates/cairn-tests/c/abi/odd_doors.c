/* Claim: the doors that few programs use work: cfree, malloc_trim, mallopt, free_sized, free_aligned_sized, and the
 * names with __libc_ and __posix_ in front. */
#include "check.h"

#define DOOR(type, name, args) type (*name) args = (type (*) args)dlsym(RTLD_DEFAULT, #name); CHECK(name != NULL, "%s is not exported", #name)

int main(void) {
    DOOR(void, cfree, (void *));
    DOOR(void, free_sized, (void *, size_t));
    DOOR(void, free_aligned_sized, (void *, size_t, size_t));
    DOOR(void *, __libc_malloc, (size_t));
    DOOR(void, __libc_free, (void *));
    DOOR(void *, __libc_calloc, (size_t, size_t));
    DOOR(void *, __libc_realloc, (void *, size_t));
    DOOR(void *, __libc_memalign, (size_t, size_t));
    DOOR(void *, __libc_valloc, (size_t));
    DOOR(void *, __libc_pvalloc, (size_t));
    DOOR(void, __libc_cfree, (void *));
    DOOR(int, __posix_memalign, (void **, size_t, size_t));
    for (size_t size = 1; size < 3u << 20; size = size * 2 + 1) {
        cfree(malloc(size));
        free_sized(malloc(size), size);
        free_sized(calloc(1, size), size);
        free_aligned_sized(aligned_alloc(128, size), 128, size);
        /* The aliases and the plain names share one heap. */
        char *block = __libc_malloc(size);
        CHECK(block != NULL, "__libc_malloc(%zu)", size);
        fill(block, size, 1);
        block = realloc(block, size * 2);
        CHECK(differs(block, size, 1) == size, "realloc of __libc_malloc's block lost contents");
        __libc_free(block);
        block = malloc(size);
        fill(block, size, 2);
        block = __libc_realloc(block, size * 3);
        CHECK(differs(block, size, 2) == size, "__libc_realloc lost contents");
        free(block);
        block = __libc_calloc(size, 1);
        CHECK(block[0] == 0 && block[size - 1] == 0, "__libc_calloc is dirty");
        __libc_cfree(block);
        block = __libc_memalign(512, size);
        CHECK(block && is_aligned(block, 512), "__libc_memalign gave %p", block);
        free(block);
        free(__libc_valloc(size));
        free(__libc_pvalloc(size));
        void *out = NULL;
        CHECK(__posix_memalign(&out, 64, size) == 0 && is_aligned(out, 64), "__posix_memalign gave %p", out);
        free(out);
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    cfree(NULL);
    int trimmed = malloc_trim(0);
    CHECK(trimmed == 0 || trimmed == 1, "malloc_trim returned %d", trimmed);
    int accepted = mallopt(M_MMAP_THRESHOLD, 1 << 20);
    CHECK(accepted == 0 || accepted == 1, "mallopt returned %d", accepted);
    CHECK(malloc(100) != NULL, "malloc after mallopt");
    return 0;
}

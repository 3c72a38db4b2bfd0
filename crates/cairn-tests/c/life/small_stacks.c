/* Claim: threads with the least stack that pthread allows (16 KiB) can use every door, on the slow paths too. */
#include "check.h"
#include <limits.h>
#include <pthread.h>

static void *body(void *seed) {
    uint64_t state = (uintptr_t)seed + 11;
    void *blocks[100] = {0};
    for (int i = 0; i < 2000; i++) {
        int at = next_random(&state) % 100;
        free(blocks[at]);
        size_t size = next_random(&state) % ((size_t)1 << (next_random(&state) % 21 + 1));
        blocks[at] = i % 7 ? malloc(size) : i % 2 ? calloc(1, size) : aligned_alloc(4096, size);
        CHECK(blocks[at] != NULL, "an allocation of %zu", size);
        if (i % 5 == 0) blocks[at] = realloc(blocks[at], size * 2 + 1);
    }
    for (int i = 0; i < 100; i++) free(blocks[i]);
    malloc_trim(0);
    mallinfo2();
    return NULL;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    size_t least = PTHREAD_STACK_MIN > 16384 ? PTHREAD_STACK_MIN : 16384;
    CHECK(pthread_attr_setstacksize(&attributes, least) == 0, "a stack of %zu bytes", least);
    for (int round = 0; round < 10; round++) {
        pthread_t threads[16];
        for (int i = 0; i < 16; i++) CHECK(pthread_create(&threads[i], &attributes, body, (void *)(uintptr_t)i) == 0, "pthread_create");
        for (int i = 0; i < 16; i++) pthread_join(threads[i], NULL);
    }
    return 0;
}

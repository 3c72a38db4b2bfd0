/* Claim: the allocator itself can be loaded by dlopen into a running program (it needs little static TLS), serves
 * several threads beside the program's own malloc, and dlclose does no harm to threads that used it and end later.
 * Its path is the first argument. */
#include "check.h"
#include <pthread.h>

static void *(*their_malloc)(size_t);
static void (*their_free)(void *);
static pthread_barrier_t used, closed;

static void *use(void *seed) {
    uint64_t state = (uintptr_t)seed + 3;
    for (int i = 0; i < 3000; i++) {
        size_t size = next_random(&state) % 4000;
        void *block = their_malloc(size);
        CHECK(block != NULL, "their malloc(%zu)", size);
        fill(block, size, i);
        free(malloc(size));
        CHECK(differs(block, size, i) == size, "a block of %zu changed", size);
        their_free(block);
    }
    pthread_barrier_wait(&used);
    pthread_barrier_wait(&closed);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: dlopen_cairn PATH");
    for (int round = 0; round < 5; round++) {
        void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        CHECK(library != NULL, "%s", dlerror());
        their_malloc = (void *(*)(size_t))dlsym(library, "malloc");
        their_free = (void (*)(void *))dlsym(library, "free");
        CHECK((void *)their_malloc != (void *)malloc, "malloc was this library's before dlopen");
        pthread_barrier_init(&used, NULL, 7);
        pthread_barrier_init(&closed, NULL, 7);
        pthread_t threads[6];
        for (int i = 0; i < 6; i++) CHECK(pthread_create(&threads[i], NULL, use, (void *)(uintptr_t)i) == 0, "pthread_create");
        pthread_barrier_wait(&used);
        CHECK(dlclose(library) == 0, "%s", dlerror());
        pthread_barrier_wait(&closed);
        for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&used);
        pthread_barrier_destroy(&closed);
    }
    return 0;
}

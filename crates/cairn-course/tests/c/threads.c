/* All three heaps, by several threads at once. */
#include "must.h"
#include <dmm.h>
#include <hmm.h>
#include <mm.h>
#include <pthread.h>

/* The C library's malloc, which pthread_create calls, moves the break without asking: threads begin when all are made. */
static pthread_barrier_t made;

static void *work(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument, id = seed;
    struct {
        unsigned char *at;
        size_t size;
    } slots[3][20] = {0};
    pthread_barrier_wait(&made);
    for (int turn = 0; turn < 20000; turn++) {
        seed = seed * 1664525 + 1013904223;
        unsigned family = seed >> 8 & 3, slot = (seed >> 16) % 20;
        if (family == 3) continue;
        unsigned char *at = slots[family][slot].at;
        if (at) {
            for (size_t i = 0; i < slots[family][slot].size; i++) MUST(at[i] == id);
            if (family == 0) mm_free(at);
            else if (family == 1) dfree(at);
            else HmmFree(at);
            slots[family][slot].at = NULL;
        } else {
            size_t size = (seed >> 20) % 1000;
            at = family == 0 ? mm_malloc(size) : family == 1 ? dmalloc(size) : HmmAlloc(size);
            MUST(at);
            memset(at, (int)id, size);
            slots[family][slot].at = at;
            slots[family][slot].size = size;
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[4];
    MUST(pthread_barrier_init(&made, NULL, 4) == 0);
    for (uintptr_t i = 0; i < 4; i++) MUST(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
    for (int i = 0; i < 4; i++) MUST(pthread_join(threads[i], NULL) == 0);
    MUST(mm_check() == 1);
    return 0;
}

/* Claim: 2,000 threads that come and go, 50 at a time, strand nothing: after 2,000 as many pages are resident as
 * after 500. Every thread leaves some blocks to the next generation, which frees them. */
#include "check.h"
#include <pthread.h>

enum { AT_ONCE = 50, LEFT = 20 };
static void *left[2][AT_ONCE][LEFT];
static int generation;
/* All threads of a generation hold all their blocks at one moment: otherwise the peak would be up to the scheduler. */
static pthread_barrier_t all_hold;

static void *body(void *number) {
    size_t me = (uintptr_t)number;
    uint64_t state = me + 1000 * generation + 1;
    void *blocks[300];
    for (int i = 0; i < 300; i++) {
        size_t size = 1 + next_random(&state) % (i % 30 ? 1500 : 60000);
        blocks[i] = malloc(size);
        CHECK(blocks[i] != NULL, "malloc(%zu)", size);
        memset(blocks[i], 1, size);
    }
    pthread_barrier_wait(&all_hold);
    for (int i = LEFT; i < 300; i++) free(blocks[i]);
    for (int i = 0; i < LEFT; i++) {
        free(left[generation & 1][(me + 7) % AT_ONCE][i]);
        left[generation & 1][(me + 7) % AT_ONCE][i] = NULL;
        left[~generation & 1][me][i] = blocks[i];
    }
    return NULL;
}

static void generations(int count) {
    for (; count > 0; count--, generation++) {
        pthread_t threads[AT_ONCE];
        for (size_t i = 0; i < AT_ONCE; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0, "pthread_create");
        for (int i = 0; i < AT_ONCE; i++) pthread_join(threads[i], NULL);
    }
}

int main(void) {
    CHECK(pthread_barrier_init(&all_hold, NULL, AT_ONCE) == 0, "pthread_barrier_init");
    generations(10);
    long early = status_kib("VmRSS");
    generations(30);
    long late = status_kib("VmRSS");
    CHECK(late < early + early / 10 + 1024, "%ld KiB after 500 threads, %ld after 2,000", early, late);
    return 0;
}

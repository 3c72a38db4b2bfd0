/* Claim: any number of threads may be born and die, each of them freeing what others made and leaving blocks to those that
 * come later; memory stays flat.
 *
 * The argument: how many threads. Prints the resident memory early and late. */
#include "table.h"
#include <pthread.h>

enum { MOTHERS = 16, MADE = 30 };

static atomic_int born;
static int wanted;

static void *short_life(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    struct block *blocks[MADE];
    for (int i = 0; i < MADE; i++) blocks[i] = make(&state, i ? 1500 : 50000);
    for (int i = 0; i < MADE; i++) {
        if (i % 3) drop(blocks[i]);
        else drop(atomic_exchange(&table[next_random(&state) % TABLE], blocks[i]));
    }
    return NULL;
}

static void *bear(void *until) {
    for (int number; (number = atomic_fetch_add(&born, 1)) < (int)(uintptr_t)until;) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_life, (void *)(uintptr_t)number) == 0, "pthread_create, number %d: %d", number, errno);
        /* Some are waited for, others end on their own. */
        if (number % 4) CHECK(pthread_join(thread, NULL) == 0, "pthread_join");
        else CHECK(pthread_detach(thread) == 0, "pthread_detach");
    }
    return NULL;
}

static void bear_until(int count) {
    pthread_t mothers[MOTHERS];
    for (int i = 0; i < MOTHERS; i++) CHECK(pthread_create(&mothers[i], NULL, bear, (void *)(uintptr_t)count) == 0, "pthread_create");
    for (int i = 0; i < MOTHERS; i++) pthread_join(mothers[i], NULL);
    atomic_store(&born, count);
    usleep(100000); /* the detached ones end */
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: %s THREADS", argv[0]);
    wanted = atoi(argv[1]);
    bear_until(wanted / 5);
    long early = status_kib("VmRSS");
    bear_until(wanted);
    long late = status_kib("VmRSS");
    AUDIT("after the last thread");
    drop_table();
    struct mallinfo2 info = mallinfo2();
    printf("%d threads: %ld KiB resident after a fifth of them, %ld after all; %zu bytes in use at the end\n", wanted, early, late, info.uordblks + info.hblkhd);
    CHECK(keeps_what_was_freed() || late < early + early / 4 + 2048, "%ld KiB after %d threads, %ld after %d", early, wanted / 5, late, wanted);
    CHECK(info.uordblks + info.hblkhd < 1u << 20, "%zu and %zu bytes in use", info.uordblks, info.hblkhd);
    return 0;
}

/* Threads that wait: 16 chains of 40 threads, all 640 alive at the end. Each thread replaces its chain's 3,000 blocks
 * four times over, starts the next thread of the chain and waits for it. Some 25 MB are live in all.
 * Prints the live bytes and the peak resident set of the whole process, stacks and all, in bytes. */
#include "check.h"
#include <pthread.h>

enum { CHAINS = 16, LENGTH = 40, BLOCKS = 3000 };
static struct chain {
    void *blocks[BLOCKS];
    size_t sizes[BLOCKS];
    uint64_t state;
    int threads;
} chains[CHAINS];
static pthread_barrier_t all_wait;

static void *body(void *argument) {
    struct chain *chain = argument;
    for (int round = 0; round < 4; round++)
        for (int i = 0; i < BLOCKS; i++) {
            CHECK(differs(chain->blocks[i], chain->sizes[i], i) == chain->sizes[i], "block %d changed", i);
            free(chain->blocks[i]);
            chain->sizes[i] = 16 + next_random(&chain->state) % 1010;
            chain->blocks[i] = malloc(chain->sizes[i]);
            CHECK(chain->blocks[i] != NULL, "malloc(%zu)", chain->sizes[i]);
            fill(chain->blocks[i], chain->sizes[i], i);
        }
    if (++chain->threads == LENGTH) {
        pthread_barrier_wait(&all_wait); /* All 640 are alive now. */
        pthread_barrier_wait(&all_wait);
        return NULL;
    }
    pthread_t next;
    CHECK(pthread_create(&next, NULL, body, chain) == 0, "pthread_create: thread %d of a chain", chain->threads);
    pthread_join(next, NULL);
    return NULL;
}

int main(void) {
    pthread_barrier_init(&all_wait, NULL, CHAINS + 1);
    pthread_t first[CHAINS];
    for (int i = 0; i < CHAINS; i++) {
        chains[i].state = 1234567 + i;
        CHECK(pthread_create(&first[i], NULL, body, &chains[i]) == 0, "pthread_create");
    }
    pthread_barrier_wait(&all_wait);
    size_t live = 0;
    for (int i = 0; i < CHAINS; i++)
        for (int j = 0; j < BLOCKS; j++) live += chains[i].sizes[j];
    printf("%zu %ld\n", live, status_kib("VmHWM") * 1024);
    pthread_barrier_wait(&all_wait);
    for (int i = 0; i < CHAINS; i++) pthread_join(first[i], NULL);
    return 0;
}

/* Claim: a thread that allocates for the first time when its end is nearly over, in the last round of the destructors of
 * its thread-specific data, leaves nothing behind that the next such thread doesn't use.
 *
 * The argument: how many threads. */
#include "check.h"
#include <limits.h>
#include <pthread.h>

static pthread_key_t key;

static void destroy(void *round) {
    size_t number = (size_t)round;
    if (number < PTHREAD_DESTRUCTOR_ITERATIONS) {
        pthread_setspecific(key, (void *)(number + 1));
        return;
    }
    void *blocks[200];
    for (size_t i = 0; i < 200; i++) {
        blocks[i] = malloc(i * 20 + 1);
        CHECK(blocks[i] != NULL, "malloc in the last round");
        memset(blocks[i], 7, i * 20 + 1);
    }
    for (size_t i = 0; i < 200; i++) free(blocks[i]);
}

static void *body(void *unused) {
    CHECK(pthread_setspecific(key, (void *)1) == 0, "pthread_setspecific");
    return unused;
}

static void threads(int count) {
    enum { AT_ONCE = 10 };
    for (int i = 0; i < count; i += AT_ONCE) {
        pthread_t made[AT_ONCE];
        for (int j = 0; j < AT_ONCE; j++) CHECK(pthread_create(&made[j], NULL, body, NULL) == 0, "pthread_create");
        for (int j = 0; j < AT_ONCE; j++) CHECK(pthread_join(made[j], NULL) == 0, "pthread_join");
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: %s THREADS", argv[0]);
    int count = atoi(argv[1]);
    free(malloc(100)); /* the allocator's own key comes first, so that in each round its turn is over when ours comes */
    CHECK(pthread_key_create(&key, destroy) == 0, "pthread_key_create");
    threads(count / 10);
    long early = status_kib("VmRSS");
    threads(count);
    long late = status_kib("VmRSS");
    AUDIT("after the last thread");
    printf("%ld KiB resident after %d threads, %ld after %d\n", early, count / 10, late, count + count / 10);
    CHECK(keeps_what_was_freed() || late < early + early / 4 + 2048, "%ld KiB after %d threads, %ld after %d", early, count / 10, late, count + count / 10);
    return 0;
}

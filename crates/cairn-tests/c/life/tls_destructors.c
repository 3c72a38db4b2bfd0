/* Claim: destructors of thread-specific data may allocate and free, in every round that pthread grants them, before
 * and after the allocator's own destructor; nothing is lost by it. */
#include "check.h"
#include <limits.h>
#include <pthread.h>

enum { KEYS = 40 };
static pthread_key_t keys[KEYS];
static int calls;

static void destroy(void *value) {
    size_t *block = value;
    size_t round = block[0], key = block[1];
    CHECK(differs(block + 2, 200, 5) == 200, "key %zu, round %zu: the value changed", key, round);
    free(block);
    __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
    for (size_t i = 0; i < 300; i++) {
        void *other = malloc(i * 9 + 1);
        CHECK(other != NULL, "malloc in a destructor");
        other = realloc(other, i * 20 + 1);
        free(other);
    }
    free(calloc(1, 200000));
    if (round < PTHREAD_DESTRUCTOR_ITERATIONS) {
        size_t *again = malloc(216);
        again[0] = round + 1;
        again[1] = key;
        fill(again + 2, 200, 5);
        pthread_setspecific(keys[key], round + 1 == PTHREAD_DESTRUCTOR_ITERATIONS ? (free(again), NULL) : again);
    }
}

static void *body(void *unused) {
    for (size_t key = 0; key < KEYS; key++) {
        size_t *block = malloc(216);
        block[0] = 1;
        block[1] = key;
        fill(block + 2, 200, 5);
        CHECK(pthread_setspecific(keys[key], block) == 0, "pthread_setspecific");
    }
    return unused;
}

static void threads(int count) {
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, body, NULL) == 0, "pthread_create");
        CHECK(pthread_join(thread, NULL) == 0, "pthread_join");
    }
}

int main(void) {
    for (int i = 0; i < KEYS; i++) CHECK(pthread_key_create(&keys[i], destroy) == 0, "pthread_key_create");
    threads(50);
    CHECK(calls >= 50 * KEYS * 2, "only %d destructors ran", calls);
    long early = status_kib("VmRSS");
    threads(400);
    long late = status_kib("VmRSS");
    CHECK(late < early + 1024, "%ld KiB after 50 threads, %ld after 450", early, late);
    return 0;
}

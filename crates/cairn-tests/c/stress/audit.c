/* Claim: an audit never cries wolf. Sixteen threads allocate, resize, pass on and free at random, some are born and end, all of it
 * while two others look at the whole heap again and again, and the process forks: the children look too, alone.
 * Arguments: seconds; "large" if most blocks shall have some hundred bytes to some hundred KiB, and be resized again and again. */
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS = 16, SLOTS = 3000 };
static void *_Atomic slots[SLOTS];
static _Atomic int stop;
static int large, used_slots = SLOTS;
static _Atomic unsigned long audits, operations;

static size_t some_size(uint64_t *state) {
    uint64_t number = next_random(state), kind = number % 1000;
    number >>= 10;
    if (large) {
        if (kind < 400) return number % 300;
        if (kind < 850) return number % (32 << 10);
        return number % (kind < 970 ? 200000 : 1 << 20);
    }
    if (kind < 800) return number % 300;
    if (kind < 970) return number % 8192;
    if (kind < 997) return number % 100000;
    return number % (3 << 20);
}

static void once(uint64_t *state) {
    void *_Atomic *slot = &slots[next_random(state) % used_slots];
    void *block = NULL;
    /* Of 8: calloc, aligned_alloc, realloc (two), nothing, malloc (three). What is resized has bytes that nobody wrote. */
    uint64_t what = next_random(state) % 8;
    if (large && what >= 4 && what < 7) what = 2;
    switch (what) {
    case 0: block = calloc(1, some_size(state) + 1); break;
    case 1: block = aligned_alloc(1ul << (next_random(state) % 14), some_size(state) + 1); break;
    case 2:
    case 3: block = realloc(__atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL), some_size(state) + 1); break;
    case 4: break;
    default: block = malloc(some_size(state) + 1);
    }
    if (block) memset(block, 1, 1);
    free(__atomic_exchange_n(slot, block, __ATOMIC_ACQ_REL));
}

static void *life(void *seed) {
    uint64_t state = (uintptr_t)seed * 0x9e3779b97f4a7c15u | 1;
    int short_lived = (uintptr_t)seed > 100;
    while (!stop) {
        for (int i = 0; i < 300; i++) once(&state);
        __atomic_add_fetch(&operations, 300, __ATOMIC_RELAXED);
        if (short_lived) break;
        if ((uintptr_t)seed == 15 && next_random(&state) % 64 == 0) malloc_trim(0);
    }
    return NULL;
}

/* Two blocks that go to and fro between two threads as fast as they can: what looks most like one block in two bins. */
static void *_Atomic ball[2];
static void *ping_pong(void *side) {
    int mine = (int)(uintptr_t)side;
    while (!stop) {
        void *block = malloc(40);
        free(__atomic_exchange_n(&ball[mine], block, __ATOMIC_ACQ_REL));
        free(__atomic_exchange_n(&ball[!mine], NULL, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

static void *births(void *unused) {
    for (uintptr_t i = 101; !stop; i += 3) {
        pthread_t child[3];
        for (int j = 0; j < 3; j++) CHECK(pthread_create(&child[j], NULL, life, (void *)(i + j)) == 0, "pthread_create");
        for (int j = 0; j < 3; j++) pthread_join(child[j], NULL);
    }
    return unused;
}

static void *look(void *unused) {
    while (!stop) {
        expect_whole_heap();
        audits++;
        if (audits % 16 == 0) sched_yield();
    }
    return unused;
}

int main(int argc, char **argv) {
    CHECK(argc == 2 || argc == 3, "usage: audit SECONDS [large]");
    large = argc == 3;
    if (large) used_slots = SLOTS / 10;
    CHECK(cairn_check != NULL, "malloc is not Cairn's%s", "");
    pthread_t threads[THREADS + 5];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, life, (void *)i) == 0, "pthread_create");
    for (uintptr_t i = 0; i < 2; i++) CHECK(pthread_create(&threads[THREADS + i], NULL, ping_pong, (void *)i) == 0, "pthread_create");
    CHECK(pthread_create(&threads[THREADS + 2], NULL, births, NULL) == 0, "pthread_create");
    for (uintptr_t i = 3; i < 5; i++) CHECK(pthread_create(&threads[THREADS + i], NULL, look, NULL) == 0, "pthread_create");
    time_t end = time(NULL) + atol(argv[1]);
    int forks = 0;
    while (time(NULL) < end) {
        uint64_t state = 12345 + forks;
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) {
            alarm(300);
            expect_whole_heap();
            for (int i = 0; i < 2000; i++) once(&state);
            expect_whole_heap();
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        CHECK(status == 0, "a child ended with %#x", status);
        forks++;
        for (int i = 0; i < 500; i++) once(&state);
    }
    stop = 1;
    for (int i = 0; i < THREADS + 5; i++) pthread_join(threads[i], NULL);
    expect_whole_heap();
    for (int i = 0; i < SLOTS; i++) free(slots[i]);
    free(ball[0]);
    free(ball[1]);
    expect_whole_heap();
    malloc_trim(0);
    expect_whole_heap();
    printf("%lu audits, %lu operations, %d forks\n", audits, operations, forks);
    CHECK(audits > 20 && operations > 1000 && forks > 0, "only %lu audits", (unsigned long)audits);
    return 0;
}

/* Claim: malloc and its kin are no points where a thread can be cancelled: with a cancellation pending, every one of them does its
 * work and returns. What a cancelled thread's cleanup handlers and destructors free and allocate is right, and nothing is
 * lost. A thread that may be cancelled at any instruction (asynchronously) is safe as long as it doesn't allocate in that time.
 *
 * The argument: how many threads are cancelled in each way. */
#include "table.h"
#include <pthread.h>

enum { OWN = 50 };

struct life {
    struct block *blocks[OWN];
    atomic_int ready, passed;
    uint64_t state;
};

static void clean_up(void *of) {
    struct life *life = of;
    struct block *made[OWN];
    for (int i = 0; i < OWN; i++) made[i] = make(&life->state, 3000);
    for (int i = 0; i < OWN; i++) drop(life->blocks[i]), drop(made[i]), life->blocks[i] = NULL;
}

/* Every door, through fast and slow paths. malloc_info is left out: it writes to a stream of the C library, by functions
 * that are such points. (malloc_stats: abi/cancelled_reports.c.) */
static void every_door(struct life *life) {
    for (int i = 0; i < 2000; i++) {
        int place = (int)(next_random(&life->state) % OWN);
        drop(life->blocks[place]);
        life->blocks[place] = make(&life->state, i % 100 ? 3000 : 300000);
        void *block = calloc(1, next_random(&life->state) % 70000);
        block = realloc(block, next_random(&life->state) % 300000 + 1);
        CHECK(block != NULL && malloc_usable_size(block) > 0, "realloc with a cancellation pending");
        free(block);
        CHECK(posix_memalign(&block, 4096, 5000) == 0, "posix_memalign with a cancellation pending");
        free(block);
        free(aligned_alloc(64, 640));
        free(reallocarray(NULL, 10, 10));
    }
    /* Enough for huge pages to come into play. */
    enum { MANY = 2500 };
    void **many = malloc(MANY * sizeof *many);
    for (int i = 0; i < MANY; i++) many[i] = malloc(30000);
    for (int i = 0; i < MANY; i++) free(many[i]);
    free(many);
    free(malloc(40 << 20));
    malloc_trim(0);
    (void)mallinfo2();
}

static void *pending(void *of) {
    struct life *life = of;
    pthread_cleanup_push(clean_up, life);
    CHECK(pthread_cancel(pthread_self()) == 0, "pthread_cancel");
    every_door(life);
    atomic_store(&life->passed, 1);
    pthread_testcancel();
    CHECK(0, "a pending cancellation was forgotten%s", "");
    pthread_cleanup_pop(0);
    return NULL;
}

static void *deferred(void *of) {
    struct life *life = of;
    pthread_cleanup_push(clean_up, life);
    atomic_store(&life->ready, 1);
    for (;;) {
        for (int i = 0; i < 100; i++) {
            int place = (int)(next_random(&life->state) % OWN);
            drop(life->blocks[place]);
            life->blocks[place] = make(&life->state, 3000);
        }
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void *asynchronous(void *of) {
    struct life *life = of;
    int before;
    pthread_cleanup_push(clean_up, life);
    for (int i = 0; i < OWN; i++) life->blocks[i] = make(&life->state, 3000);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    atomic_store(&life->ready, 1);
    for (volatile unsigned turns = 0;;) turns = turns + 1;
    pthread_cleanup_pop(0);
    return NULL;
}

static void run(void *(*body)(void *), int count, int pause) {
    enum { AT_ONCE = 4 };
    for (int i = 0; i < count; i += AT_ONCE) {
        static struct life lives[AT_ONCE];
        pthread_t threads[AT_ONCE];
        for (int j = 0; j < AT_ONCE; j++) {
            memset(&lives[j], 0, sizeof lives[j]);
            lives[j].state = (uint64_t)(i + j) * 77 + 3;
            CHECK(pthread_create(&threads[j], NULL, body, &lives[j]) == 0, "pthread_create");
        }
        for (int j = 0; j < AT_ONCE; j++) {
            if (body != pending) {
                while (!atomic_load(&lives[j].ready)) sched_yield();
                if (pause) usleep((unsigned)(i * 37 % pause));
                CHECK(pthread_cancel(threads[j]) == 0, "pthread_cancel");
            }
            void *result;
            CHECK(pthread_join(threads[j], &result) == 0, "pthread_join");
            CHECK(result == PTHREAD_CANCELED, "thread %d ended otherwise", i + j);
            CHECK(body != pending || atomic_load(&lives[j].passed), "thread %d was cancelled inside malloc", i + j);
        }
    }
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: %s THREADS", argv[0]);
    int count = atoi(argv[1]);
    run(pending, 16, 0);
    run(deferred, count / 5, 300);
    run(asynchronous, count / 5, 30);
    long early = status_kib("VmRSS");
    run(deferred, count, 300);
    run(asynchronous, count, 30);
    AUDIT("after the last thread");
    long late = status_kib("VmRSS");
    struct mallinfo2 info = mallinfo2();
    printf("%ld KiB resident, then %ld; %zu bytes in use\n", early, late, info.uordblks + info.hblkhd);
    CHECK(keeps_what_was_freed() || late < early + 4096, "%ld KiB resident after a fifth, %ld at the end", early, late);
    CHECK(info.uordblks + info.hblkhd < 1u << 20, "%zu and %zu bytes in use", info.uordblks, info.hblkhd);
    return 0;
}

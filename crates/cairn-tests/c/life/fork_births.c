/* Claim: a process may fork while its other threads are born, die, and miss: bins that grow, shrink and are handed over
 * at the very instant of the fork leave a child that can allocate, free what its dead siblings had made, tell how
 * much it holds, and exit; not once in thousands of forks does it crash or hang.
 *
 * The argument: for how many seconds. */
#include "check.h"
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <time.h>

enum { MAKERS = 4, BURST = 200, SHELF = 256, FORKS_MAX = 5000, FORKS_MIN = 100 };

struct block {
    size_t size;
    unsigned seed;
    unsigned char bytes[];
};

static atomic_int stop;
/* Blocks that any thread, and any child, may take: whoever exchanges one out owns it. */
static _Atomic(struct block *) shelf[SHELF];

static struct block *make(uint64_t *state) {
    size_t size = 8 + next_random(state) % 3000;
    struct block *block = malloc(sizeof *block + size);
    CHECK(block != NULL, "malloc(%zu)", size);
    block->size = size;
    block->seed = (unsigned)next_random(state);
    fill(block->bytes, size, block->seed);
    return block;
}

static void drop(struct block *block) {
    if (!block) return;
    CHECK(differs(block->bytes, block->size, block->seed) == block->size, "a block of %zu changed", block->size);
    free(block);
}

/* A thread's whole life: bins grow from nothing, are emptied, and go when it ends. */
static void *burst(void *seed) {
    uint64_t state = (uintptr_t)seed | 1;
    void *blocks[BURST];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < BURST; i++) {
            blocks[i] = malloc(8 + next_random(&state) % 3000);
            CHECK(blocks[i] != NULL, "malloc in a thread");
        }
        for (int i = 0; i < 16; i++) drop(atomic_exchange(&shelf[next_random(&state) % SHELF], make(&state)));
        for (int i = 0; i < BURST; i++) free(blocks[i]);
    }
    return NULL;
}

static void *give_birth(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    while (!atomic_load(&stop)) {
        pthread_t thread;
        void *its_seed = (void *)(uintptr_t)next_random(&state);
        if (pthread_create(&thread, NULL, burst, its_seed) == 0) pthread_join(thread, NULL);
    }
    return NULL;
}

static void child_life(int number) {
    alarm(120);
    for (int i = number % 4; i < SHELF; i += 4) drop(atomic_exchange(&shelf[i], NULL));
    void *blocks[100];
    for (int i = 0; i < 100; i++) {
        blocks[i] = malloc(i * 50 + 8);
        CHECK(blocks[i] != NULL, "malloc(%d) in the child", i * 50 + 8);
        fill(blocks[i], i * 50 + 8, i);
    }
    for (int i = 0; i < 100; i++) {
        CHECK(differs(blocks[i], i * 50 + 8, i) == (size_t)i * 50 + 8, "a block of the child changed");
        free(blocks[i]);
    }
    free(calloc(1, 100000));
    struct mallinfo2 info = mallinfo2();
    CHECK(info.uordblks + info.hblkhd < 256u << 20, "the child holds a few MB; mallinfo2 says %zu and %zu", info.uordblks, info.hblkhd);
    if (number % 2) exit(0); /* with what runs at exit */
    _exit(0);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    double end = now() + (argc > 1 ? atof(argv[1]) : 4);
    pthread_t makers[MAKERS];
    for (int i = 0; i < MAKERS; i++) CHECK(pthread_create(&makers[i], NULL, give_birth, (void *)(uintptr_t)(i + 1)) == 0, "pthread_create");
    int forks = 0, crashed = 0, hung = 0, last = 0;
    while (forks < FORKS_MAX && (now() < end || forks < FORKS_MIN)) {
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) child_life(forks);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child, "waitpid: %d", errno);
        forks++;
        if (status == 0) continue;
        last = status;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) hung++;
        else crashed++;
        if (hung == 2) break; /* each costs its two minutes */
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < MAKERS; i++) pthread_join(makers[i], NULL);
    CHECK(crashed + hung == 0, "of %d children %d crashed or failed and %d hung; the last such status is %#x", forks, crashed, hung, last);
    return 0;
}

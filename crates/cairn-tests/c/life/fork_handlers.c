/* Claim: the program's own handlers of fork (pthread_atfork) may allocate and free, before and after the fork, in parent and child;
 * also those that were registered before the program's first thread allocated, and while other threads allocate and fork.
 *
 * The argument: how many forks. */
#include "table.h"
#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 4 };
static atomic_int stop;
static void *made;

static void before(void) {
    void *block = malloc(300);
    CHECK(block != NULL, "malloc before a fork");
    fill(block, 300, 1);
    free(malloc(100000));
    made = block;
}

static void after(void) {
    CHECK(differs(made, 300, 1) == 300, "the block of the handler changed");
    free(made);
    for (int i = 0; i < 300; i++) free(malloc((size_t)i * 30));
}

__attribute__((constructor(101))) static void early(void) {
    CHECK(pthread_atfork(before, after, after) == 0, "pthread_atfork");
}

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    while (!atomic_load(&stop)) renew(&state, 3000);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: %s FORKS", argv[0]);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0, "pthread_create");
    for (int i = atoi(argv[1]); i > 0; i--) {
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) {
            alarm(120);
            drop_table();
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "a child ended with %#x", status);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return 0;
}

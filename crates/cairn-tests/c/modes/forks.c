// Claim: while other threads allocate and free, a process may fork, and the child may free its parent's blocks, allocate, start a
// thread, and fork again.
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 4, FORKS = 25, SHARED = 60 };
static volatile int stop;
static char *shared[SHARED];

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    char *blocks[50] = {0};
    while (!stop) {
        int at = next_random(&state) % 50;
        free(blocks[at]);
        size_t size = next_random(&state) % (at == 0 ? 100000 : 2000);
        blocks[at] = malloc(size);
        CHECK(blocks[at] != NULL, "malloc(%zu)", size);
        memset(blocks[at], at, size);
    }
    for (int i = 0; i < 50; i++) free(blocks[i]);
    return NULL;
}

static void *one_block(void *unused) {
    free(malloc(100));
    return unused;
}

static void child_life(int depth) {
    alarm(120);
    for (int i = depth; i < SHARED; i += 2) {
        CHECK(shared[i][i] == (char)i, "a block of the parent changed");
        free(shared[i]);
        shared[i] = calloc(1, i + 1);
        shared[i][i] = (char)i;
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, one_block, NULL) == 0, "pthread_create in the child");
    pthread_join(thread, NULL);
    if (depth == 0) {
        pid_t grandchild = fork();
        CHECK(grandchild >= 0, "fork in the child: %d", errno);
        if (grandchild == 0) child_life(1);
        int status = 0;
        CHECK(waitpid(grandchild, &status, 0) == grandchild && status == 0, "a grandchild ended with %#x", status);
    }
    _exit(0);
}

int main(void) {
    // Before anything else is allocated: the locks must be known to fork all the same.
    for (int i = 0; i < SHARED; i++) {
        shared[i] = malloc(i + 1);
        shared[i][i] = (char)i;
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i) == 0, "pthread_create");
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) child_life(0);
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "child %d ended with %#x", i, status);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return 0;
}

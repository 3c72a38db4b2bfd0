/* Claim: a process whose threads all allocate may fork at any moment: the child can allocate, free the parent's
 * blocks, start threads and fork again; the parent goes on. Then thousands of forks, one after the other. */
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

enum { THREADS = 8, FORKS = 150, SHARED = 400 };
static volatile int stop;
static void *shared[SHARED];
static size_t shared_size[SHARED];

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    void *blocks[200] = {0};
    size_t sizes[200] = {0};
    while (!stop) {
        int at = next_random(&state) % 200;
        CHECK(differs(blocks[at], sizes[at], at) == sizes[at], "a block of %zu changed", sizes[at]);
        free(blocks[at]);
        sizes[at] = next_random(&state) % (at % 50 == 0 ? 200000 : 2000);
        blocks[at] = malloc(sizes[at]);
        CHECK(blocks[at] != NULL, "malloc(%zu)", sizes[at]);
        fill(blocks[at], sizes[at], at);
    }
    for (int i = 0; i < 200; i++) free(blocks[i]);
    return NULL;
}

static void *short_work(void *seed) {
    uint64_t state = (uintptr_t)seed + 99;
    for (int i = 0; i < 300; i++) free(malloc(next_random(&state) % 3000));
    return NULL;
}

static void wait_for(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child, "waitpid: %d", errno);
    CHECK(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "a child hung for two minutes%s", "");
    CHECK(status == 0, "a child ended with %#x", status);
}

static void child_life(int depth) {
    alarm(120);
    /* The parent's blocks, made by its main thread and kept since: the child owns its copy. */
    for (int i = 0; i < SHARED; i++) {
        CHECK(differs(shared[i], shared_size[i], i) == shared_size[i], "a block of the parent changed");
        if (i % 2 == depth % 2) {
            free(shared[i]);
            shared_size[i] = i * 13;
            shared[i] = malloc(shared_size[i]);
            fill(shared[i], shared_size[i], i);
        }
    }
    for (size_t size = 1; size < 1 << 20; size = size * 2 + 3) {
        void *block = calloc(1, size);
        CHECK(block != NULL, "calloc(%zu) in the child", size);
        free(realloc(block, size * 2));
    }
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread[i], NULL, short_work, (void *)(uintptr_t)i) == 0, "pthread_create in the child");
    if (depth < 2) {
        pid_t grandchild = fork();
        CHECK(grandchild >= 0, "fork in the child: %d", errno);
        if (grandchild == 0) child_life(depth + 1);
        wait_for(grandchild);
    }
    for (int i = 0; i < 3; i++) pthread_join(thread[i], NULL);
    if (depth == 1) exit(0); /* with the handlers of exit */
    _exit(0);
}

int main(int argc, char **argv) {
    int forks = argc > 1 ? atoi(argv[1]) : FORKS;
    for (int i = 0; i < SHARED; i++) {
        shared_size[i] = (size_t)i * 37 % 5000;
        shared[i] = malloc(shared_size[i]);
        fill(shared[i], shared_size[i], i);
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i) == 0, "pthread_create");
    for (int i = 0; i < forks; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) child_life(0);
        wait_for(child);
        for (int j = 0; j < 200; j++) free(malloc(j * 50));
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 3000; i++) {
        pid_t child = fork();
        CHECK(child >= 0, "fork %d: %d", i, errno);
        if (child == 0) {
            free(shared[i % SHARED]);
            _exit(malloc(i * 10) == NULL);
        }
        wait_for(child);
    }
    return 0;
}

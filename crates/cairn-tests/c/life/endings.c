/* Claim: a process may end in every way while all its threads allocate: return from main, exit (from any thread), quick_exit,
 * _exit, pthread_exit of main, exec; and handlers of exit, which run beside those threads, may allocate and free.
 *
 * The argument: how often each. (With a second argument this is the process that ends.) */
#include "table.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

enum { THREADS = 8, CODE = 7 };
extern char **environ;
static struct block *kept[200];
static const char *const WAYS[] = {"return", "exit", "thread-exit", "quick_exit", "_exit", "pthread_exit", "exec", "thread-exec"};
enum { WAYS_COUNT = sizeof WAYS / sizeof *WAYS };

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    for (;;) {
        for (int i = 0; i < 50; i++) renew(&state, i ? 3000 : 200000);
    }
    return NULL;
}

static void at_the_end(void) {
    uint64_t state = 3;
    for (int i = 0; i < 200; i++) {
        drop(kept[i]);
        kept[i] = make(&state, 2000);
    }
    for (int i = 0; i < 100; i++) renew(&state, 3000);
}

static char *self, *plain[] = {NULL, (char *)"0", (char *)"done", NULL};

static void *end(void *way) {
    const char *name = way;
    usleep(1000);
    if (strstr(name, "exec")) {
        execv("/proc/self/exe", plain);
        CHECK(0, "execv: %d", errno);
    }
    exit(CODE);
}

static void *end_later(void *unused) {
    usleep(2000);
    exit(CODE);
    return unused;
}

static int victim(const char *way) {
    alarm(300);
    if (strcmp(way, "done") == 0) return free(malloc(1000)), CODE;
    uint64_t state = 5;
    for (int i = 0; i < 200; i++) kept[i] = make(&state, 2000);
    /* More handlers than the C library has room for without asking malloc. */
    for (int i = 0; i < 40; i++) CHECK(atexit(at_the_end) == 0 && at_quick_exit(at_the_end) == 0, "atexit");
    pthread_t thread;
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&thread, NULL, churn, (void *)i) == 0, "pthread_create");
    usleep(1000);
    if (strcmp(way, "return") == 0) return CODE;
    if (strcmp(way, "exit") == 0) exit(CODE);
    if (strcmp(way, "quick_exit") == 0) quick_exit(CODE);
    if (strcmp(way, "_exit") == 0) _exit(CODE);
    if (strcmp(way, "exec") == 0) end((void *)way);
    if (strcmp(way, "pthread_exit") == 0) {
        CHECK(pthread_create(&thread, NULL, end_later, NULL) == 0, "pthread_create");
        pthread_exit(NULL);
    }
    CHECK(pthread_create(&thread, NULL, end, (void *)way) == 0, "pthread_create");
    for (;;) renew(&state, 3000);
}

int main(int argc, char **argv) {
    CHECK(argc > 1, "usage: %s TIMES", argv[0]);
    self = argv[0];
    plain[0] = self;
    if (argc > 2) return victim(argv[2]);
    int times = atoi(argv[1]);
    for (int i = 0; i < times * WAYS_COUNT; i++) {
        char *arguments[] = {self, (char *)"0", (char *)WAYS[i % WAYS_COUNT], NULL};
        pid_t child;
        CHECK(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0, "posix_spawn");
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child, "waitpid: %d", errno);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == CODE, "by %s a process ended with %#x", WAYS[i % WAYS_COUNT], status);
    }
    printf("%d processes ended in %d ways\n", times * WAYS_COUNT, WAYS_COUNT);
    return 0;
}

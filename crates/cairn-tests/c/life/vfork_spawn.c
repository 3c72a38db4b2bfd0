/* Claim: vfork with exec, posix_spawn and system work while other threads allocate; a child of vfork that allocates
 * before its exec (which it must not, and some do) harms nothing. */
#include "check.h"
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static volatile int stop;

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed + 5;
    while (!stop) {
        void *block = malloc(next_random(&state) % 5000);
        free(realloc(block, next_random(&state) % 50000 + 1));
    }
    return NULL;
}

static void ended(pid_t child, int wanted) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == wanted, "a child ended with %#x", status);
}

int main(int argc, char **argv) {
    if (argc > 1) return free(malloc(1000)), atoi(argv[1]);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, churn, (void *)(uintptr_t)i) == 0, "pthread_create");
    char *arguments[] = {argv[0], (char *)"7", NULL};
    for (int i = 0; i < 150; i++) {
        pid_t child = vfork();
        if (child == 0) {
            if (i % 2) free(malloc(100 + i));
            execv("/proc/self/exe", arguments);
            _exit(99);
        }
        CHECK(child > 0, "vfork: %d", errno);
        ended(child, 7);
        CHECK(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0, "posix_spawn");
        ended(child, 7);
    }
    for (int i = 0; i < 20; i++) CHECK(WEXITSTATUS(system("exit 3")) == 3, "system");
    stop = 1;
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return 0;
}

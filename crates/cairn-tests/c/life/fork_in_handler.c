/* Claim: a signal handler that forks while the thread it interrupted is inside malloc or free doesn't hang, nor does its
 * child, which ends by _exit. In a process of one thread the child may even return from the handler and go on allocating.
 *
 * Arguments: "alone" or "crowd", and how many forks. */
#include "table.h"
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>

enum { THREADS = 4, OWN = 300 };

static atomic_int forks, stop;
static int wanted, alone;
/* Set in the child of a handler that returned. */
static volatile sig_atomic_t child_steps;

static void on_signal(int unused) {
    (void)unused;
    int kept = errno, number = atomic_fetch_add(&forks, 1);
    if (child_steps || number >= wanted) {
        errno = kept;
        return;
    }
    pid_t child = fork();
    CHECK(child >= 0, "fork: %d", errno);
    if (child == 0) {
        alarm(120);
        if (!alone || number % 4) _exit(0);
        child_steps = 1;
        errno = kept;
        return;
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) CHECK(errno == EINTR, "waitpid: %d", errno);
    CHECK(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "the child of fork %d hung", number);
    CHECK(status == 0, "the child of fork %d ended with %#x", number, status);
    errno = kept;
}

/* Mostly inside the slow paths: whole bins at a time, and large blocks. */
static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    struct block *blocks[OWN] = {0};
    while (!atomic_load(&stop)) {
        for (int i = 0; i < OWN; i++) blocks[i] = make(&state, i % 50 ? 2000 : 100000);
        for (int i = 0; i < OWN; i++) drop(blocks[i]);
        for (int i = 0; i < 40; i++) free(malloc(40000 + next_random(&state) % 100000));
        if (child_steps && ++child_steps > 3) {
            AUDIT("in a child that came back from the handler");
            _exit(0);
        }
        if (alone && atomic_load(&forks) >= wanted) break;
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "usage: %s alone|crowd FORKS", argv[0]);
    alone = strcmp(argv[1], "alone") == 0;
    wanted = atoi(argv[2]);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGVTALRM, &action, NULL);
    alarm(300);
    if (alone) {
        /* Each tick of the time that the program itself uses, so that a child's life is not part of it. */
        struct itimerval every = {{0, 1000}, {0, 1000}};
        CHECK(setitimer(ITIMER_VIRTUAL, &every, NULL) == 0, "setitimer: %d", errno);
        churn(NULL);
    } else {
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0, "pthread_create");
        uint64_t state = 11;
        while (atomic_load(&forks) < wanted) {
            CHECK(pthread_kill(threads[next_random(&state) % THREADS], SIGUSR1) == 0, "pthread_kill");
            usleep(next_random(&state) % 1000);
        }
        atomic_store(&stop, 1);
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    }
    AUDIT("at the end");
    printf("%d forks from handlers\n", wanted);
    return 0;
}

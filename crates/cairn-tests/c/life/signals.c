/* Claim: signals may arrive inside malloc and free at any instruction. A handler that doesn't allocate disturbs nothing: no block
 * changes, errno is kept, and no call fails because a system call was interrupted.
 *
 * The argument: how many signals. */
#include "table.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/time.h>

enum { THREADS = 4, OWN = 200 };
static atomic_int stop;
static atomic_long handled;
static sem_t semaphore;
static int ends[2];

/* What POSIX lets a handler do, with a system call that sets errno among it. */
static void on_signal(int unused) {
    (void)unused;
    int kept = errno;
    char byte;
    atomic_fetch_add(&handled, 1);
    sem_post(&semaphore);
    (void)!write(ends[1], "x", 1);
    (void)!read(ends[0], &byte, 1);
    close(-1);
    errno = kept;
}

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    struct block *blocks[OWN] = {0};
    while (!atomic_load(&stop)) {
        size_t place = next_random(&state) % OWN;
        errno = 4321;
        drop(blocks[place]);
        blocks[place] = make(&state, place % 20 ? 3000 : 200000);
        if (place % 7 == 0) {
            blocks[place] = realloc(blocks[place], sizeof **blocks + blocks[place]->size * 3);
            CHECK(blocks[place] != NULL, "realloc");
        }
        if (place % 5 == 0) renew(&state, 3000);
        CHECK(errno == 4321, "errno became %d", errno);
    }
    for (int i = 0; i < OWN; i++) drop(blocks[i]);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: %s SIGNALS", argv[0]);
    long wanted = atol(argv[1]);
    CHECK(sem_init(&semaphore, 0, 0) == 0 && pipe(ends) == 0, "sem_init, pipe");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    /* No SA_RESTART: what the allocator asks of the kernel is interrupted. */
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGPROF, &action, NULL);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0, "pthread_create");
    struct itimerval every = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_PROF, &every, NULL);
    while (atomic_load(&handled) < wanted)
        for (int i = 0; i < THREADS; i++) pthread_kill(threads[i], SIGUSR1);
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    drop_table();
    AUDIT("at the end");
    printf("%ld signals\n", atomic_load(&handled));
    return 0;
}

/* Claim: each of 16 allocating threads may fork at any moment. The child can check and free what its parent's threads had
 * made, allocate, start a thread, fork again and exit; no child crashes or hangs, and the parent goes on.
 *
 * Arguments: forks, and if there is a second one, the seconds after which no more are begun. Prints what was done. */
#include "table.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { THREADS = 16, OWN = 64, FORKS_MIN = 200, SIZE_MAX_ = 3000 };

static int forks_wanted;
static double end;
static atomic_int tickets, stop, grandchildren;

struct own {
    struct block *blocks[OWN];
    uint64_t state;
};

static void work(struct own *own, int operations) {
    for (int i = 0; i < operations; i++) {
        size_t place = next_random(&own->state) % OWN;
        size_t most = next_random(&own->state) % 200 == 0 ? 150000 : SIZE_MAX_;
        drop(own->blocks[place]);
        own->blocks[place] = make(&own->state, most);
        if (i % 2) renew(&own->state, SIZE_MAX_);
    }
}

static void *short_life(void *seed) {
    uint64_t state = (uintptr_t)seed | 1;
    for (int i = 0; i < 100; i++) drop(make(&state, SIZE_MAX_));
    return NULL;
}

static void wait_for(pid_t child) {
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child, "waitpid: %d", errno);
    CHECK(!(WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM), "child %d hung", child);
    CHECK(status == 0, "child %d ended with %#x", child, status);
}

static void child_life(struct own *own, int ticket, int depth);

static _Noreturn void child_end(struct own *own, int ticket, int depth) {
    child_life(own, ticket, depth);
    if (ticket % 32 == 7) exit(0); /* with what runs at exit */
    _exit(0);
}

static void child_life(struct own *own, int ticket, int depth) {
    alarm(300);
    if (ticket % 64 == 0) AUDIT("at a child's start");
    for (int i = 0; i < 16; i++) drop(atomic_exchange(&table[next_random(&own->state) % TABLE], NULL));
    for (int i = ticket % 2; i < OWN; i += 2) {
        drop(own->blocks[i]);
        own->blocks[i] = NULL;
    }
    work(own, 40);
    if (ticket % 64 == 5) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, short_life, (void *)(uintptr_t)ticket) == 0, "pthread_create in a child");
        CHECK(pthread_join(thread, NULL) == 0, "pthread_join in a child");
    }
    if (ticket % 16 == 3) {
        struct mallinfo2 info = mallinfo2();
        CHECK(info.uordblks + info.hblkhd < 1u << 30, "a child holds some MB; mallinfo2 says %zu and %zu", info.uordblks, info.hblkhd);
    }
    if (depth < 2 && ticket % 8 == 1) {
        pid_t child = fork();
        CHECK(child >= 0, "fork in a child: %d", errno);
        if (child == 0) child_end(own, ticket, depth + 1);
        wait_for(child);
    }
    if (ticket % 64 == 1) AUDIT("at a child's end");
}

static void *life(void *number) {
    static struct own owns[THREADS];
    struct own *own = &owns[(uintptr_t)number];
    own->state = (uintptr_t)number * 7919 + 17;
    while (!atomic_load(&stop)) {
        work(own, (int)(next_random(&own->state) % 200));
        int ticket = atomic_fetch_add(&tickets, 1);
        if (ticket >= forks_wanted || (ticket >= FORKS_MIN && seconds() > end)) {
            atomic_fetch_sub(&tickets, 1);
            atomic_store(&stop, 1);
            break;
        }
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) child_end(own, ticket, 0);
        if (ticket % 8 == 1) atomic_fetch_add(&grandchildren, 2);
        work(own, (int)(next_random(&own->state) % 100));
        wait_for(child);
    }
    for (int i = 0; i < OWN; i++) drop(own->blocks[i]);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc > 1, "usage: %s FORKS [SECONDS]", argv[0]);
    forks_wanted = atoi(argv[1]);
    end = argc > 2 ? seconds() + atof(argv[2]) : 1e18;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, life, (void *)i) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    drop_table();
    AUDIT("at the end");
    printf("%d forks by %d threads, and %d forks by their children; %ld KiB resident\n", atomic_load(&tickets), THREADS, atomic_load(&grandchildren), status_kib("VmRSS"));
    return 0;
}

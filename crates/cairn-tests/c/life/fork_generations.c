/* Claim: a chain of forks, each of the last one's child, under allocating threads, loses next to nothing: what the threads that
 * a child doesn't have were just doing is bounded by what the *program* had in their hands, and the heaps of those
 * threads serve the next ones.
 *
 * Each generation starts its threads, forks while they are at work, and ends; the child drops all blocks that can be reached,
 * and counts what is still in use. No generation forks before each of its threads has held all its blocks at once: else how much
 * memory the early ones need, with which the late ones are compared, would be the scheduler's to say. Arguments: generations, threads, the largest size, and the bytes that a generation may lose. Prints the losses. */
#include "table.h"
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

enum { THREADS_MAX = 64, HELD = 1000 };

static atomic_int stop;
/* How many threads of this generation have held all their blocks at once. */
static atomic_int filled;
static size_t size_max;
/* All that a thread has made and not freed, but for the one block that it is just about to make or to free. */
static void *volatile held[THREADS_MAX][HELD];

static void *churn(void *number) {
    void *volatile *mine = held[(uintptr_t)number];
    uint64_t state = (uintptr_t)number * 7919 + 1;
    for (int burst = 0; !atomic_load(&stop); burst++) {
        /* Bursts, so that bins overflow and run dry. */
        for (int i = 0; i < HELD; i++) {
            size_t size = next_random(&state) % (size_max + 1);
            mine[i] = malloc(size);
            CHECK(mine[i] != NULL, "malloc(%zu)", size);
            memset(mine[i], (int)size, size < 64 ? size : 64);
        }
        if (burst == 0) atomic_fetch_add(&filled, 1);
        for (int i = 0; i < HELD; i++) {
            void *block = mine[i];
            mine[i] = NULL;
            free(block);
        }
    }
    return NULL;
}

static void drop_held(void) {
    for (int i = 0; i < THREADS_MAX; i++)
        for (int j = 0; j < HELD; j++) {
            free(held[i][j]);
            held[i][j] = NULL;
        }
}

static size_t in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

struct report {
    size_t generation, used, arena;
    long resident;
};

int main(int argc, char **argv) {
    CHECK(argc == 5, "usage: %s GENERATIONS THREADS SIZE BYTES", argv[0]);
    int generations = atoi(argv[1]), threads = atoi(argv[2]);
    size_t bytes_max = (size_t)atol(argv[4]);
    size_max = (size_t)atol(argv[3]);
    CHECK(threads <= THREADS_MAX, "at most %d threads", THREADS_MAX);
    int ends[2];
    CHECK(pipe(ends) == 0, "pipe: %d", errno);
    int first = 1;
    for (int generation = 0; generation < generations; generation++) {
        uint64_t state = (uint64_t)generation * 77 + 5;
        pthread_t made[THREADS_MAX];
        for (int i = 0; i < threads; i++)
            CHECK(pthread_create(&made[i], NULL, churn, (void *)(uintptr_t)i) == 0, "pthread_create in generation %d: %d", generation, errno);
        while (atomic_load(&filled) < threads) usleep(100);
        usleep(2000 + next_random(&state) % 1000);
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child > 0) {
            if (!first) _exit(0);
            /* The first one stays, to read what the others say until the last of them has ended. */
            atomic_store(&stop, 1);
            for (int i = 0; i < threads; i++) pthread_join(made[i], NULL);
            break;
        }
        first = 0;
        alarm(300);
        atomic_store(&filled, 0);
        drop_held();
        if (generation % 10 == 9 || generation == 0) {
            AUDIT("of a generation");
            struct report report = {(size_t)generation + 1, in_use(), mallinfo2().arena, status_kib("VmRSS")};
            CHECK(write(ends[1], &report, sizeof report) == sizeof report, "write: %d", errno);
        }
    }
    if (!first) _exit(0);
    close(ends[1]);
    struct report early = {0}, late = {0};
    for (struct report next; read(ends[0], &next, sizeof next) == sizeof next; late = next)
        if (next.generation <= 10) early = next;
    CHECK(late.generation + 10 > (size_t)generations, "the chain broke after generation %zu", late.generation);
    size_t lost = late.used > early.used ? late.used - early.used : 0, steps = late.generation - early.generation;
    printf("generation %zu: %zu bytes in use, %zu KiB committed, %ld KiB resident\n", early.generation, early.used, early.arena >> 10, early.resident);
    printf("generation %zu: %zu bytes in use, %zu KiB committed, %ld KiB resident: %zu bytes lost each\n", late.generation, late.used, late.arena >> 10, late.resident, lost / (steps ? steps : 1));
    CHECK(lost <= steps * bytes_max, "%zu bytes were lost in %zu generations", lost, steps);
    CHECK(keeps_what_was_freed() || late.resident < early.resident * 2 + 4096 + (long)(steps * bytes_max >> 10), "%ld KiB resident in generation %zu, %ld in %zu", early.resident, early.generation, late.resident, late.generation);
    return 0;
}

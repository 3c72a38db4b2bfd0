/* Claim: the program's own handlers of fork (pthread_atfork) may resize blocks and ask for their sizes, before and after the fork, in
 * parent and child, and whatever the order of registration: blocks of every kind, also those whose neighbours in the slab were free so long
 * that their pages went back to the kernel. Meanwhile other threads allocate.
 *
 * The argument: how many forks. */
#include "table.h"
#include <pthread.h>
#include <sys/wait.h>

enum { THREADS = 4, HOLES = 20000, KEPT = HOLES / 400, KINDS = 9 };
static atomic_int stop;
static void *kept[KEPT];

/* Small, middle, aligned, large, huge; and what each becomes and goes back from. */
static const struct { size_t align, size, other; } kinds[KINDS] = {
    {0, 1, 24}, {0, 40, 60}, {0, 500, 90}, {64, 192, 1000}, {0, 5000, 16000}, {4096, 9000, 200}, {0, 40000, 100000},
    {0, 300000, 700000}, {1 << 16, 1 << 20, 70000},
};
static unsigned char *blocks[KINDS];

static void *resize(void *block, size_t from, size_t to, unsigned seed) {
    CHECK(malloc_usable_size(block) >= from, "%zu bytes, of which %zu may be used", from, malloc_usable_size(block));
    unsigned char *moved = realloc(block, to);
    CHECK(moved != NULL && malloc_usable_size(moved) >= to, "realloc from %zu to %zu", from, to);
    size_t both = from < to ? from : to;
    CHECK(differs(moved, both, seed) == both, "from %zu to %zu: byte %zu changed", from, to, differs(moved, both, seed));
    fill(moved, to, seed);
    return moved;
}

static void work(void) {
    for (unsigned i = 0; i < KINDS; i++) {
        blocks[i] = resize(blocks[i], kinds[i].size, kinds[i].other, i);
        blocks[i] = resize(blocks[i], kinds[i].other, kinds[i].size, i);
    }
    /* One to another class and back, one where it is, the others are only asked. */
    static unsigned turn;
    unsigned here = turn++ % KEPT, next = turn % KEPT;
    kept[here] = resize(kept[here], 40, 300, here);
    kept[here] = resize(kept[here], 300, 40, here);
    kept[next] = resize(kept[next], 40, 44, next);
    kept[next] = resize(kept[next], 44, 40, next);
    for (int i = 0; i < KEPT; i++) CHECK(malloc_usable_size(kept[i]) >= 40, "%zu", malloc_usable_size(kept[i]));
}

/* Free neighbours of the blocks that are kept, whose pages go back to the kernel. */
static void make_holes(void) {
    static void *others[HOLES];
    for (unsigned i = 0; i < KEPT; i++) free(kept[i]);
    for (int i = 0; i < HOLES; i++) CHECK((others[i] = malloc(40)) != NULL, "malloc");
    for (unsigned i = 0; i < HOLES; i++) {
        if (i % (HOLES / KEPT) == 0) {
            kept[i / (HOLES / KEPT)] = others[i];
            fill(others[i], 40, i / (HOLES / KEPT));
        } else {
            free(others[i]);
        }
    }
    malloc_trim(0);
}

static void make_blocks(void) {
    for (unsigned i = 0; i < KINDS; i++) {
        blocks[i] = kinds[i].align ? aligned_alloc(kinds[i].align, kinds[i].size) : malloc(kinds[i].size);
        CHECK(blocks[i] != NULL, "%zu bytes", kinds[i].size);
        fill(blocks[i], kinds[i].size, i);
    }
    make_holes();
}

/* Before malloc can have registered its own handlers, so ours run before the fork after those, and after it before them. */
__attribute__((constructor(101))) static void early(void) {
    CHECK(pthread_atfork(work, work, work) == 0, "pthread_atfork");
}

static void *churn(void *seed) {
    uint64_t state = (uintptr_t)seed * 7919 + 1;
    while (!atomic_load(&stop)) renew(&state, 3000);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 2, "usage: %s FORKS", argv[0]);
    make_blocks();
    CHECK(pthread_atfork(work, work, work) == 0, "pthread_atfork");
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, churn, (void *)i) == 0, "pthread_create");
    for (int i = atoi(argv[1]); i > 0; i--) {
        if (i % 16 == 0) make_holes();
        pid_t child = fork();
        CHECK(child >= 0, "fork: %d", errno);
        if (child == 0) {
            alarm(120);
            work();
            drop_table();
            expect_whole_heap();
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child && status == 0, "a child ended with %#x", status);
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return 0;
}

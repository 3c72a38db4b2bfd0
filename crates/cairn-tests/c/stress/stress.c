/* Threads under stress, contents checked at every step. Arguments: a pattern, seconds, and a seed.
 *
 *   pass       threads allocate, exchange and free at random through one table of slots
 *   pipeline   producers allocate, consumers check and free
 *   churn      threads are born, take over what the last ones left, and end
 *   realloc    each thread resizes its blocks at random, some of them handed over
 *   align      blocks of every alignment, freed by other threads
 *   bulk       structures of many blocks are built by one thread and dropped by another
 */
#include "check.h"
#include <pthread.h>
#include <time.h>

enum { THREADS = 8, SLOTS = 4096 };
struct block {
    size_t size;
    unsigned seed;
    unsigned align_log;
    unsigned char body[];
};
static struct block *_Atomic slots[SLOTS];
static struct timespec until;
static uint64_t first_seed;
static unsigned long long operations;

static int over(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec > until.tv_sec || (now.tv_sec == until.tv_sec && now.tv_nsec >= until.tv_nsec);
}

/* The whole body of small blocks; of larger ones the first 2 KiB and, where they don't meet, the last 64 bytes. */
enum { HEAD = 2048, TAIL = 64 };
static size_t checked_bytes(size_t size) { return size < HEAD ? size : HEAD; }

static void mark(struct block *block, size_t size, unsigned seed, unsigned align_log) {
    CHECK(block != NULL, "no memory for %zu bytes", size);
    CHECK(is_aligned(block, 1ul << align_log), "%p is not aligned to 2^%u", (void *)block, align_log);
    block->size = size;
    block->seed = seed;
    block->align_log = align_log;
    fill(block->body, checked_bytes(size), seed);
    if (size >= HEAD + TAIL) fill(block->body + size - TAIL, TAIL, seed + 1);
}

static void verify(const struct block *block) {
    CHECK(block->size < (size_t)1 << 30, "the head of %p is overwritten", (const void *)block);
    size_t bytes = checked_bytes(block->size), place = differs(block->body, bytes, block->seed);
    CHECK(place == bytes, "byte %zu of a block of %zu changed", place, block->size);
    if (block->size >= HEAD + TAIL) CHECK(differs(block->body + block->size - TAIL, TAIL, block->seed + 1) == TAIL, "the end of a block of %zu changed", block->size);
}

static size_t some_size(uint64_t *state) {
    uint64_t number = next_random(state), kind = number % 1000;
    number >>= 10;
    if (kind < 850) return number % 256;
    if (kind < 980) return number % 4096;
    if (kind < 998) return number % 65536;
    return number % (2 << 20);
}

static struct block *make(uint64_t *state) {
    size_t size = some_size(state);
    unsigned seed = (unsigned)next_random(state);
    struct block *block = seed % 9 ? malloc(sizeof *block + size) : calloc(1, sizeof *block + size);
    if (seed % 9 == 0)
        for (size_t i = 0; i < checked_bytes(size); i++) CHECK(block->body[i] == 0, "calloc(%zu) is dirty at %zu", size, i);
    mark(block, size, seed, 4);
    return block;
}

static void drop(struct block *block) {
    if (!block) return;
    verify(block);
    block->size = ~(size_t)0;
    free(block);
}

static uint64_t seed_of(void *number) { return (first_seed + (uintptr_t)number) * 0x9e3779b97f4a7c15u | 1; }
static void did(unsigned long long count) { __atomic_add_fetch(&operations, count, __ATOMIC_RELAXED); }

static void *pass(void *number) {
    uint64_t state = seed_of(number);
    while (!over()) {
        for (int i = 0; i < 500; i++) drop(__atomic_exchange_n(&slots[next_random(&state) % SLOTS], next_random(&state) % 4 ? make(&state) : NULL, __ATOMIC_ACQ_REL));
        did(500);
    }
    return NULL;
}

/* Odd threads consume what even ones produce; both walk the ring at their own pace. */
static void *pipeline(void *number) {
    uint64_t state = seed_of(number);
    int producer = ((uintptr_t)number & 1) == 0;
    size_t at = (uintptr_t)number / 2 * (SLOTS / (THREADS / 2)), first = at, last = at + SLOTS / (THREADS / 2);
    struct block *held = NULL;
    while (!over()) {
        for (int i = 0; i < 500; i++, at = at + 1 == last ? first : at + 1) {
            if (!producer) {
                drop(__atomic_exchange_n(&slots[at], NULL, __ATOMIC_ACQ_REL));
            } else {
                if (!held) held = make(&state);
                struct block *expected = NULL;
                if (__atomic_compare_exchange_n(&slots[at], &expected, held, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) held = NULL;
            }
        }
        did(500);
    }
    drop(held);
    return NULL;
}

static void *short_life(void *number) {
    uint64_t state = seed_of(number);
    for (int i = 0; i < 400; i++) drop(__atomic_exchange_n(&slots[next_random(&state) % SLOTS], make(&state), __ATOMIC_ACQ_REL));
    did(400);
    return NULL;
}

static void *churn(void *number) {
    uint64_t state = seed_of(number);
    while (!over()) {
        pthread_t child[3];
        for (int i = 0; i < 3; i++) CHECK(pthread_create(&child[i], NULL, short_life, (void *)next_random(&state)) == 0, "pthread_create: %d", errno);
        for (int i = 0; i < 3; i++) pthread_join(child[i], NULL);
    }
    return NULL;
}

static void *resize(void *number) {
    uint64_t state = seed_of(number);
    while (!over()) {
        for (int i = 0; i < 200; i++) {
            struct block *_Atomic *slot = &slots[next_random(&state) % SLOTS];
            struct block *block = __atomic_exchange_n(slot, NULL, __ATOMIC_ACQ_REL);
            if (!block) block = make(&state);
            verify(block);
            size_t old = block->size, size = next_random(&state) % 3 ? some_size(&state) : old + old / 2 + 1;
            if (size > 4 << 20) size = 10;
            unsigned seed = block->seed;
            struct block *moved = realloc(block, sizeof *block + size);
            CHECK(moved != NULL, "realloc to %zu", size);
            size_t kept = checked_bytes(old < size ? old : size);
            CHECK(differs(moved->body, kept, seed) == kept, "realloc from %zu to %zu lost contents", old, size);
            mark(moved, size, seed, 4);
            drop(__atomic_exchange_n(slot, moved, __ATOMIC_ACQ_REL));
        }
        did(200);
    }
    return NULL;
}

static void *align(void *number) {
    uint64_t state = seed_of(number);
    while (!over()) {
        for (int i = 0; i < 200; i++) {
            unsigned log = next_random(&state) % (i % 40 ? 13 : 22);
            size_t size = some_size(&state) % 100000;
            struct block *block = NULL;
            if (log < 4) log = 4;
            if (i & 1) block = aligned_alloc(1ul << log, sizeof *block + size);
            else CHECK(posix_memalign((void **)&block, 1ul << log, sizeof *block + size) == 0, "posix_memalign");
            mark(block, size, (unsigned)i, log);
            drop(__atomic_exchange_n(&slots[next_random(&state) % 512], block, __ATOMIC_ACQ_REL));
        }
        did(200);
    }
    return NULL;
}

struct node {
    struct node *next;
    struct block *block;
};
static void *bulk(void *number) {
    uint64_t state = seed_of(number);
    static struct node *_Atomic lists[16];
    while (!over()) {
        struct node *list = NULL;
        for (int i = 0; i < 3000; i++) {
            struct node *node = malloc(sizeof *node);
            node->next = list;
            size_t size = next_random(&state) % 200;
            node->block = malloc(sizeof *node->block + size);
            mark(node->block, size, i, 4);
            list = node;
        }
        list = __atomic_exchange_n(&lists[next_random(&state) % 16], list, __ATOMIC_ACQ_REL);
        while (list) {
            struct node *next = list->next;
            drop(list->block);
            free(list);
            list = next;
        }
        did(6000);
    }
    for (int i = 0; i < 16; i++) {
        struct node *list = __atomic_exchange_n(&lists[i], NULL, __ATOMIC_ACQ_REL);
        while (list) {
            struct node *next = list->next;
            drop(list->block);
            free(list);
            list = next;
        }
    }
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc == 4, "usage: stress PATTERN SECONDS SEED");
    static const struct {
        const char *name;
        void *(*body)(void *);
    } patterns[] = {{"pass", pass}, {"pipeline", pipeline}, {"churn", churn}, {"realloc", resize}, {"align", align}, {"bulk", bulk}};
    void *(*body)(void *) = NULL;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (strcmp(argv[1], patterns[i].name) == 0) body = patterns[i].body;
    CHECK(body != NULL, "no pattern is named %s", argv[1]);
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += atol(argv[2]);
    first_seed = strtoull(argv[3], NULL, 10);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, body, (void *)i) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < SLOTS; i++) drop(slots[i]);
    malloc_trim(0);
    printf("%s: %llu operations in %s s, %ld KiB at the peak, %ld KiB after all was freed\n", argv[1], operations, argv[2], status_kib("VmHWM"), status_kib("VmRSS"));
    CHECK(operations > 1000, "only %llu operations: this tested nothing", operations);
    return 0;
}

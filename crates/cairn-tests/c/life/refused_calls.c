/* Claim: whatever system call of the allocator fails, the program gets NULL with ENOMEM or what it asked for; its blocks keep
 * their contents, and when the calls succeed again everything can be freed, nothing is lost and all works.
 *
 * The tracer (src/refusal.rs) refuses calls between the two markers. The arguments: how often the storm goes round, and where
 * its random numbers begin; as the third one "early" leaves out what needs a start without failures, and "loose" allows
 * memory to stay behind. */
#include "check.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MARKER = 31905, KIB = 1024, MIB = 1 << 20, SLOTS = 500, LARGE = 24, HELD = 800, THREADS = 4, SHARED = 64 };

extern int cairn_check(void) __attribute__((weak));
extern int keys_refused(void) __attribute__((weak)); /* lib_no_keys.c */

struct block { unsigned char *at; size_t size; unsigned seed; };
static struct block held[HELD], slots[SLOTS], large[LARGE];
static uint64_t random_state;
/* A storm has seen enough of them. */
enum { REFUSED_MAX = 250 };
static unsigned seeds, refused;

static int is_on;

static void mark(int on) {
    is_on = on;
    syscall(MARKER, on);
}

/* The places where a block is written and looked at: every page of a small one, a few of a large one; the same places
 * after the block has grown. */
static size_t next_place(size_t at) { return at < 64 * KIB ? at + 127 : at + 65543; }
static unsigned char sign(unsigned seed, size_t at) { return (unsigned char)(1 + (seed * 31 + at * 7) % 251); }

static void sign_from(struct block *block, size_t from) {
    for (size_t at = 0; at < block->size; at = next_place(at))
        if (at >= from) block->at[at] = sign(block->seed, at);
    if (block->size > 0) block->at[block->size - 1] = sign(block->seed, block->size - 1);
}

static void verify(const struct block *block, size_t size) {
    for (size_t at = 0; at < size; at = next_place(at))
        CHECK(block->at[at] == sign(block->seed, at), "byte %zu of %zu at %p changed", at, block->size, (void *)block->at);
}

static void *granted(void *block, size_t size) {
    if (block) return block;
    CHECK(errno == ENOMEM, "a request for %zu bytes failed with errno %d", size, errno);
    __atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void drop(struct block *block) {
    if (!block->at) return;
    verify(block, block->size ? block->size - 1 : 0);
    errno = 12345;
    free(block->at);
    CHECK(errno == 12345, "free changed errno to %d", errno);
    block->at = NULL;
}

/* A fresh block by one of the doors. */
static void obtain(struct block *block, size_t size, unsigned door) {
    if (refused > REFUSED_MAX && is_on) return;
    errno = 0;
    void *at = NULL;
    size_t align = (size_t)16 << door % 9;
    switch (door % 5) {
    case 0: at = granted(calloc(1, size), size); break;
    case 1: at = granted(aligned_alloc(align, size), size); break;
    case 2:
        errno = posix_memalign(&at, align, size);
        at = errno ? granted(NULL, size) : at;
        break;
    default: at = granted(malloc(size), size);
    }
    if (!at) return;
    if (door % 5 == 1 || door % 5 == 2) CHECK(is_aligned(at, align), "%p is no multiple of %zu", at, align);
    *block = (struct block){at, size, __atomic_add_fetch(&seeds, 1, __ATOMIC_RELAXED)};
    if (door % 5 == 0)
        for (size_t i = 0; i < size; i = next_place(i)) CHECK(block->at[i] == 0, "calloc(%zu): byte %zu is %d", size, i, block->at[i]);
    CHECK(malloc_usable_size(at) >= size, "usable size of %zu bytes", size);
    sign_from(block, 0);
}

static void resize(struct block *block, size_t size) {
    size_t old = block->size, keeps = old < size ? old : size;
    if (refused > REFUSED_MAX && is_on) return;
    errno = 0;
    void *at = granted(realloc(block->at, size), size);
    if (!at) {
        verify(block, old - 1);
        return;
    }
    block->at = at;
    block->size = size;
    verify(block, keeps - 1);
    sign_from(block, keeps);
}

static void churn(struct block *blocks, int count, int steps, size_t most, uint64_t *state) {
    for (int i = 0; i < steps; i++) {
        struct block *block = &blocks[next_random(state) % count];
        uint64_t number = next_random(state);
        size_t size = 1 + number % (number % 4 ? most / 16 : most);
        if (!block->at) obtain(block, size, (unsigned)(number >> 40));
        else if (number >> 60 < 5) resize(block, size);
        else drop(block);
    }
}

/* A vector that can't grow where it is, so that its pages are moved. */
static void grow_behind_walls(void) {
    struct block vector = {0}, walls[16] = {0};
    obtain(&vector, 128 * KIB, 3);
    for (int i = 0; i < 16 && vector.at; i++) {
        obtain(&walls[i], 40 * KIB, 3);
        resize(&vector, vector.size + vector.size / 2);
    }
    if (vector.at) resize(&vector, vector.size / 3 + 1);
    for (int i = 0; i < 16; i++) drop(&walls[i]);
    drop(&vector);
}

/* The same with vectors whose pages are several mappings, and so are moved by several calls: each may be refused. */
static void grow_in_parts(void) {
    struct block vectors[4] = {0};
    for (int i = 0; i < 4; i++) obtain(&vectors[i], 3 * MIB, 3);
    for (int i = 0; i < 4; i++) {
        if (!vectors[i].at) continue;
        CHECK(madvise(vectors[i].at + MIB, MIB, MADV_DONTDUMP) == 0, "madvise: errno %d", errno);
        resize(&vectors[i], 9 * MIB);
        CHECK(madvise(vectors[i].at, vectors[i].size, MADV_DODUMP) == 0, "madvise: errno %d", errno);
    }
    for (int i = 0; i < 4; i++) drop(&vectors[i]);
}

/* Zeroed blocks of which little is used: what was not touched is looked for when they are freed. */
static void sparse(void) {
    for (int i = 0; i < 3; i++) {
        unsigned char *block = granted(calloc(1, 4 * MIB), 4 * MIB);
        if (!block) continue;
        for (size_t at = 0; at < 4 * MIB; at += 40961) CHECK(block[at] == 0, "calloc: byte %zu", at);
        for (size_t at = i * MIB; at < (size_t)(i + 1) * MIB; at += 4096) block[at] = 1;
        free(block);
    }
}

/* The heap, and a block above 16 MiB, use huge pages. */
static void grow_large(void) {
    static struct block many[2500];
    struct block big = {0};
    obtain(&big, 34 * MIB, 3);
    for (int i = 0; i < 2500; i++) obtain(&many[i], 500 + (size_t)i, 3);
    if (big.at) resize(&big, 48 * MIB);
    for (int i = 0; i < 2500; i++) drop(&many[i]);
    drop(&big);
}

static struct block shared[SHARED];
static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;

static void *thread(void *number) {
    uint64_t state = 1000 + (uintptr_t)number + random_state % 1000;
    struct block mine[60] = {0};
    for (int round = 0; round < 6; round++) {
        churn(mine, 60, 150, 2000, &state);
        /* What others have left is freed here. */
        for (int i = 0; i < 20; i++) {
            struct block *place = &shared[next_random(&state) % SHARED];
            pthread_mutex_lock(&shared_lock);
            struct block other = *place;
            *place = mine[i];
            mine[i] = other;
            pthread_mutex_unlock(&shared_lock);
        }
    }
    for (int i = 0; i < 60; i++) drop(&mine[i]);
    return NULL;
}

static void threads(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * KIB);
    pthread_t all[THREADS];
    int count = 0;
    for (uintptr_t i = 0; i < THREADS; i++) count += pthread_create(&all[count], &attributes, thread, (void *)i) == 0;
    for (int i = 0; i < count; i++) pthread_join(all[i], NULL);
    pthread_attr_destroy(&attributes);
    for (int i = 0; i < SHARED; i++) drop(&shared[i]);
}

/* The audit names what it finds; it needs a little memory, which may be refused. */
static void audit(void) {
    errno = 0;
    int result = cairn_check ? cairn_check() : 0;
    CHECK(result == 0 || (is_on && result == -1 && errno == ENOMEM), "cairn_check gave %d, errno %d", result, errno);
}

static void fork_once(void) {
    pid_t child = fork();
    if (child < 0) return;
    if (child == 0) {
        for (int i = 0; i < SLOTS; i += 2) drop(&slots[i]);
        churn(slots, SLOTS, 300, 20000, &random_state);
        audit();
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child ended with %#x", status);
}

static void storm(int rounds) {
    for (int round = 0; round < rounds; round++) {
        churn(slots, SLOTS, 1500, 33 * KIB, &random_state);
        churn(large, LARGE, 100, 2 * MIB, &random_state);
        grow_behind_walls();
        grow_in_parts();
        sparse();
        threads();
        grow_large();
        fork_once();
        if (round % 2) malloc_trim(0);
    }
}

static void drop_all(void) {
    for (int i = 0; i < SLOTS; i++) drop(&slots[i]);
    for (int i = 0; i < LARGE; i++) drop(&large[i]);
}

static size_t live(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

int main(int argc, char **argv) {
    CHECK(argc >= 3, "usage: refused_calls ROUNDS SEED [early]");
    int rounds = atoi(argv[1]);
    int early = argc > 3 && strcmp(argv[3], "early") == 0, loose = argc > 3 && strcmp(argv[3], "loose") == 0;
    is_on = early;
    random_state = strtoull(argv[2], NULL, 10) * 2654435761u + 88172645463325252u;
    if (!early) {
        /* What the C library allocates once is there before the count. */
        threads();
        fork_once();
        CHECK(refused == 0, "%u requests failed before the storm", refused);
    }
    for (int i = 0; i < HELD; i++) obtain(&held[i], 1 + (size_t)i * 37 % 9000, 3);
    size_t live_before = live();
    long space_before = status_kib("VmSize"), resident_before = status_kib("VmRSS");
    mark(1);
    storm(rounds);
    mark(0);
    audit();
    /* All works again, with what the storm left behind. */
    unsigned failed = refused;
    storm(1);
    struct block again = {0};
    obtain(&again, 64 * MIB, 3);
    CHECK(refused == failed, "%u requests failed after the storm", refused - failed);
    drop(&again);
    drop_all();
    for (int i = 0; i < HELD; i++)
        if (held[i].at) verify(&held[i], held[i].size - 1);
    malloc_trim(0);
    size_t live_after = live();
    long space = status_kib("VmSize"), resident = status_kib("VmRSS");
    if (!early) {
        CHECK(live_after <= live_before + 4 * KIB, "%zu bytes were live before the storm, %zu after it", live_before, live_after);
        if (resident >= resident_before + 8 * KIB && !loose) malloc_stats();
        CHECK(loose || resident < resident_before + 8 * KIB, "RSS was %ld KiB before the storm and is %ld", resident_before, resident);
    }
    if (getenv("NO_KEYS")) CHECK(keys_refused && keys_refused() > 0, "no key was asked for: nothing was %s", "tested");
    dprintf(2, "refused %u space %ld\n", failed, space - space_before);
    for (int i = 0; i < HELD; i++) drop(&held[i]);
    audit();
    return 0;
}

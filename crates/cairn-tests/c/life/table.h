/* Blocks that any thread, and any child of a fork, may take: whoever exchanges one out of its place owns it. Each is filled
 * with a pattern of its own, which is looked at before it is freed. */
#ifndef CAIRN_TABLE_H
#define CAIRN_TABLE_H
#include "../check.h"
#include <stdatomic.h>
#include <time.h>

struct block {
    size_t size;
    unsigned seed;
    unsigned char bytes[];
};

enum { TABLE = 512 };
static _Atomic(struct block *) table[TABLE];

/* A new block with up to `most` bytes behind its head. */
static inline struct block *make(uint64_t *state, size_t most) {
    size_t size = next_random(state) % (most + 1);
    struct block *block = malloc(sizeof *block + size);
    CHECK(block != NULL, "malloc(%zu)", sizeof *block + size);
    block->size = size;
    block->seed = (unsigned)next_random(state);
    fill(block->bytes, size, block->seed);
    return block;
}

static inline void drop(struct block *block) {
    if (!block) return;
    size_t at = differs(block->bytes, block->size, block->seed);
    CHECK(at == block->size, "byte %zu of a block of %zu changed", at, block->size);
    free(block);
}

/* Puts a new block into a place, and drops the one that was there. */
static inline void renew(uint64_t *state, size_t most) {
    size_t place = next_random(state) % TABLE;
    drop(atomic_exchange(&table[place], make(state, most)));
}

static inline void drop_table(void) {
    for (size_t i = 0; i < TABLE; i++) drop(atomic_exchange(&table[i], NULL));
}

static inline __attribute__((unused)) double seconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}
#endif

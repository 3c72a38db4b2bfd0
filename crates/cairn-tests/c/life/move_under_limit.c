/* Claim: when the limit on address space falls below what the process has, so that the kernel refuses to move pages,
 * realloc still works with what the heap holds, or gives NULL and leaves the block as it was; and when the limit is
 * lifted all is as before. */
#include "check.h"
#include <sys/resource.h>

enum { UNIT = 64 << 10, ROUNDS = 50 };

static void limit_address_space(rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %d", errno);
}

/* The block has a wall behind it, so that it can't grow where it is. */
static unsigned char *walled(void *walls[], int count) {
    unsigned char *block = malloc(8 * UNIT);
    CHECK(block != NULL, "malloc");
    for (int i = 0; i < count; i++) walls[i] = malloc(UNIT);
    return block;
}

int main(void) {
    /* Room that is freed again: what moves can go there and needs no more from the kernel. */
    void *rest[40];
    void *room = malloc(400 * UNIT);
    void *lid = malloc(UNIT);
    memset(room, 1, 400 * UNIT);
    free(room);
    int moved = 0, refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
        void *walls[16];
        unsigned char *block = walled(walls, 16);
        fill(block, 8 * UNIT, round);
        limit_address_space(16 << 20);
        size_t size = (size_t)(16 + round * 3) * UNIT;
        unsigned char *grown = realloc(block, size);
        if (grown) moved += grown != block;
        else refused++, grown = block, size = 8 * UNIT;
        CHECK(differs(grown, 8 * UNIT, round) == 8 * UNIT, "round %d: contents were lost", round);
        memset(grown, round, size);
        /* The heap is whole: what it holds can be used. */
        for (int i = 0; i < 40; i++) {
            rest[i] = malloc(100 * i + 8);
            if (rest[i]) memset(rest[i], 2, 100 * i + 8);
        }
        for (int i = 0; i < 40; i++) free(rest[i]);
        for (size_t i = 0; i < size; i += 509) CHECK(grown[i] == (unsigned char)round, "round %d: byte %zu", round, i);
        free(grown);
        limit_address_space(RLIM_INFINITY);
        for (int i = 0; i < 16; i++) free(walls[i]);
    }
    CHECK(moved >= ROUNDS / 2, "of %d blocks %d moved and %d were refused: there was room for them", ROUNDS, moved, refused);
    unsigned char *block = malloc(UNIT);
    for (size_t size = UNIT; size <= 64 << 20; size *= 2) {
        block = realloc(block, size);
        CHECK(block != NULL, "realloc to %zu when the limit is lifted", size);
        memset(block, 3, size);
        unsigned char *zeroes = calloc(1, size);
        for (size_t i = 0; i < size; i += 509) CHECK(zeroes[i] == 0, "calloc(%zu): byte %zu is %#x", size, i, zeroes[i]);
        free(zeroes);
    }
    free(block);
    free(lid);
    return 0;
}

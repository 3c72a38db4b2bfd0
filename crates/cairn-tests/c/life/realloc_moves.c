/* Claim: large blocks that grow by realloc, and have to move because something lies behind them, keep their contents,
 * whatever the kernel answers when their pages are to be moved; what they leave behind can be used again, and calloc
 * gives zeroes there.
 *
 * The argument: "patches" gives some pages of the blocks another advice, so that a block is more than one mapping.
 * With c/life/lib_moves.c preloaded the kernel's answers are worse than usual, and some must have been seen. */
#include "check.h"
#include <sys/mman.h>

enum { BLOCKS = 16, STEPS = 2500, LEAST = 128 << 10, MOST = 6 << 20 };
static unsigned char *blocks[BLOCKS];
static size_t sizes[BLOCKS];

__attribute__((weak)) int moves_spoilt(void);
__attribute__((weak)) int strangers_harmed(void);

static unsigned char mark(int block, size_t at) { return (unsigned char)(block + 1 + at % 200); }

/* One byte in every 509, so that each page is looked at. */
static void paint(int block) {
    for (size_t i = 0; i < sizes[block]; i += 509) blocks[block][i] = mark(block, i);
}

static void look(int block, size_t upto, const char *when) {
    for (size_t i = 0; i < upto; i += 509)
        CHECK(blocks[block][i] == mark(block, i), "block %d of %zu bytes, byte %zu, %s", block, sizes[block], i, when);
}

static void expect_zeroes(size_t size) {
    unsigned char *block = calloc(1, size);
    CHECK(block != NULL, "calloc(%zu)", size);
    for (size_t i = 0; i < size; i += 509) CHECK(block[i] == 0, "calloc(%zu): byte %zu is %#x", size, i, block[i]);
    free(block);
}

int main(int argc, char **argv) {
    int patches = argc > 1 && strcmp(argv[1], "patches") == 0;
    uint64_t state = 42;
    int moved = 0;
    for (int step = 0; step < STEPS; step++) {
        int at = next_random(&state) % BLOCKS;
        look(at, sizes[at], "before realloc or free");
        if (!blocks[at] || next_random(&state) % 8 == 0) {
            free(blocks[at]);
            sizes[at] = LEAST + next_random(&state) % (4 * LEAST);
            blocks[at] = malloc(sizes[at]);
            CHECK(blocks[at] != NULL, "malloc(%zu)", sizes[at]);
            paint(at);
            continue;
        }
        if (patches) madvise(blocks[at] + (64 << 10), 64 << 10, MADV_DONTDUMP);
        size_t old = sizes[at], size = old + old / 2;
        if (size > MOST) size = LEAST + next_random(&state) % LEAST;
        unsigned char *grown = realloc(blocks[at], size);
        CHECK(grown != NULL, "realloc from %zu to %zu", old, size);
        moved += grown != blocks[at];
        blocks[at] = grown;
        sizes[at] = size;
        look(at, size < old ? size : old, "after realloc");
        paint(at);
        if (step % 20 == 0) expect_zeroes(LEAST + next_random(&state) % MOST);
    }
    CHECK(moved > 100, "only %d blocks moved, so little was tested", moved);
    for (int i = 0; i < BLOCKS; i++) {
        look(i, sizes[i], "at the end");
        free(blocks[i]);
    }
    expect_zeroes(64 << 20);
    if (moves_spoilt) {
        CHECK(moves_spoilt() > 0, "only %d system calls were spoilt, so little was tested", moves_spoilt());
        CHECK(strangers_harmed() == 0, "%d mappings of others were changed", strangers_harmed());
    }
    return 0;
}

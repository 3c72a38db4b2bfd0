/* Replays a trace of the malloc lab on mm_malloc and looks whether the heap does what it should.
 *
 *     cc -O2 -I crates/cairn-course/include -DMEMLIB crates/cairn-course/examples-c/lab.c \
 *        crates/cairn-course/examples-c/memlib.c target/release/libcairn_course.a -o lab
 *     ./lab crates/cairn-course/examples-c/short.rep
 *
 * With memlib.c the heap grows through its mem_sbrk; without it, and without -DMEMLIB, through sbrk.
 *
 * A trace has four numbers (suggested heap, ids, operations, weight) and a line for each operation: `a ID SIZE`, `r ID SIZE`,
 * `f ID`. It is replayed three times, each from an empty heap. */
#include "mm.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef MEMLIB
#include "memlib.h"
#endif

struct operation {
    char kind;
    int id;
    size_t size;
};

struct block {
    unsigned char *at;
    size_t size;
};

static struct operation *operations;
static struct block *blocks;
static int ids, count;

static void fail(int line, const char *what) {
    fprintf(stderr, "lab: operation %d: %s\n", line, what);
    exit(1);
}

static void read_trace(const char *path) {
    FILE *file = fopen(path, "r");
    int ignored;
    if (!file || fscanf(file, "%d %d %d %d", &ignored, &ids, &count, &ignored) != 4) fail(0, "no trace");
    operations = calloc((size_t)count, sizeof *operations);
    blocks = calloc((size_t)ids, sizeof *blocks);
    for (int i = 0; i < count; i++) {
        struct operation *o = &operations[i];
        if (fscanf(file, " %c %d", &o->kind, &o->id) != 2 || o->id < 0 || o->id >= ids) fail(i, "bad line");
        if (o->kind != 'f' && fscanf(file, "%zu", &o->size) != 1) fail(i, "no size");
    }
    fclose(file);
}

/* A block is aligned, in the heap, and apart from all others; its bytes are its id. */
static void take(int i, int id, void *at, size_t size) {
    unsigned char *lo = at, *hi = lo + size;
    if (!at) fail(i, "no block");
    if ((uintptr_t)lo % 16) fail(i, "the block is not aligned");
#ifdef MEMLIB
    if (lo < (unsigned char *)mem_heap_lo() || hi > (unsigned char *)mem_heap_hi() + 1) fail(i, "the block is outside");
#endif
    for (int other = 0; other < ids; other++) {
        struct block *b = &blocks[other];
        if (other != id && b->at && lo < b->at + b->size && b->at < hi) fail(i, "blocks overlap");
    }
    blocks[id] = (struct block){lo, size};
    memset(lo, id, size);
}

static void expect(int i, const unsigned char *at, int id, size_t size) {
    for (size_t n = 0; n < size; n++)
        if (at[n] != (unsigned char)id) fail(i, "the contents are lost");
}

/* One life of the heap. Gives the most bytes that lived at once. */
static size_t replay(void) {
    size_t live = 0, peak = 0;
#ifdef MEMLIB
    mem_reset_brk();
#endif
    if (mm_init() != 0) fail(0, "mm_init");
    memset(blocks, 0, (size_t)ids * sizeof *blocks);
    for (int i = 0; i < count; i++) {
        struct operation *o = &operations[i];
        struct block *b = &blocks[o->id], old = *b;
        live -= o->kind == 'a' ? 0 : old.size;
        switch (o->kind) {
        case 'a':
            take(i, o->id, mm_malloc(o->size), o->size);
            break;
        case 'r': {
            unsigned char *at = mm_realloc(old.at, o->size);
            b->at = NULL;
            if (at) expect(i, at, o->id, old.size < o->size ? old.size : o->size);
            take(i, o->id, at, o->size);
            break;
        }
        case 'f':
            expect(i, old.at, o->id, old.size);
            mm_free(old.at);
            *b = (struct block){NULL, 0};
            break;
        default:
            fail(i, "unknown operation");
        }
        live += b->size;
        peak = live > peak ? live : peak;
        if (mm_checkheap(__LINE__) != 1) fail(i, "the heap is not whole");
    }
    return peak;
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: lab TRACE\n");
        return 2;
    }
    read_trace(argv[1]);
#ifdef MEMLIB
    unsigned char *first = NULL;
    mem_init(20 << 20);
#endif
    for (int life = 1; life <= 3; life++) {
        size_t peak = replay();
#ifdef MEMLIB
        printf("%s: life %d: %d operations, %zu bytes at most, heap of %zu bytes: %.1f %%\n", team.teamname, life, count, peak,
               mem_heapsize(), 100.0 * (double)peak / (double)mem_heapsize());
        /* Each life begins where the first one did. */
        if (first && blocks[0].at != first) fail(0, "the old heap was not forgotten");
        first = blocks[0].at;
#else
        printf("%s: life %d: %d operations, %zu bytes at most\n", team.teamname, life, count, peak);
#endif
    }
    return 0;
}

/* Claim: realloc keeps the contents to the lesser size, at every step of chains that grow and shrink between one
 * byte and tens of megabytes; realloc(NULL, n) allocates; realloc(p, 0) frees and gives NULL, as glibc does. */
#include "check.h"

enum { SEED = 5 };

static void step(void **block, size_t *size, size_t wanted) {
    void *moved = realloc(*block, wanted);
    CHECK(moved != NULL, "realloc from %zu to %zu gave NULL", *size, wanted);
    size_t kept = *size < wanted ? *size : wanted;
    size_t place = differs(moved, kept, SEED);
    CHECK(place == kept, "realloc from %zu to %zu changed byte %zu", *size, wanted, place);
    CHECK(is_aligned(moved, wanted > 8 ? 16 : 8), "realloc to %zu gave %p", wanted, moved);
    CHECK(malloc_usable_size(moved) >= wanted, "realloc to %zu: %zu usable", wanted, malloc_usable_size(moved));
    fill(moved, wanted, SEED);
    *block = moved;
    *size = wanted;
}

int main(void) {
    void *block = NULL;
    size_t size = 0;
    /* By one byte. */
    for (size_t wanted = 1; wanted <= 3000; wanted++) step(&block, &size, wanted);
    for (size_t wanted = 3000; wanted >= 1; wanted--) step(&block, &size, wanted);
    /* By a third, with other blocks in the way. */
    for (int round = 0; round < 3; round++) {
        for (size_t wanted = 1; wanted < 24u << 20; wanted += wanted / 3 + 1) {
            void *neighbour = malloc(size + 1);
            step(&block, &size, wanted);
            free(neighbour);
        }
        for (size_t wanted = size; wanted > 1; wanted -= wanted / 3 + 1) step(&block, &size, wanted);
    }
    /* Back and forth between small and large. */
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 400; i++) {
        size_t wanted = 1 + next_random(&state) % ((size_t)1 << (next_random(&state) % 22));
        step(&block, &size, wanted);
    }
    /* A vector that grows by pages to 128 MiB. */
    free(block);
    block = NULL;
    size = 0;
    for (size_t wanted = 4096; wanted <= (size_t)128 << 20; wanted *= 2) {
        char *moved = realloc(block, wanted);
        CHECK(moved != NULL, "realloc to %zu", wanted);
        for (size_t at = 0; at < size; at += 4096) CHECK(moved[at] == (char)(at >> 12), "contents lost at %zu", at);
        for (size_t at = size; at < wanted; at += 4096) moved[at] = (char)(at >> 12);
        block = moved;
        size = wanted;
    }
    errno = 77;
    CHECK(realloc(block, opaque(0)) == NULL, "realloc(p, 0) is not NULL");
    CHECK(errno == 77, "realloc(p, 0) set errno to %d", errno);
    /* It was freed: 20 times 128 MiB would not fit if it weren't. */
    for (int i = 0; i < 20; i++) {
        block = malloc((size_t)128 << 20);
        CHECK(block != NULL, "malloc of 128 MiB, time %d", i);
        memset(block, 1, (size_t)128 << 20);
        CHECK(realloc(block, opaque(0)) == NULL, "realloc(p, 0) is not NULL");
    }
    long rss = status_kib("VmRSS");
    CHECK(rss < 1L << 20, "realloc(p, 0) frees nothing: %ld KiB are resident", rss);
    /* Small ones too. */
    for (int i = 0; i < 1000000; i++) CHECK(realloc(malloc(1000), opaque(0)) == NULL, "realloc(p, 0) is not NULL");
    CHECK(status_kib("VmRSS") < rss + (64 << 10), "realloc(p, 0) leaks small blocks");
    return 0;
}

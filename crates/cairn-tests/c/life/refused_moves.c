/* Claim: a move that the kernel refuses costs no memory: it happens each time when the map count is full or the limit on
 * address space is reached, and the span that the block was to move to is used again. */
#include "check.h"
#include <sys/resource.h>

enum { MIB = 1 << 20, ROUNDS = 60, WALLS = 8 };

static void limit_address_space(rlim_t bytes) {
    struct rlimit limit = {bytes, RLIM_INFINITY};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0, "setrlimit: %d", errno);
}

int main(void) {
    /* Room for what comes, so that nothing more is wanted from the kernel. */
    char *room = malloc(64 * MIB);
    memset(room, 1, 64 * MIB);
    free(room);
    long before = status_kib("VmRSS");
    for (int round = 0; round < ROUNDS; round++) {
        char *block = malloc(16 * MIB);
        CHECK(block != NULL, "round %d: malloc of 16 MiB", round);
        void *walls[WALLS];
        for (int i = 0; i < WALLS; i++) walls[i] = malloc(128 << 10);
        memset(block, 1, 16 * MIB);
        limit_address_space(16 * MIB);
        char *grown = realloc(block, 24 * MIB);
        limit_address_space(RLIM_INFINITY);
        if (grown) memset(grown, 2, 24 * MIB);
        free(grown ? grown : block);
        for (int i = 0; i < WALLS; i++) free(walls[i]);
    }
    long after = status_kib("VmRSS");
    CHECK(after < before + (100 << 10), "at most 64 MiB were live at a time, and RSS went from %ld to %ld KiB", before, after);
    return 0;
}

/* Does one thing that no program may do, and must not survive it; tests/abi/faults.rs reads the message. The first
 * argument says what; with a second one, "handler", SIGABRT has a handler, which allocates and frees and then ends the
 * process with 7. Prints the address in question first. */
#include "check.h"
#include <signal.h>

enum { OTHERS = 20000, LARGE = 1 << 20 };
static void *others[OTHERS];
static char global[64];

static void on_abort(int signal) {
    (void)signal;
    static void *blocks[3000];
    for (size_t i = 0; i < 3000; i++) blocks[i] = malloc(i % 40 == 0 ? 100000 : 40 + i % 7 * 100);
    for (size_t i = 0; i < 3000; i++) free(blocks[i]);
    _exit(7);
}

static void tell(const void *address) {
    printf("%p\n", address);
    fflush(stdout);
}

/* A small block goes through a bin, and is looked at when it leaves it for its slab: the newest ones do when the bin is
 * full. So others are freed before, to fill the bin, and after. */
static void free_others(int from, int to) {
    for (int i = from; i < to; i++) free(others[i]);
}

int main(int argc, char **argv) {
    CHECK(argc > 1, "usage: bad_free WHAT [handler]");
    if (argc > 2) signal(SIGABRT, on_abort);
    alarm(10);
    for (int i = 0; i < OTHERS; i++) others[i] = malloc(40);
    free_others(0, OTHERS / 2);
    const char *what = argv[1];
    char on_stack[64];
    char *block = malloc(40), *large = malloc(LARGE);
    memset(block, 1, 40);
    memset(large, 1, LARGE);
    if (strcmp(what, "twice") == 0) {
        tell(block);
        free(block);
        free(block);
        free_others(OTHERS / 2, OTHERS);
    } else if (strcmp(what, "twice-and-trim") == 0) {
        tell(block);
        free(block);
        free(block);
        malloc_trim(0);
    } else if (strcmp(what, "again-later") == 0) {
        /* The block has reached its slab when it is freed again. */
        tell(block);
        free(block);
        malloc_trim(0);
        free(block);
        free_others(OTHERS / 2, OTHERS);
    } else if (strcmp(what, "inside") == 0) {
        tell(block + 16);
        free(block + 16);
        free_others(OTHERS / 2, OTHERS);
    } else if (strcmp(what, "stack") == 0) {
        tell(on_stack);
        free(on_stack);
    } else if (strcmp(what, "global") == 0) {
        tell(global);
        free(global);
    } else if (strcmp(what, "wild") == 0) {
        tell((void *)0x7654321000);
        free((void *)0x7654321000);
    } else if (strcmp(what, "inside-large") == 0) {
        tell(large + 300000);
        free(large + 300000);
    } else if (strcmp(what, "large-twice") == 0) {
        tell(large);
        free(large);
        free(large);
    } else if (strcmp(what, "realloc-freed-large") == 0) {
        tell(large);
        free(large);
        CHECK(realloc(large, 2 * LARGE) == NULL, "realloc of a freed block gives one");
    } else if (strcmp(what, "realloc-stack") == 0) {
        tell(on_stack);
        CHECK(realloc(on_stack, 100) == NULL, "realloc of a stack address gives a block");
    } else {
        CHECK(0, "no such fault: %s", what);
    }
    return 0;
}

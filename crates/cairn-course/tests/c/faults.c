/* faults FAMILY FAULT: commits a fault, which must end the program. */
#include "must.h"
#include <dmm.h>
#include <hmm.h>
#include <mm.h>
#include <signal.h>

struct family {
    const char *name;
    void *(*allocate)(size_t);
    void (*release)(void *);
    void *(*resize)(void *, size_t);
};

static const struct family families[] = {
    {"mm", mm_malloc, mm_free, mm_realloc},
    {"dmm", dmalloc, dfree, NULL},
    {"hmm", HmmAlloc, HmmFree, HmmRealloc},
};

static const struct family *family;

/* The heap is not locked when the report is made. */
static void on_abort(int signal) {
    (void)signal;
    MUST(family->allocate(10));
    dprintf(1, "usable\n");
}

int main(int argc, char **argv) {
    MUST(argc == 3);
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(families[i].name, argv[1])) family = &families[i];
    MUST(family);
    signal(SIGABRT, on_abort);
    char *block = family->allocate(100), *guard = family->allocate(100);
    MUST(block && guard && family->allocate(100));
    const char *fault = argv[2];
    dprintf(1, "%p\n", (void *)block);
    if (!strcmp(fault, "double")) {
        family->release(block);
        family->release(block);
    } else if (!strcmp(fault, "joined")) { /* the second free comes after the block was joined with its neighbour */
        family->release(block);
        family->release(guard);
        family->release(block);
    } else if (!strcmp(fault, "foreign")) {
        char here[64];
        family->release(here + 16 - (uintptr_t)here % 16);
    } else if (!strcmp(fault, "wild")) {
        family->release((void *)0x123456789AB0);
    } else if (!strcmp(fault, "interior")) {
        family->release(block + 32);
    } else if (!strcmp(fault, "corrupted")) {
        memset(block, 1, 160);
        family->release(guard);
    } else if (!strcmp(fault, "realloc")) {
        family->release(block);
        family->resize(block, 200);
    } else if (!strcmp(fault, "other")) { /* a block of another heap */
        family->release(family == families ? HmmAlloc(10) : mm_malloc(10));
    }
    dprintf(2, "the fault was not noticed\n");
    return 0;
}

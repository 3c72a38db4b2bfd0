/* Does one thing that no program may do, and must not survive it; tests/abi/faults.rs reads the message. The first
 * argument says how the address is used ("free", "realloc", "usable", "sized N", "aligned-sized A N", "delete N", "delete-aligned A"),
 * the next ones which address it is; with a last one, "handler", SIGABRT has a handler, which allocates and frees and then ends
 * the process with 7. Prints the address in question first. Nothing is done after the fault: it must be found at once; but for
 * "free-and-trim", "free-and-others" and "free-elsewhere-and-trim", after which the block leaves its bin. */
#include "check.h"
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

enum { OTHERS = 20000, LARGE = 1 << 20, HUGE = 100 << 20 };
static void *others[OTHERS];
static char global[64];

void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
void _ZdlPvm(void *block, size_t size);
void _ZdlPvmSt11align_val_t(void *block, size_t size, size_t alignment);

static void on_abort(int signal) {
    (void)signal;
    static void *blocks[3000];
    /* A small one first: it may be the thread's first block ever. */
    free(malloc(40));
    for (size_t i = 0; i < 3000; i++) blocks[i] = malloc(i % 40 == 0 ? 100000 : 40 + i % 7 * 100);
    for (size_t i = 0; i < 3000; i++) free(blocks[i]);
    _exit(7);
}

static void *frees(void *block) {
    free(block);
    return NULL;
}

static void by_another_thread(void *block) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, frees, block) == 0, "no thread");
    pthread_join(thread, NULL);
}

/* The last round of destructors: the allocator's own one has run by then. */
static pthread_key_t at_end;
static _Thread_local int rounds;
static void ends(void *block) {
    if (++rounds < PTHREAD_DESTRUCTOR_ITERATIONS) {
        CHECK(pthread_setspecific(at_end, block) == 0, "no value");
    } else {
        free(block);
    }
}

static void *allocates_and_ends(void *block) {
    free(malloc(40));
    CHECK(pthread_setspecific(at_end, block) == 0, "no value");
    return NULL;
}

static void at_thread_end(void *block) {
    pthread_t thread;
    CHECK(pthread_key_create(&at_end, ends) == 0, "no key");
    CHECK(pthread_create(&thread, NULL, allocates_and_ends, block) == 0, "no thread");
    pthread_join(thread, NULL);
}

static void free_others(int from, int to) {
    for (int i = from; i < to; i++) free(others[i]);
}

static int is(const char *word, const char *name) { return strcmp(word, name) == 0; }

/* A block that by no chance has more of an alignment than it was asked for: hardened mode places blocks at random. */
static char *block_of(size_t size, size_t alignment) {
    char *block;
    do block = alignment > 0 ? aligned_alloc(alignment, size) : malloc(size);
    while ((uintptr_t)block % 1024 == 0);
    return block;
}

/* The address that the fault is about. */
static char *address(const char *what) {
    static char *block, *large;
    block = block_of(40, 0);
    large = malloc(LARGE);
    memset(block, 1, 40);
    memset(large, 1, LARGE);
    if (is(what, "live")) return block;
    if (is(what, "live-large")) return large;
    if (is(what, "live-aligned")) return block_of(192, 64);
    if (is(what, "inside")) return block + 16;
    if (is(what, "misaligned")) return block + 1;
    if (is(what, "inside-16-KiB")) return (char *)malloc(16000) + 4096;
    if (is(what, "inside-large")) return large + 300000;
    if (is(what, "inside-large-granule")) return large + 65536;
    /* What a slab has left behind its last block: 16 bytes, if it is one of 64 KiB. */
    if (is(what, "rest")) return (char *)(((uintptr_t)block | 65535) - 15);
    if (is(what, "global")) return global;
    if (is(what, "code")) return (char *)(void *)address;
    if (is(what, "wild")) return (char *)0x7654321000;
    if (is(what, "low")) return (char *)16;
    if (is(what, "mapped"))
        return mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (is(what, "freed")) {
        free(block);
        return block;
    }
    if (is(what, "freed-and-written")) {
        /* Nothing in the block tells any more that it is free. */
        free(block);
        memset(block, 7, 40);
        memset(block + 40, 0, malloc_usable_size(others[OTHERS / 2]) - 40);
        return block;
    }
    if (is(what, "freed-and-others")) {
        free(block);
        free_others(OTHERS / 2, OTHERS / 2 + 100);
        return block;
    }
    if (is(what, "freed-and-many-others")) {
        /* The block has left the thread's bin. */
        free(block);
        free_others(OTHERS / 2, OTHERS);
        return block;
    }
    if (is(what, "freed-and-trim")) {
        /* Its page has gone back to the kernel, and its contents with it. */
        free(block);
        for (int i = OTHERS / 2; i < OTHERS; i++)
            if (i % 500 != 0) free(others[i]);
        malloc_trim(0);
        return block;
    }
    if (is(what, "freed-by-another")) {
        by_another_thread(block);
        return block;
    }
    if (is(what, "freed-large")) {
        free(large);
        return large;
    }
    if (is(what, "freed-huge")) {
        char *huge = malloc(HUGE);
        huge[0] = huge[HUGE / 2] = 1;
        free(huge);
        return huge;
    }
    if (is(what, "freed-aligned")) {
        char *aligned = aligned_alloc(256, 512);
        free(aligned);
        return aligned;
    }
    if (is(what, "freed-aligned-large")) {
        char *aligned = aligned_alloc(LARGE, LARGE);
        free(aligned);
        return aligned;
    }
    if (is(what, "freed-16-KiB")) {
        char *middle = malloc(16000);
        free(middle);
        return middle;
    }
    CHECK(0, "no such address: %s", what);
    return NULL;
}

int main(int argc, char **argv) {
    CHECK(argc > 2, "usage: bad_free HOW ADDRESS [handler]");
    if (is(argv[argc - 1], "handler")) signal(SIGABRT, on_abort);
    alarm(120);
    for (int i = 0; i < OTHERS; i++) others[i] = malloc(40);
    free_others(0, OTHERS / 2);
    char on_stack[64];
    const char *how = argv[1], *what = argv[2];
    char *at = is(what, "stack") ? on_stack : address(what);
    printf("%p\n", (void *)at);
    fflush(stdout);
    if (is(how, "free")) {
        free(at);
    } else if (is(how, "free-and-trim")) {
        free(at);
        malloc_trim(0);
    } else if (is(how, "free-and-others")) {
        free(at);
        free_others(OTHERS / 2, OTHERS);
    } else if (is(how, "free-elsewhere-and-trim")) {
        /* The other thread's bins are emptied when it ends. */
        by_another_thread(at);
        malloc_trim(0);
    } else if (is(how, "free-elsewhere")) {
        by_another_thread(at);
    } else if (is(how, "free-at-thread-end")) {
        at_thread_end(at);
    } else if (is(how, "realloc")) {
        CHECK(realloc(at, 100) == NULL, "it was resized");
    } else if (is(how, "realloc-large")) {
        CHECK(realloc(at, 2 * LARGE) == NULL, "it was resized");
    } else if (is(how, "usable")) {
        CHECK(malloc_usable_size(at) == 0, "it has a size");
    } else if (is(how, "sized-200")) {
        free_sized(at, 200);
    } else if (is(how, "sized-32")) {
        free_sized(at, 32);
    } else if (is(how, "sized-huge")) {
        free_sized(at, HUGE);
    } else if (is(how, "sized-all")) {
        free_sized(at, SIZE_MAX);
    } else if (is(how, "aligned-sized-all-40")) {
        free_aligned_sized(at, SIZE_MAX, 40);
    } else if (is(how, "aligned-sized-3000-192")) {
        free_aligned_sized(at, 3000, 192);
    } else if (is(how, "aligned-sized-3-100")) {
        free_aligned_sized(at, 3, 100);
    } else if (is(how, "aligned-sized-64-100")) {
        free_aligned_sized(at, 64, 100);
    } else if (is(how, "aligned-sized-65536-192")) {
        free_aligned_sized(at, 65536, 192);
    } else if (is(how, "delete-200")) {
        _ZdlPvm(at, 200);
    } else if (is(how, "delete-24")) {
        _ZdlPvm(at, 24);
    } else if (is(how, "delete-aligned-4096-40")) {
        _ZdlPvmSt11align_val_t(at, 40, 4096);
    } else {
        CHECK(0, "no such use: %s", how);
    }
    printf("survived\n");
    return 0;
}

// One fault, named by the first argument. What the fault does is in functions with names of their own, so that a
// test can look for them in the backtraces.
#include "check.h"
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FUNCTION __attribute__((noinline, visibility("default")))

// What the compiler can't look through.
static void *volatile hidden;
static volatile char sink;

// After the call, so that the function has a frame while it allocates.
FUNCTION char *allocates(size_t size) {
    hidden = malloc(size);
    return hidden;
}

FUNCTION void frees(char *block) {
    free(block);
    sink = 1;
}

void free_sized(void *, size_t) __attribute__((weak));

FUNCTION void frees_sized(char *block, size_t size) {
    free_sized(block, size);
    sink = 1;
}

FUNCTION void reads(volatile char *at) {
    sink = *at;
    sink = 1;
}

FUNCTION void writes(volatile char *at) {
    *at = 7;
    sink = 1;
}

static void *freeing_thread(void *block) {
    frees(block);
    return NULL;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    // Left alone; so the program doesn't consist of one block.
    hidden = malloc(10);
    char *block = allocates(48);
    memset(block, 1, 48);
    if (!strcmp(what, "none")) {
        frees(block);
    } else if (!strcmp(what, "read-after-free")) {
        frees(block);
        reads(block + 16);
    } else if (!strcmp(what, "write-after-free")) {
        frees(block);
        writes(block + 47);
    } else if (!strcmp(what, "freed-by-thread")) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, freeing_thread, block)) return 3;
        pthread_join(thread, NULL);
        reads(block);
    } else if (!strcmp(what, "overflow")) {
        writes(block + 48);
    } else if (!strcmp(what, "overflow-of-odd")) {
        // Its end can't touch the guard: the pattern behind it tells.
        char *odd = allocates(41);
        writes(odd + 41);
        frees(odd);
    } else if (!strcmp(what, "underflow")) {
        writes(block - 1);
        frees(block);
    } else if (!strcmp(what, "far-overflow")) {
        reads(block + 5000);
    } else if (!strcmp(what, "large-overflow")) {
        char *large = allocates(5 << 20);
        memset(large, 1, 5 << 20);
        writes(large + (5 << 20));
    } else if (!strcmp(what, "large-use-after-free")) {
        char *large = allocates(5 << 20);
        frees(large);
        reads(large + (3 << 20));
    } else if (!strcmp(what, "double-free")) {
        frees(block);
        frees(block);
    } else if (!strcmp(what, "double-free-later")) {
        frees(block);
        for (int i = 0; i < 40; i++) free(malloc(48));
        frees(block);
    } else if (!strcmp(what, "interior-free")) {
        frees(block + 16);
    } else if (!strcmp(what, "wrong-size")) {
        frees_sized(allocates(40), 40);
        frees_sized(block, 47);
    } else if (!strcmp(what, "realloc-of-freed")) {
        frees(block);
        hidden = realloc(block, 100);
    } else if (!strcmp(what, "usable-size-of-freed")) {
        frees(block);
        sink = (char)malloc_usable_size(block);
    } else if (!strcmp(what, "stale-after-realloc")) {
        char *moved = realloc(block, 100);
        memset(moved, 2, 100);
        writes(block);
    } else if (!strcmp(what, "empty")) {
        writes(allocates(0));
    } else if (!strcmp(what, "null")) {
        reads((char *)16);
    } else {
        fprintf(stderr, "no such fault: %s\n", what);
        return 2;
    }
    return 0;
}

/* A model of the program break: a region that only grows until it is reset. */
#include "memlib.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char *first, *brk_now, *limit;

void mem_init(size_t most) {
    first = malloc(most);
    if (!first) {
        perror("mem_init");
        exit(1);
    }
    brk_now = first;
    limit = first + most;
}

void mem_reset_brk(void) { brk_now = first; }

void *mem_sbrk(int more) {
    if (more < 0 || more > limit - brk_now) {
        errno = ENOMEM;
        return (void *)-1;
    }
    char *was = brk_now;
    brk_now += more;
    return was;
}

void *mem_heap_lo(void) { return first; }
void *mem_heap_hi(void) { return brk_now - 1; }
size_t mem_heapsize(void) { return (size_t)(brk_now - first); }

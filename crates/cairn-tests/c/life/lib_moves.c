/* Preloaded behind the library under test: makes the system calls that move a large block fail, as kernels may.
 *
 *   MOVES_TORN=n     each n-th mremap to a fixed place unmaps the destination and then fails with EFAULT, as kernels
 *                    before 6.17 do if the source is more than one mapping
 *   MOVES_REFUSED=n  each n-th fails with ENOMEM before anything has changed
 *   HOLES_TAKEN=n    each n-th mmap of a vacant place finds another mapping there, as if another thread had been quicker;
 *                    what is mapped there must stay as it is
 *
 * `moves_spoilt` tells how often one of these happened, `strangers_harmed` how many of those mappings were changed. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STRANGERS_MAX = 4096, MARK = 0x57a26e };
static struct { int *at; size_t bytes; } strangers[STRANGERS_MAX];
static size_t stranger_count;
static int spoilt;

static int setting(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

/* Whether it is the turn of one of every `each` calls. The programs that use this have one thread. */
static int its_turn(int each, int *calls) {
    if (each == 0 || ++*calls % each) return 0;
    spoilt++;
    return 1;
}

int moves_spoilt(void) { return spoilt; }

int strangers_harmed(void) {
    int harmed = 0;
    for (size_t i = 0; i < stranger_count; i++) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        for (size_t at = 0; at < strangers[i].bytes; at += page)
            if (strangers[i].at[at / sizeof(int)] != MARK) {
                harmed++;
                break;
            }
    }
    return harmed;
}

void *mremap(void *old, size_t old_bytes, size_t new_bytes, int flags, ...) {
    static int torn, refused;
    va_list rest;
    va_start(rest, flags);
    void *to = flags & MREMAP_FIXED ? va_arg(rest, void *) : NULL;
    va_end(rest);
    if (to && its_turn(setting("MOVES_TORN"), &torn)) {
        munmap(to, new_bytes);
        errno = EFAULT;
        return MAP_FAILED;
    }
    if (to && its_turn(setting("MOVES_REFUSED"), &refused)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mremap, old, old_bytes, new_bytes, flags, to);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset) {
    static int taken;
    if (flags & MAP_FIXED_NOREPLACE && its_turn(setting("HOLES_TAKEN"), &taken)) {
        int *stranger = (int *)syscall(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
        if (stranger == at && stranger_count < STRANGERS_MAX) {
            size_t page = (size_t)sysconf(_SC_PAGESIZE);
            for (size_t i = 0; i < bytes; i += page) stranger[i / sizeof(int)] = MARK;
            mprotect(stranger, bytes, PROT_READ); /* whoever writes there dies */
            strangers[stranger_count].at = stranger;
            strangers[stranger_count++].bytes = bytes;
        }
        errno = EEXIST;
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

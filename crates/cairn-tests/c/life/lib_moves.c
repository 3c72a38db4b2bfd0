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
#include <dlfcn.h>
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

/* The call itself, by whoever would make it without this library. */
static long kernel(long number, long a, long b, long c, long d, long e, long f) {
    static long (*made_by)(long, ...);
    if (!made_by) made_by = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return made_by(number, a, b, c, d, e, f);
}

static long mremap_fixed(long old, long old_bytes, long new_bytes, long flags, long to) {
    static int torn, refused;
    if (its_turn(setting("MOVES_TORN"), &torn)) {
        munmap((void *)to, (size_t)new_bytes);
        errno = EFAULT;
        return -1;
    }
    if (its_turn(setting("MOVES_REFUSED"), &refused)) {
        errno = ENOMEM;
        return -1;
    }
    return kernel(SYS_mremap, old, old_bytes, new_bytes, flags, to, 0);
}

static long mmap_vacant(long at, long bytes, long protection, long flags, long fd, long offset) {
    static int taken;
    if (its_turn(setting("HOLES_TAKEN"), &taken)) {
        int *stranger = (int *)kernel(SYS_mmap, at, bytes, PROT_READ | PROT_WRITE, flags, fd, offset);
        if (stranger == (int *)at && stranger_count < STRANGERS_MAX) {
            size_t page = (size_t)sysconf(_SC_PAGESIZE);
            for (size_t i = 0; i < (size_t)bytes; i += page) stranger[i / sizeof(int)] = MARK;
            mprotect(stranger, (size_t)bytes, PROT_READ); /* whoever writes there dies */
            strangers[stranger_count].at = stranger;
            strangers[stranger_count++].bytes = (size_t)bytes;
        }
        errno = EEXIST;
        return -1;
    }
    return kernel(SYS_mmap, at, bytes, protection, flags, fd, offset);
}

/* The one function by which the library under test calls the kernel. It gives all six arguments, whatever the call takes. */
long syscall(long number, ...) {
    va_list rest;
    va_start(rest, number);
    long a[6];
    for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_mremap && a[3] & MREMAP_FIXED) return mremap_fixed(a[0], a[1], a[2], a[3], a[4]);
    if (number == SYS_mmap && a[3] & MAP_FIXED_NOREPLACE) return mmap_vacant(a[0], a[1], a[2], a[3], a[4], a[5]);
    return kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* What every test program includes: CHECK, and a constructor that makes sure the program runs on the library under
 * test. A program says nothing and ends with 0, or says what failed and where and ends with 1. */
#ifndef CAIRN_CHECK_H
#define CAIRN_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* CHECK(condition, "format", ...): the words should tell what was seen. They are written without stdio's buffer, so
 * that they arrive even if the heap is broken. */
#define CHECK(condition, ...)                                                                    \
    do {                                                                                         \
        if (!(condition)) {                                                                      \
            char words_[512];                                                                    \
            int n_ = snprintf(words_, sizeof words_, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
            n_ += snprintf(words_ + n_, sizeof words_ - n_, __VA_ARGS__);                        \
            if (n_ > (int)sizeof words_ - 1) n_ = sizeof words_ - 1;                             \
            words_[n_] = '\n';                                                                   \
            if (write(2, words_, n_ + 1) < 0) _exit(2);                                          \
            _exit(1);                                                                            \
        }                                                                                        \
    } while (0)

/* The audit of the whole heap, if the library has one: 0 if every invariant holds, below 0 if there is no memory for it. */
extern int cairn_check(void) __attribute__((weak));
#define AUDIT(where)                                                                             \
    do {                                                                                         \
        if (cairn_check) CHECK(cairn_check() <= 0, "the audit %s found a violation", where);     \
    } while (0)

/* Whether memory that was freed is kept from use for long, so that its bounds are others: debug mode. */
static inline __attribute__((unused)) int keeps_what_was_freed(void) {
    const char *mode = getenv("CAIRN_MODE");
    return mode && strcmp(mode, "debug") == 0;
}

/* Hides a value from the optimiser. */
static inline __attribute__((unused)) size_t opaque(size_t value) {
    __asm__ volatile("" : "+r"(value));
    return value;
}

static inline __attribute__((unused)) int is_aligned(const void *block, size_t align) {
    return ((uintptr_t)block & (align - 1)) == 0;
}

/* A pattern that depends on the block's seed and the byte's place. */
static inline __attribute__((unused)) void fill(void *block, size_t size, unsigned seed) {
    unsigned char *bytes = (unsigned char *)block;
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(seed * 31u + i * 7u + (i >> 8));
}

/* The place of the first byte that differs from the pattern, or `size`. */
static inline __attribute__((unused)) size_t differs(const void *block, size_t size, unsigned seed) {
    const unsigned char *bytes = (const unsigned char *)block;
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != (unsigned char)(seed * 31u + i * 7u + (i >> 8))) return i;
    return size;
}

/* xorshift: the same numbers on every machine. */
static inline __attribute__((unused)) uint64_t next_random(uint64_t *state) {
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return *state = x;
}

/* A line of /proc/self/status in KiB, for example VmRSS, read without allocating. */
static inline __attribute__((unused)) long status_kib(const char *name);

#include <fcntl.h>
static inline long status_kib(const char *name) {
    static __thread char text[8192];
    int fd = open("/proc/self/status", O_RDONLY);
    if (fd < 0) return -1;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0) return -1;
    text[n] = 0;
    const char *line = strstr(text, name);
    return line ? atol(strchr(line, ':') + 1) : -1;
}

/* The audit of the whole heap, if malloc is Cairn's. Where memory is short it may have no memory of its own: -1. */
extern int cairn_check(void) __attribute__((weak));
static inline __attribute__((unused)) void expect_whole_heap(void) {
    if (cairn_check) CHECK(cairn_check() <= 0, "the heap is damaged in process %d", (int)getpid());
}
/* Every program ends with one. */
__attribute__((destructor)) static void ends_with_a_whole_heap(void) {
    if (cairn_check && cairn_check() > 0) _exit(77);
}

#ifndef CHECK_STATIC
__attribute__((constructor)) static void runs_on_the_library(void) {
    const char *expected = getenv("EXPECTED_MALLOC");
    if (!expected) return;
    Dl_info info;
    CHECK(dladdr((void *)malloc, &info) != 0, "malloc is in no known object");
    CHECK(strcmp(info.dli_fname, expected) == 0, "malloc is %s's, not %s's: the preload was lost", info.dli_fname, expected);
}
#endif
#endif

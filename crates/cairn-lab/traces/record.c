/* Records the heap requests of a program with one thread: cc -O1 -fno-builtin -shared -fPIC -o record.so record.c
 *
 *   env -i LD_PRELOAD=$PWD/record.so RECORD=$PWD/x.bin PROGRAM...;   python3 rep.py x.bin x.rep.gz
 *
 * Each request is four words: its letter (a, r, f), the block, the size, and for realloc the old block. Sizes are those
 * that the program asked for; alignments are not kept. Programs that it starts are not recorded. glibc only. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

static char buffer[1 << 16];
static size_t used;
static int file = -2; /* not opened yet */

__attribute__((destructor)) static void flush(void) {
    if (file >= 0 && used) (void)!write(file, buffer, used);
    used = 0;
}

static void put(char letter, uint64_t block, uint64_t size, uint64_t old) {
    if (file == -2) {
        int saved = errno;
        const char *path = getenv("RECORD");
        file = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;
        unsetenv("RECORD");
        unsetenv("LD_PRELOAD");
        errno = saved;
    }
    if (file < 0) return;
    uint64_t words[4] = {(uint64_t)letter, block, size, old};
    if (used + sizeof words > sizeof buffer) flush();
    memcpy(buffer + used, words, sizeof words);
    used += sizeof words;
}

void *malloc(size_t size) {
    void *block = __libc_malloc(size);
    if (block) put('a', (uint64_t)block, size, 0);
    return block;
}

void *calloc(size_t count, size_t each) {
    void *block = __libc_calloc(count, each);
    if (block) put('a', (uint64_t)block, count * each, 0);
    return block;
}

void free(void *block) {
    if (block) put('f', (uint64_t)block, 0, 0);
    __libc_free(block);
}

void *realloc(void *old, size_t size) {
    void *block = __libc_realloc(old, size);
    if (block) put(old ? 'r' : 'a', (uint64_t)block, size, (uint64_t)old);
    else if (old && !size) put('f', (uint64_t)old, 0, 0);
    return block;
}

void *memalign(size_t alignment, size_t size) {
    void *block = __libc_memalign(alignment, size);
    if (block) put('a', (uint64_t)block, size, 0);
    return block;
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}

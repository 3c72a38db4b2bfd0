/* Records which sizes a program asks for, as a histogram of the blocks that are live when most small bytes are.
 *
 *   cc -O2 -shared -fPIC -o sizes.so sizes.c
 *   LD_PRELOAD=./sizes.so CAIRN_SIZES=/tmp/sizes program arguments
 *
 * Each process writes /tmp/sizes.NAME.PID at its end: lines "size count", sizes as the program asked for them, sorted;
 * first a line that begins with '#'. Blocks above 32 KiB, which are no small ones, are only summed up there.
 * data/sizes holds such files; `cairn-bench classes` reads them. See docs/decisions/size-classes.md.
 *
 * How: the C library's own allocator does the work, and a table of open addressing keeps the size of each live block,
 * under one lock. That is slow, and doesn't matter. A snapshot is taken when the live small bytes exceed the last
 * snapshot's by 1 %, so the histogram is within 1 % of the true peak.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SMALL_MAX 32768
#define SLOTS ((size_t)1 << 24)

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

struct live { uintptr_t block; size_t size; };

static struct live *table; /* block 0: free */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned count[SMALL_MAX + 1], peak[SMALL_MAX + 1];
static size_t small_bytes, peak_bytes, large_bytes, large_count, peak_large_bytes, peak_large_count;

static size_t slot_of(uintptr_t block) { return (block >> 4) * 0x9e3779b97f4a7c15u >> 40; }

static void tally(size_t size, int sign) {
    if (size > SMALL_MAX) {
        large_bytes += sign * size;
        large_count += sign;
        return;
    }
    count[size] += sign;
    small_bytes += sign * size;
    if (small_bytes > peak_bytes + peak_bytes / 100) {
        memcpy(peak, count, sizeof count);
        peak_bytes = small_bytes;
        peak_large_bytes = large_bytes;
        peak_large_count = large_count;
    }
}

static void born(void *block, size_t size) {
    if (!block) return;
    pthread_mutex_lock(&lock);
    if (!table) {
        table = mmap(0, SLOTS * sizeof *table, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (table == MAP_FAILED) abort();
    }
    size_t i = slot_of((uintptr_t)block);
    while (table[i].block) i = (i + 1) % SLOTS;
    table[i] = (struct live){ (uintptr_t)block, size };
    tally(size, 1);
    pthread_mutex_unlock(&lock);
}

/* The slot of a block, or an empty one. Under the lock. */
static size_t find(void *block) {
    size_t i = slot_of((uintptr_t)block);
    while (table[i].block && table[i].block != (uintptr_t)block) i = (i + 1) % SLOTS;
    return i;
}

static void dead(void *block) {
    if (!block || !table) return;
    pthread_mutex_lock(&lock);
    size_t hole = find(block);
    if (table[hole].block) {
        tally(table[hole].size, -1);
        /* What stands behind moves up if it may, so that no search ends too early. */
        for (size_t i = (hole + 1) % SLOTS; table[i].block; i = (i + 1) % SLOTS)
            if ((i - slot_of(table[i].block)) % SLOTS >= (i - hole) % SLOTS) {
                table[hole] = table[i];
                hole = i;
            }
        table[hole] = (struct live){ 0, 0 };
    }
    pthread_mutex_unlock(&lock);
}

void *malloc(size_t size) {
    void *block = __libc_malloc(size);
    born(block, size);
    return block;
}

void free(void *block) {
    dead(block);
    __libc_free(block);
}

void *calloc(size_t n, size_t size) {
    void *block = __libc_calloc(n, size);
    born(block, n * size);
    return block;
}

/* Between the two calls another thread may get the old block; so the old one leaves the table first. */
void *realloc(void *old, size_t size) {
    dead(old);
    void *block = __libc_realloc(old, size);
    if (size) born(block, size);
    return block;
}

void *reallocarray(void *old, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return 0;
    }
    return realloc(old, bytes);
}

void *memalign(size_t align, size_t size) {
    void *block = __libc_memalign(align, size);
    born(block, size);
    return block;
}

void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }

int posix_memalign(void **out, size_t align, size_t size) {
    void *block = memalign(align, size);
    if (!block) return ENOMEM;
    *out = block;
    return 0;
}

/* What was asked for: no program asks for more than it was told (redis sums this up). */
size_t malloc_usable_size(void *block) {
    if (!block || !table) return 0;
    pthread_mutex_lock(&lock);
    size_t size = table[find(block)].size;
    pthread_mutex_unlock(&lock);
    return size;
}

static void put(int file, const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (write(file, line, length) != length) _exit(99);
}

__attribute__((destructor)) static void report(void) {
    const char *prefix = getenv("CAIRN_SIZES");
    if (!prefix || !peak_bytes) return;
    char path[512];
    snprintf(path, sizeof path, "%s.%s.%d", prefix, program_invocation_short_name, (int)getpid());
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (file < 0) return;
    put(file, "# %s: %zu bytes in small blocks at the peak; above %d bytes: %zu blocks, %zu bytes\n",
        program_invocation_short_name, peak_bytes, SMALL_MAX, peak_large_count, peak_large_bytes);
    for (int size = 0; size <= SMALL_MAX; size++)
        if (peak[size]) put(file, "%d %u\n", size, peak[size]);
    close(file);
}

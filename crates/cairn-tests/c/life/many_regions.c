/* Claim: a heap that lies in several regions works as one that lies in one. To be run with a limit on address space, where a region grows
 * in place if it can: here each time something else stands behind it, so that the heap goes on elsewhere.
 *
 * Without an argument all that is promised is checked. With one, the fault of that name is committed in a block that lies in
 * the last region. */
#include "../check.h"
#include <pthread.h>
#include <sys/mman.h>

enum { MOST = 60000, WANTED = 3 };
static const size_t sizes[] = {24, 40, 200, 3000, 20000, 100000, 1 << 20};
static struct { unsigned char *at; size_t size; unsigned region; } blocks[MOST];
static size_t count;
/* Where each region begins and ends, as far as mappings that touch tell. */
static struct { uintptr_t from, to; } regions[64];
static unsigned known;

/* The mappings around an address that touch each other; a page that nobody may use is put behind them. */
static int enclose(uintptr_t at, uintptr_t *from, uintptr_t *to) {
    static char text[1 << 18];
    size_t length = 0;
    int fd = open("/proc/self/maps", O_RDONLY);
    for (ssize_t n; length < sizeof text - 1 && (n = read(fd, text + length, sizeof text - 1 - length)) > 0;) length += (size_t)n;
    close(fd);
    text[length] = 0;
    *from = *to = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        uintptr_t begin = strtoul(line, &line, 16), end = strtoul(line + 1, NULL, 16);
        if (begin != *to) {
            if (at >= *from && at < *to) break;
            *from = begin;
        }
        *to = end;
    }
    CHECK(at >= *from && at < *to, "%#zx is in no mapping", (size_t)at);
    void *page = mmap((void *)*to, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return page == (void *)*to;
}

static unsigned region_of(uintptr_t at) {
    for (unsigned i = 0; i < known; i++)
        if (at >= regions[i].from && at < regions[i].to) return i;
    CHECK(known < 64, "so many regions");
    enclose(at, &regions[known].from, &regions[known].to);
    return known++;
}

static void add(size_t size) {
    unsigned char *at = malloc(size);
    CHECK(at != NULL, "malloc(%zu) with %zu blocks in %u regions", size, count, known);
    fill(at, size, (unsigned)count);
    blocks[count].at = at;
    blocks[count].size = size;
    blocks[count].region = region_of((uintptr_t)at);
    count++;
}

static void check(size_t i) {
    CHECK(malloc_usable_size(blocks[i].at) >= blocks[i].size, "block %zu", i);
    CHECK(differs(blocks[i].at, blocks[i].size, (unsigned)i) == blocks[i].size, "block %zu of %zu changed", i, blocks[i].size);
}

static void *frees_every_third(void *unused) {
    for (size_t i = 0; i < count; i += 3) {
        check(i);
        free(blocks[i].at);
        blocks[i].at = NULL;
    }
    return unused;
}

static void works(void) {
    expect_whole_heap();
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, frees_every_third, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    expect_whole_heap();
    for (size_t i = 0; i < count; i++) {
        if (!blocks[i].at) {
            blocks[i].size = sizes[(i + 1) % 6];
            blocks[i].at = calloc(1, blocks[i].size);
            CHECK(blocks[i].at != NULL, "calloc(%zu)", blocks[i].size);
            for (size_t k = 0; k < blocks[i].size; k++) CHECK(blocks[i].at[k] == 0, "byte %zu of block %zu isn't zero", k, i);
            fill(blocks[i].at, blocks[i].size, (unsigned)i);
        } else if (i % 3 == 1) {
            check(i);
            size_t to = sizes[(i + 2) % 6], both = to < blocks[i].size ? to : blocks[i].size;
            blocks[i].at = realloc(blocks[i].at, to);
            CHECK(blocks[i].at != NULL && differs(blocks[i].at, both, (unsigned)i) == both, "realloc to %zu", to);
            fill(blocks[i].at, to, (unsigned)i);
            blocks[i].size = to;
        }
    }
    expect_whole_heap();
    for (size_t i = 0; i < count; i++) {
        check(i);
        free(blocks[i].at);
    }
    expect_whole_heap();
}

/* A live block of a size in the last region that has one. */
static unsigned char *late_block(size_t size) {
    for (unsigned region = known; region-- > 1;)
        for (size_t i = count; i-- > 0;)
            if (blocks[i].size == size && blocks[i].region == region) return blocks[i].at;
    CHECK(0, "no block of %zu bytes but in the first region", size);
    return NULL;
}

/* What the compiler must not follow. */
static volatile unsigned char *hide;
static unsigned char *hidden(void *at) {
    hide = at;
    return (unsigned char *)(opaque((uintptr_t)hide));
}

int main(int argc, char **argv) {
    alarm(400);
    while (known < WANTED || blocks[count - 1].region < WANTED - 1) {
        CHECK(count + 7 < MOST, "%u regions with %zu blocks", known, count);
        for (int i = 0; i < 7; i++) add(sizes[i]);
    }
    /* So many that their slabs lie there too; where slabs stand at random places, there may be room for them in the first region. */
    for (int i = 0; i < 8000 || (blocks[count - 1].region == 0 && count + 1 < MOST); i++) add(40);
    if (argc == 1) {
        works();
        return 0;
    }
    unsigned char *small = late_block(40), *large = late_block(1 << 20);
#define IS(name) (strcmp(argv[1], name) == 0)
    if (IS("double")) {
        free(small);
        free(hidden(small));
    } else if (IS("double-large")) {
        free(large);
        free(hidden(large));
    } else if (IS("interior")) {
        free(hidden(small + 16));
    } else if (IS("overflow")) {
        *hidden(small + 40) = 'x';
        free(small);
    } else if (IS("overflow-large")) {
        *hidden(large + (1 << 20)) = 'x';
    } else if (IS("write-after-free")) {
        free(small);
        *hidden(small + 16) = 'x';
        for (int i = 0; i < 100000; i++) free(hidden(malloc(40)));
    } else if (IS("read-after-free-large")) {
        free(large);
        return *hidden(large + 5000);
    }
    return 5;
}

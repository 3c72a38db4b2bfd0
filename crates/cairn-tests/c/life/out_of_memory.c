/* Claim: when memory runs out, malloc gives NULL with ENOMEM and what is held stays whole; what is freed can be used
 * again, also in other sizes. The arguments: the least number of MiB that must be granted before that, for blocks
 * up to 1,000 bytes, of 100 KB, and of both. */
#include "check.h"
#include <pthread.h>

enum { LIMIT = 4000000 };
static char *blocks[LIMIT];
static unsigned sizes[LIMIT];

static size_t size_of(int kind, uint64_t *state) {
    uint64_t number = next_random(state);
    if (kind == 0) return 8 + number % 1000;
    if (kind == 1) return 100000;
    return number % 50 == 0 ? 100000 + number % 300000 : 8 + number % 1000;
}

static void *little_thread(void *unused) {
    for (int i = 0; i < 1000; i++) {
        void *block = malloc(i + 1);
        CHECK(block != NULL, "malloc(%d) in a thread, after memory was freed", i + 1);
        free(block);
    }
    return unused;
}

int main(int argc, char **argv) {
    CHECK(argc == 4, "usage: out_of_memory MIB MIB MIB");
    for (int round = 0; round < 6; round++) {
        int kind = round % 3, count = 0;
        uint64_t state = 77 + round;
        size_t granted = 0;
        errno = 0;
        for (;;) {
            CHECK(count < LIMIT, "memory does not run out");
            size_t size = size_of(kind, &state);
            char *block = malloc(size);
            if (!block) break;
            for (size_t at = 0; at < size; at += 4096) block[at] = (char)count;
            block[size - 1] = (char)count;
            sizes[count] = (unsigned)size;
            blocks[count++] = block;
            granted += size;
        }
        CHECK(errno == ENOMEM, "malloc failed with errno %d", errno);
        size_t least = strtoul(argv[1 + kind], NULL, 10) << 20;
        CHECK(granted >= least, "round %d: memory ran out after %zu MiB, %zu were to be had", round, granted >> 20, least >> 20);
        errno = 0;
        CHECK(calloc(1, 64 << 20) == NULL && errno == ENOMEM, "calloc of 64 MiB, errno %d", errno);
        char *kept = realloc(blocks[0], 300 << 20);
        CHECK(kept == NULL && errno == ENOMEM, "realloc to 300 MiB, errno %d", errno);
        void *aligned = (void *)1;
        CHECK(posix_memalign(&aligned, 1 << 20, 64 << 20) == ENOMEM, "posix_memalign of 64 MiB");
        /* Free every second one, and use what came free. */
        for (int i = 0; i < count; i += 2) {
            free(blocks[i]);
            blocks[i] = NULL;
        }
        for (int i = 0; i < count; i += 4) {
            blocks[i] = malloc(sizes[i]);
            CHECK(blocks[i] != NULL, "round %d: half is free, and malloc(%u) fails", round, sizes[i]);
            *blocks[i] = (char)i;
        }
        for (int i = 0; i < count; i++) {
            CHECK(!blocks[i] || *blocks[i] == (char)i, "block %d changed", i);
            free(blocks[i]);
        }
        /* All is free, so a block of other size must fit. Not one of all of it: where address space is short, the
         * allocator took it in several regions, and a block lies in one; and what a thread keeps at hand lies here and
         * there until malloc_trim. */
        for (int trimmed = 0; trimmed < 2; trimmed++) {
            size_t large = trimmed ? least / 5 : least / 8;
            char *block = malloc(large);
            CHECK(block != NULL, "round %d: all is free, and %zu MiB do not fit%s", round, large >> 20, trimmed ? " after malloc_trim" : "");
            memset(block, 1, large);
            free(block);
            malloc_trim(0);
        }
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 << 10);
        pthread_t thread;
        CHECK(pthread_create(&thread, &attributes, little_thread, NULL) == 0, "pthread_create after memory was freed");
        pthread_join(thread, NULL);
    }
    return 0;
}

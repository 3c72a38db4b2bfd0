/* After a peak: 200 MB of blocks of 8 to 256 KiB, of which 95 % are freed at random; then one malloc and its free every
 * `pause` milliseconds, for five seconds. Arguments: the pause, and "here" or "elsewhere": who had the peak, the
 * thread that goes on, or one that waits from then on.
 * Prints the live bytes and the resident set at the end, in bytes. */
#include "check.h"
#include <pthread.h>
#include <time.h>

enum { PEAK = 200 * 1000 * 1000, BLOCKS = 4096 };
static void *blocks[BLOCKS];
static size_t sizes[BLOCKS];
static size_t live;
static pthread_barrier_t over;

static void peak(void) {
    uint64_t state = 42;
    int count = 0;
    while (live < PEAK && count < BLOCKS) {
        size_t size = 8192 + next_random(&state) % (248 * 1024);
        sizes[count] = size;
        blocks[count] = malloc(size);
        CHECK(blocks[count] != NULL, "malloc(%zu)", size);
        fill(blocks[count], size, count);
        live += size;
        count++;
    }
    int keep = count / 20;
    for (int left = count; left > keep; left--) {
        int at = (int)(next_random(&state) % (uint64_t)left);
        live -= sizes[at];
        free(blocks[at]);
        blocks[at] = blocks[left - 1];
        sizes[at] = sizes[left - 1];
    }
}

static void *elsewhere(void *unused) {
    peak();
    pthread_barrier_wait(&over);
    pthread_barrier_wait(&over);
    return unused;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    CHECK(argc == 3, "two arguments");
    long pause_ms = atol(argv[1]);
    pthread_t thread;
    int is_elsewhere = strcmp(argv[2], "elsewhere") == 0;
    if (is_elsewhere) {
        pthread_barrier_init(&over, NULL, 2);
        CHECK(pthread_create(&thread, NULL, elsewhere, NULL) == 0, "pthread_create");
        pthread_barrier_wait(&over);
    } else {
        peak();
    }
    for (double end = now() + 5; now() < end;) {
        struct timespec pause = {pause_ms / 1000, pause_ms % 1000 * 1000000};
        char *block = malloc(100);
        CHECK(block != NULL, "malloc(100)");
        *(volatile char *)block = 1;
        free(block);
        nanosleep(&pause, NULL);
    }
    printf("%zu %ld\n", live, status_kib("VmRSS") * 1024);
    if (is_elsewhere) {
        pthread_barrier_wait(&over);
        pthread_join(thread, NULL);
    }
    return 0;
}

// How many of so many blocks are guarded: only those have the very size that was asked for as their usable size.
// With "free" each is freed before the next one is asked for; else all are held.
#include "check.h"

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1000;
    int holds = argc <= 2;
    enum { SIZE = 33 };
    long drawn = 0;
    for (long i = 0; i < count; i++) {
        char *block = malloc(SIZE);
        CHECK(block != NULL, "malloc %ld", i);
        memset(block, (int)i, SIZE);
        drawn += malloc_usable_size(block) == SIZE;
        if (!holds) free(block);
    }
    printf("%ld\n", drawn);
    return 0;
}

/* Hmm*: the break rises, falls when the top is freed, and is where it was when all is freed. */
#include "must.h"
#include <hmm.h>

static char *now(void) { return sbrk(0); }

int main(int argc, char **argv) {
    /* A break at an odd address comes back to it as well. */
    if (argc > 1) MUST(sbrk(atoi(argv[1])) != (void *)-1);
    char *before = now();
    for (int life = 0; life < 3; life++) {
        char *low = HmmAlloc(10000), *middle = HmmCalloc(100, 100), *top = HmmAlloc(500000);
        MUST(low && middle && top && low < middle && middle < top);
        MUST((uintptr_t)low % 16 == 0 && low >= before);
        memset(top, 1, 500000);
        for (int i = 0; i < 10000; i++) MUST(middle[i] == 0);
        char *high = now();
        MUST(high >= top + 500000);

        /* A hole in the middle changes nothing; the freed top does, down to the hole's end and then to its beginning. */
        HmmFree(top);
        MUST(now() >= middle + 10000 && now() < middle + 10000 + 64);
        top = HmmAlloc(300000);
        MUST(now() >= top + 300000);
        HmmFree(middle);
        MUST(now() >= top + 300000);
        HmmFree(top);
        MUST(now() >= low + 10000 && now() < low + 10000 + 64);

        /* realloc moves the break as well. */
        MUST((low = HmmRealloc(low, 200000)));
        MUST(now() >= low + 200000);
        memset(low, 5, 200000);
        MUST((low = HmmRealloc(low, 64)));
        MUST(now() < low + 200);
        for (int i = 0; i < 64; i++) MUST(low[i] == 5);
        MUST(HmmRealloc(low, 0) == NULL);
        MUST(now() == before);
    }
    MUST(HmmAlloc((size_t)PTRDIFF_MAX - 100) == NULL && errno == ENOMEM);
    MUST(HmmCalloc(SIZE_MAX, 2) == NULL);
    HmmFree(NULL);
    void *block = HmmRealloc(NULL, 10);
    MUST(block);

    /* Somebody else moves the break: the heap goes on behind. */
    char *theirs = sbrk(100);
    memset(theirs, 9, 100);
    void *more = HmmAlloc(100000);
    MUST((char *)more > theirs);
    HmmFree(more);
    HmmFree(block);
    for (int i = 0; i < 100; i++) MUST(theirs[i] == 9);
    return 0;
}

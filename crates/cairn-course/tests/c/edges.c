/* mm_*: what C says about sizes of 0, null, overflow, and memory that runs out. */
#include "must.h"
#include <mm.h>

#ifdef MEMLIB
/* The `intptr_t` kind of mem_sbrk, with a break that is not aligned, and no mem_heap_hi. */
static char region[1 << 16];
static size_t taken, most = sizeof region;

void *mem_sbrk(intptr_t more) {
    if (more <= 0 || (size_t)more > most - taken) {
        errno = ENOMEM;
        return (void *)-1;
    }
    char *was = region + taken;
    taken += (size_t)more;
    return was;
}
#endif

int main(void) {
    MUST(team.teamname[0] && team.name1[0] && team.id1[0] && team.name2 && team.id2);
    MUST(mm_init() == 0);
    errno = 0;
    mm_free(NULL);
    char *none = mm_malloc(0), *other = mm_malloc(0);
    MUST(none && other && none != other);
    mm_free(none);
    mm_free(other);

    char *block = mm_realloc(NULL, 100);
    MUST(block && (uintptr_t)block % 16 == 0);
    memset(block, 7, 100);
    MUST((block = mm_realloc(block, 5000)));
    for (int i = 0; i < 100; i++) MUST(block[i] == 7);
    MUST((block = mm_realloc(block, 50)));
    for (int i = 0; i < 50; i++) MUST(block[i] == 7);
    MUST(mm_realloc(block, 0) == NULL);
    MUST(errno == 0);

    /* Freed memory that was written comes back zeroed. */
    block = mm_malloc(3000);
    memset(block, 0xFF, 3000);
    mm_free(block);
    MUST((block = mm_calloc(30, 100)));
    for (int i = 0; i < 3000; i++) MUST(block[i] == 0);
    MUST(errno == 0);

    void *(*volatile malloc_of)(size_t) = mm_malloc; /* hides the size from the compiler's warnings */
    MUST(malloc_of(SIZE_MAX) == NULL && errno == ENOMEM);
    errno = 0;
    MUST(malloc_of(PTRDIFF_MAX) == NULL && errno == ENOMEM);
    errno = 0;
    MUST(mm_calloc(SIZE_MAX / 2, 4) == NULL && errno == ENOMEM);
    errno = 0;
    MUST(mm_calloc((size_t)1 << 32, (size_t)1 << 32) == NULL && errno == ENOMEM);
    errno = 0;
    MUST(mm_realloc(block, SIZE_MAX - 20) == NULL && errno == ENOMEM);
    block[2999] = 1; /* still ours */
    mm_free(block);
    MUST(mm_check() == 1 && mm_checkheap(0) == 1 && mm_checkheap(__LINE__) == 1);

#ifdef MEMLIB
    /* The heap fills the driver's memory to within a few blocks, fails, and can be used again. */
    static void *blocks[1000];
    size_t count = 0;
    while (count < 1000 && (blocks[count] = mm_malloc(1000))) count++;
    MUST(errno == ENOMEM && count * 1008 > sizeof region - 3 * 1008);
    MUST(mm_check() == 1);
    mm_free(blocks[count / 2]);
    MUST(mm_malloc(1000) == blocks[count / 2]);

    /* A heap on nothing. Then one that begins at an odd address, and forgets all of that. */
    taken = most;
    MUST(mm_init() == -1);
    MUST(mm_malloc(1) == NULL);
    taken = 5;
    MUST(mm_init() == 0);
    MUST((block = mm_malloc(40000)) && (uintptr_t)block % 16 == 0 && block > region);

    /* The driver takes some for itself in between: the heap goes on behind it. */
    char *theirs = mem_sbrk(100);
    memset(theirs, 9, 100);
    char *next = mm_malloc(10000);
    MUST(next > theirs);
    memset(next, 1, 10000);
    mm_free(block);
    mm_free(next);
    for (int i = 0; i < 100; i++) MUST(theirs[i] == 9);
    MUST(mm_check() == 1);
#else
    /* The old heap goes back to the break, so that lives don't add up. */
    void *at = sbrk(0);
    for (int life = 0; life < 1000; life++) {
        MUST(mm_init() == 0);
        for (int i = 0; i < 10; i++) MUST(mm_malloc(100000));
    }
    MUST((char *)sbrk(0) - (char *)at < 10 * 100000);
#endif
    return 0;
}

/* dmalloc: the word size and the greatest heap of the macros (or of the environment), a heap that runs out and goes on. */
#include "must.h"
#include <dmm.h>

static size_t number(const char *name, size_t otherwise) {
    const char *value = getenv(name);
    return value && strtoul(value, NULL, 10) ? strtoul(value, NULL, 10) : otherwise;
}

int main(void) {
    size_t word = number("CAIRN_DMM_WORD", WORD_SIZE), most = number("CAIRN_DMM_HEAP", MAX_HEAP_SIZE);
    word = word < 8 ? 8 : word;
    MUST(dmalloc_configure(3, 100) == -1 && dmalloc_configure(128, 100) == -1 && dmalloc_configure(8, 0) == -1);
    char *before = sbrk(0);
    MUST(dmalloc_init());
    dfree(NULL);

    /* Blocks of three words, the header included. */
    size_t cost = 3 * word, size = cost - 8;
    static char *blocks[100000];
    size_t count = 0, aligned_more = 0;
    for (; count < 100000; count++) {
        if (!(blocks[count] = dmalloc(size))) break;
        MUST((uintptr_t)blocks[count] % word == 0);
        aligned_more += (uintptr_t)blocks[count] % (2 * word) == 0;
        memset(blocks[count], (int)count, size);
    }
    MUST(errno == ENOMEM);
    MUST(aligned_more < count); /* no more than was asked for */
    size_t extent = (size_t)((char *)sbrk(0) - before);
    MUST(extent <= most);
    /* The heap was filled: the little that is left is less than the segment's record, a block, and the ends of steps. */
    MUST(count * cost <= most && count * cost + 3 * word + 256 + most / 32 > most);

    for (size_t i = 0; i < count; i++)
        for (int n = 0; n < (int)size; n++) MUST(blocks[i][n] == (char)i);
    /* A hole of the right size is used, and neighbours become one hole. */
    dfree(blocks[count / 2]);
    MUST(dmalloc(size) == blocks[count / 2]);
    MUST(dmalloc(size) == NULL);
    for (size_t i = 0; i < count; i += 2) dfree(blocks[i]);
    for (size_t i = 1; i < count; i += 2) dfree(blocks[i]);
    MUST(dmalloc(most - most / 32 - 256));
    /* Too late. */
    MUST(dmalloc_configure(word == 8 ? 16 : 8, most) == -1);
    dprintf(1, "word %zu heap %zu blocks %zu\n", word, most, count);
    return 0;
}

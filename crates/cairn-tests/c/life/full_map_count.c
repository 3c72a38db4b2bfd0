/* Claim: with not one mapping left (max_map_count), blocks can still be allocated, resized and freed: the allocator's
 * memory grows at its border and needs no new mapping; and everything works when there are mappings again. */
#include "check.h"
#include <sys/mman.h>

enum { SMALL = 40000 };
static char *small[SMALL];

int main(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (int i = 0; i < 1000; i++) free(malloc(i));
    /* Every second page of a range gets another protection: two mappings each time, until there are none left. */
    size_t pages = 400000;
    char *range = mmap(NULL, pages * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(range != MAP_FAILED, "mmap of a range: %d", errno);
    size_t cut = 1;
    while (cut < pages && mprotect(range + cut * page, page, PROT_READ) == 0) cut += 2;
    if (cut >= pages) return 77; /* this machine allows more than 400,000 mappings: nothing was tested */
    CHECK(errno == ENOMEM, "mprotect: %d", errno);
    while (mmap(NULL, page, cut++ & 2 ? PROT_READ : PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED && cut < pages) {}

    for (int i = 0; i < SMALL; i++) {
        small[i] = malloc(1 + i % 1000);
        CHECK(small[i] != NULL, "malloc(%d), number %d, with a full map count", 1 + i % 1000, i);
        fill(small[i], 1 + i % 1000, i);
    }
    char *large = malloc(8 << 20);
    CHECK(large != NULL, "malloc of 8 MiB with a full map count");
    memset(large, 1, 8 << 20);
    char *grown = realloc(large, 40 << 20);
    CHECK(grown != NULL, "realloc to 40 MiB with a full map count");
    CHECK(grown[(8 << 20) - 1] == 1, "realloc lost contents");
    memset(grown, 2, 40 << 20);
    grown = realloc(grown, 100000);
    CHECK(grown && grown[99999] == 2, "realloc down with a full map count");
    free(grown);
    for (int i = 0; i < SMALL; i++) {
        CHECK(differs(small[i], 1 + i % 1000, i) == (size_t)(1 + i % 1000), "block %d changed", i);
        if (i % 3) free(small[i]);
    }
    malloc_trim(0);
    for (int i = 0; i < 200; i++) {
        char *block = calloc(1, 100000 + i * 5000);
        CHECK(block && block[50000] == 0, "calloc with a full map count");
        memset(block, 3, 100000 + i * 5000);
        free(block);
    }
    for (int i = 0; i < SMALL; i += 3) free(small[i]);

    CHECK(munmap(range, pages * page) == 0, "munmap: %d", errno);
    for (int i = 0; i < 100; i++) {
        char *block = malloc(20 << 20);
        CHECK(block != NULL, "malloc of 20 MiB when there are mappings again");
        block[i] = 1;
        free(block);
    }
    return 0;
}

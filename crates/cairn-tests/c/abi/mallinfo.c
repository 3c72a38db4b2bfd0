/* Claim: mallinfo2 tells the truth: the bytes in use grow by what is allocated (within a quarter) and return when it
 * is freed (within a megabyte: what a thread keeps at hand is not in use, but may be counted so); mallinfo agrees. */
#include "check.h"

static double in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return (double)info.uordblks + (double)info.hblkhd;
}

enum { COUNT = 100000, LARGE = 40 };
static void *blocks[COUNT];

int main(void) {
    double before = in_use(), asked = 0;
    for (int i = 0; i < COUNT; i++) {
        size_t size = 16 + (size_t)(i * 37) % 1500;
        blocks[i] = malloc(size);
        memset(blocks[i], 1, size);
        asked += (double)size;
    }
    double grown = in_use() - before;
    CHECK(grown > asked * 0.98 && grown < asked * 1.25 + 1e6, "%.0f bytes of small blocks were asked for, %.0f are said to be in use", asked, grown);
    /* What is in use is resident: it was written. */
    struct mallinfo2 info = mallinfo2();
    CHECK(info.arena + info.hblkhd >= info.uordblks, "%zu bytes in use, but only %zu from the system", info.uordblks, info.arena + info.hblkhd);
    struct mallinfo small = mallinfo();
    double difference = (double)(unsigned)small.uordblks - (double)info.uordblks;
    CHECK(difference < 1e5 && difference > -1e5, "mallinfo says %u, mallinfo2 %zu", (unsigned)small.uordblks, info.uordblks);
    for (int i = 0; i < COUNT; i += 2) free(blocks[i]);
    double half = in_use() - before;
    CHECK(half > asked * 0.45 - 1e6 && half < asked * 0.62 + 1e6, "half of %.0f was freed, %.0f is said to be in use", asked, half);
    for (int i = 1; i < COUNT; i += 2) free(blocks[i]);
    double after = in_use() - before;
    CHECK(after < 1.1e6 && after > -1.1e6, "all was freed, %.0f bytes are said to be in use", after);

    before = in_use();
    asked = 0;
    for (int i = 0; i < LARGE; i++) {
        size_t size = 200000 + (size_t)i * 50000;
        blocks[i] = malloc(size);
        memset(blocks[i], 1, size);
        asked += (double)size;
    }
    grown = in_use() - before;
    CHECK(grown > asked * 0.98 && grown < asked * 1.25 + 1e6, "%.0f bytes of large blocks were asked for, %.0f are said to be in use", asked, grown);
    for (int i = 0; i < LARGE; i++) free(blocks[i]);
    after = in_use() - before;
    CHECK(after < 1.1e6 && after > -1.1e6, "all large blocks were freed, %.0f bytes are said to be in use", after);
    return 0;
}

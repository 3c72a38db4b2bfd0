/* Shows how the program break rises and falls with the blocks of HmmAlloc.
 *
 *     cc -O2 -I crates/cairn-course/include crates/cairn-course/examples-c/tide.c target/release/libcairn_course.a -o tide */
#include "hmm.h"
#include <stdio.h>
#include <unistd.h>

static char *start;

static void tell(const char *what) { printf("%-40s break at +%td\n", what, (char *)sbrk(0) - start); }

int main(void) {
    setvbuf(stdout, NULL, _IONBF, 0); /* so that printf takes no memory from the break */
    start = sbrk(0);
    tell("before");
    void *low = HmmAlloc(100000), *high = HmmAlloc(200000);
    tell("100,000 and 200,000 bytes allocated");
    HmmFree(high);
    tell("the upper block freed");
    low = HmmRealloc(low, 1000);
    tell("the lower block shrunk to 1,000 bytes");
    HmmFree(low);
    tell("all freed");
    return (char *)sbrk(0) == start ? 0 : 1;
}

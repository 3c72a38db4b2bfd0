/* Fills a heap of dmalloc, empties every second block, and shows which sizes fit then.
 *
 *     cc -O2 -I crates/cairn-course/include -DWORD_SIZE=16 -DMAX_HEAP_SIZE=65536 \
 *        crates/cairn-course/examples-c/fill.c target/release/libcairn_course.a -o fill */
#include "dmm.h"
#include <stdio.h>

int main(void) {
    static void *blocks[100000];
    size_t count = 0;
    while (count < 100000 && (blocks[count] = dmalloc(100))) count++;
    printf("%zu blocks of 100 bytes fit\n", count);
    for (size_t i = 0; i < count; i += 2) dfree(blocks[i]);
    void *same = dmalloc(100), *larger = dmalloc(300);
    printf("half of them freed: another 100 bytes %s, 300 bytes %s\n", same ? "fit" : "don't fit",
           larger ? "fit" : "don't fit: the holes are too small");
    dfree(same);
    dfree(larger);
    for (size_t i = 1; i < count; i += 2) dfree(blocks[i]);
    void *all = dmalloc(count * 100);
    printf("all freed: %zu bytes in one block %s\n", count * 100, all ? "fit: the holes were joined" : "don't fit");
    return all ? 0 : 1;
}

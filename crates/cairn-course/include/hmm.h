/* hmm.h: a heap manager on the program break, by Cairn's classic heap. See crates/cairn-course/README.md.
 *
 * The break rises as the heap grows, falls when the top of the heap is freed, and is where it was when all is
 * freed. Blocks are aligned to 16 bytes. Failure is NULL with errno ENOMEM. A double free, a foreign or an
 * interior pointer, or a header that was overwritten ends the program by SIGABRT with one line on standard error. */
#ifndef CAIRN_HMM_H
#define CAIRN_HMM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void *HmmAlloc(size_t size); /* size 0: a block of its own */
void *HmmCalloc(size_t count, size_t size);
void *HmmRealloc(void *block, size_t size); /* NULL: HmmAlloc; size 0: HmmFree, NULL */
void HmmFree(void *block);                  /* NULL: nothing happens */

#ifdef __cplusplus
}
#endif

#endif

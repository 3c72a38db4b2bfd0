/* dmm.h: dmalloc and dfree, Cairn's classic heap for courses that fix a word size and a greatest heap.
 * See crates/cairn-course/README.md.
 *
 * Set the two macros here, before the #include, or by -DWORD_SIZE=… -DMAX_HEAP_SIZE=… in the Makefile: this header
 * tells them to the library before main begins. The environment variables CAIRN_DMM_WORD and CAIRN_DMM_HEAP
 * override both, for a program that is compiled already.
 *
 * Failure is NULL with errno ENOMEM. A double free, a foreign or an interior pointer, or a header that was
 * overwritten ends the program by SIGABRT with one line on standard error. */
#ifndef CAIRN_DMM_H
#define CAIRN_DMM_H

#include <stdbool.h>
#include <stddef.h>

/* The alignment of blocks in bytes: 4, 8, 16, 32 or 64. (4 is served as 8.) */
#ifndef WORD_SIZE
#define WORD_SIZE 8
#endif

/* The most that the heap takes from sbrk, in bytes, its overhead included. */
#ifndef MAX_HEAP_SIZE
#define MAX_HEAP_SIZE (1024 * 1024)
#endif

#define ALIGNMENT WORD_SIZE
#define ALIGN(size) (((size) + (ALIGNMENT - 1)) & ~(ALIGNMENT - 1))

#ifdef __cplusplus
extern "C" {
#endif

bool dmalloc_init(void); /* not necessary: the first dmalloc does it */
void *dmalloc(size_t size);
void dfree(void *block);

/* Sets the word size and the greatest heap. 0; -1 if a number makes no sense, or if the heap is in use already
 * with other ones. The macros above do this for you. */
int dmalloc_configure(size_t word, size_t heap);

#ifdef __cplusplus
}
#endif

/* Runs before main, once for each source that includes this header: let all of them have the same macros. */
__attribute__((constructor)) static void dmalloc_tell_the_macros(void) {
    (void)dmalloc_configure(WORD_SIZE, MAX_HEAP_SIZE);
}

#endif

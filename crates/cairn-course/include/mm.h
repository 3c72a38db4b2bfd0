/* mm.h: the malloc lab's names for Cairn's classic heap. See crates/cairn-course/README.md.
 *
 * Blocks are aligned to 16 bytes. Failure is NULL with errno ENOMEM. A double free, a foreign or an interior
 * pointer, or a header that was overwritten ends the program by SIGABRT with one line on standard error.
 *
 * If the program has a function `void *mem_sbrk(int)` (or `intptr_t`), as memlib.c has, the heap grows through
 * it; else through sbrk. Link libcairn_course.a or -lcairn_course. */
#ifndef CAIRN_MM_H
#define CAIRN_MM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Begins with an empty heap and forgets the old one, with all its blocks. 0, or -1 if there is no memory.
 * A driver that resets its break must call it then; nobody else needs to. */
int mm_init(void);

void *mm_malloc(size_t size);               /* size 0: a block of its own */
void mm_free(void *block);                  /* NULL: nothing happens */
void *mm_realloc(void *block, size_t size); /* NULL: mm_malloc; size 0: mm_free, NULL */
void *mm_calloc(size_t count, size_t size);

/* Audits the whole heap: 1 and no word if all is well; else 0, and on standard error the invariant that is
 * violated, the address, and the block. The line is the caller's __LINE__, for the report. */
int mm_check(void);
int mm_checkheap(int line);

/* Who hands in; some drivers print it. */
typedef struct {
    char *teamname, *name1, *id1, *name2, *id2;
} team_t;

extern team_t team;

#ifdef __cplusplus
}
#endif

#endif

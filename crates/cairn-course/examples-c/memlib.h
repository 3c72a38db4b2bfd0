/* memlib.h: a model of the program break for lab.c, in the manner of the malloc lab. */
#ifndef MEMLIB_H
#define MEMLIB_H

#include <stddef.h>

void mem_init(size_t most);  /* a break that can rise by so many bytes */
void mem_reset_brk(void);    /* back to the beginning: the heap is empty */
void *mem_sbrk(int more);    /* raises the break and gives where it was; (void *)-1 if it can't */
void *mem_heap_lo(void);     /* the first byte of the heap */
void *mem_heap_hi(void);     /* the last byte of the heap */
size_t mem_heapsize(void);

#endif

/* cairn.h: the Cairn allocator, for C and C++.
 *
 * Cairn replaces malloc, and so a program needs nothing of this file: link libcairn.so or libcairn.a (or
 * start the program with `cairn run -- program`), and malloc, free and operator new are Cairn's. Their
 * declarations are where they have always been, in <stdlib.h>, <malloc.h> and <new>. This file includes the
 * first two and adds
 *
 *   - the names that Cairn has and the C library may not declare,
 *   - what is different or was left open by the standard,
 *   - the version.
 *
 * What to rely on
 *   - Every block is aligned to 16 bytes; malloc(0) gives a block of its own.
 *   - A size above PTRDIFF_MAX, or a product that overflows, gives NULL and ENOMEM.
 *   - free and everything that succeeds keep errno.
 *   - realloc(p, 0) frees p and gives NULL, as in glibc.
 *   - aligned_alloc takes any power of two, and any size; EINVAL otherwise. memalign rounds up to a power
 *     of two.
 *   - mallinfo2: uordblks + hblkhd are the bytes that the program holds, rounding included; arena is
 *     uordblks + fordblks; malloc_trim(0) gives up to keepcost bytes back. mallinfo says INT_MAX where an
 *     int is too small.
 *   - malloc_info(0, f) writes glibc's XML elements, and <total type="live"> for all that the program holds.
 *   - mallopt gives 1 for glibc's parameters with a value that glibc takes, else 0. It changes nothing:
 *     Cairn is set by the environment (CAIRN_...), see `cairn settings`. M_PERTURB other than 0 and
 *     M_CHECK_ACTION are refused.
 *
 * Not here: hooks (__malloc_hook), mcheck, malloc_get_state.
 *
 * SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef CAIRN_H
#define CAIRN_H

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>

/* The version that this file belongs to. */
#define CAIRN_VERSION "0.1.0"

#if defined(__cplusplus) && __cplusplus >= 201103L
#define CAIRN_NOEXCEPT noexcept
#elif defined(__cplusplus)
#define CAIRN_NOEXCEPT throw()
#else
#define CAIRN_NOEXCEPT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* C23: free by one who knows how large the block is. `size` is what was asked for. */
void free_sized(void *block, size_t size) CAIRN_NOEXCEPT;

/* C23: the same for a block of aligned_alloc(alignment, size). */
void free_aligned_sized(void *block, size_t alignment, size_t size) CAIRN_NOEXCEPT;

/* free, by the name it had in SunOS; glibc took it away in 2.26. */
void cfree(void *block) CAIRN_NOEXCEPT;

/* realloc to count * size bytes; NULL and ENOMEM if that overflows. glibc declares it only on request. */
void *reallocarray(void *block, size_t count, size_t size) CAIRN_NOEXCEPT;

/* Looks at the whole heap of the process: every region, slab, free block and record. 0 if it is whole. 1 if it is
 * damaged, after a line on stderr that names the first damage and its address; the program may go on, but should not. -1
 * if nothing was looked at: ENOMEM, there is no memory for what the audit has to note; EDEADLK, the caller is a signal
 * handler that interrupted its thread inside the heap. Any thread may call it at any time. Other threads wait meanwhile as soon as they need more than their own bins hold; what a running thread may just be
 * changing is left out, so with one thread the audit is complete. It takes a millisecond for each 50 MB or so.
 *
 * A program that may also run without Cairn says  extern int cairn_check(void) __attribute__((weak));  and looks whether
 * it is there. */
int cairn_check(void) CAIRN_NOEXCEPT;

#ifdef __cplusplus
}
#endif

#undef CAIRN_NOEXCEPT
#endif

//! The engine's operations, the same for every door.
use crate::statistics::Statistics;

/// Allocates from the thread's bin, or null if the bin is empty or the size is not small.
/// The block is aligned to 16 bytes, to 8 if `size` is at most 8. The one exit of the fast path is a null.
#[inline(always)]
pub fn allocate_fast(size: usize) -> *mut u8 {
    let _ = size;
    core::ptr::null_mut()
}

/// Allocates `size` bytes; null if memory is short or `size` exceeds `isize::MAX`. errno is kept.
#[cold]
pub fn allocate_slow(size: usize) -> *mut u8 {
    let _ = size;
    todo!()
}

/// Like [`allocate_slow`], and the block reads as zero.
pub fn allocate_zeroed(size: usize) -> *mut u8 {
    let _ = size;
    todo!()
}

/// Allocates `size` bytes at a multiple of `align`, any power of two; null if memory is short.
pub fn allocate_aligned(align: usize, size: usize) -> *mut u8 {
    let _ = (align, size);
    todo!()
}

/// Frees into the thread's bin; false, and nothing done, if the bin is full or the address is not a small
/// block of the first region (null included).
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[inline(always)]
pub unsafe fn free_fast(block: *mut u8) -> bool {
    let _ = block;
    false
}

/// Frees any live block; null is allowed. errno is kept.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[cold]
pub unsafe fn free_slow(block: *mut u8) {
    let _ = block;
    todo!()
}

/// Changes the size of a live block to `size` (not 0); contents are kept to the lesser size. Null, and the old
/// block intact, if memory is short.
///
/// # Safety
/// `block` is a live block of this allocator, not null.
pub unsafe fn reallocate(block: *mut u8, size: usize) -> *mut u8 {
    let _ = (block, size);
    todo!()
}

/// How many bytes the caller may use of a live block.
///
/// # Safety
/// `block` is a live block of this allocator, not null.
pub unsafe fn usable_size(block: *mut u8) -> usize {
    let _ = block;
    todo!()
}

/// Gives free pages back to the kernel at once, except for `keep` bytes; true if any were given.
pub fn trim(keep: usize) -> bool {
    let _ = keep;
    todo!()
}

/// Counts what the heap holds.
pub fn statistics() -> Statistics {
    todo!()
}

/// Gives back what has been free for long; the purge thread's step. Returns after at most a few milliseconds.
pub fn purge_step() {
    todo!()
}

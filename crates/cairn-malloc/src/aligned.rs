//! Blocks with an alignment of the caller's choice.
//!
//! | function | an alignment that is no power of two | failure |
//! |---|---|---|
//! | posix_memalign | EINVAL, as for no multiple of a pointer's size | the code; errno and `*out` stay |
//! | aligned_alloc | EINVAL, as in glibc 2.38 and later | null and errno |
//! | memalign | rounded up, as in glibc; EINVAL above the largest power of two | null and errno |
//! | valloc, pvalloc | (the page size) | null and ENOMEM |
//!
//! The size need not be a multiple of the alignment anywhere.

use crate::standard::{SIZE_MAX, export, invalid, or_out_of_memory, out_of_memory};
use cairn_alloc::engine;
use cairn_core::os::page_size;

/// Every block has this alignment, if its size is no less.
const ALWAYS: usize = 16;

/// A block aligned to `align`, a power of two; null if memory is short. errno is kept.
#[inline(always)]
pub fn allocate(align: usize, size: usize) -> *mut u8 {
    if align <= ALWAYS {
        let block = engine::allocate_fast(size.max(align));
        if !block.is_null() {
            return block;
        }
    }
    allocate_slow(align, size)
}

#[inline(never)]
fn allocate_slow(align: usize, size: usize) -> *mut u8 {
    if align > SIZE_MAX || size > SIZE_MAX - align {
        return core::ptr::null_mut();
    }
    engine::allocate_aligned(align, size)
}

/// # Safety
/// `out` is valid for a write.
#[inline(always)]
unsafe fn posix(out: *mut *mut u8, align: usize, size: usize) -> libc::c_int {
    if !align.is_power_of_two() || align < size_of::<*mut u8>() {
        return libc::EINVAL;
    }
    let block = allocate(align, size);
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: passed on to the caller.
    unsafe { out.write(block) };
    0
}

fn rounding(align: usize, size: usize) -> *mut u8 {
    match align.checked_next_power_of_two() {
        Some(align) => or_out_of_memory(allocate(align, size)),
        None => invalid(),
    }
}

fn pages(size: usize) -> *mut u8 {
    let page = page_size();
    match size.max(1).checked_next_multiple_of(page) {
        Some(size) => or_out_of_memory(allocate(page, size)),
        None => out_of_memory(),
    }
}

export! {
    /// Stores a block of `size` bytes, aligned to `align`, at `out`, and returns 0; or EINVAL or ENOMEM.
    posix_memalign
    /// [`posix_memalign`].
    __posix_memalign
    => unsafe fn(out: *mut *mut u8, align: usize, size: usize) -> libc::c_int = posix(out, align, size)
}
export! {
    /// A block of `size` bytes, aligned to `align`.
    aligned_alloc
    => fn(align: usize, size: usize) -> *mut u8 = {
        if align.is_power_of_two() { or_out_of_memory(allocate(align, size)) } else { invalid() }
    }
}
export! {
    /// A block of `size` bytes, aligned to the next power of two that is no less than `align`.
    memalign
    /// [`memalign`].
    __libc_memalign
    => fn(align: usize, size: usize) -> *mut u8 = rounding(align, size)
}
export! {
    /// A block of `size` bytes that begins at a page.
    valloc
    /// [`valloc`].
    __libc_valloc
    => fn(size: usize) -> *mut u8 = or_out_of_memory(allocate(page_size(), size))
}
export! {
    /// A block of whole pages, at least one, that holds `size` bytes.
    pvalloc
    /// [`pvalloc`].
    __libc_pvalloc
    => fn(size: usize) -> *mut u8 = pages(size)
}

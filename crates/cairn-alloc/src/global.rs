//! The Rust door: `#[global_allocator]`.
//!
//! Rust states size and alignment at every call. So there are classes for 24, 40, 56 .. bytes that the C door can't
//! use, and `dealloc` needs no lookup: for a type known at compile time the class is a constant.

use core::alloc::{GlobalAlloc, Layout};

use crate::class::{self, SMALL_MAX};
use crate::engine;
use crate::{large, thread};

/// The allocator.
///
/// ```
/// #[global_allocator]
/// static HEAP: cairn_alloc::Cairn = cairn_alloc::Cairn;
///
/// let words: Vec<String> = "one heap for all".split(' ').map(str::to_owned).collect();
/// assert_eq!(words.len(), 4);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Cairn;

#[inline(always)]
fn class_of(layout: Layout) -> usize {
    class::of_layout(layout.size(), layout.align())
}

// SAFETY: blocks are disjoint, at least as large and as aligned as the layout asks (class.rs), stay where they are until they
// are freed, and no operation unwinds: faults end the process.
unsafe impl GlobalAlloc for Cairn {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        engine::allocate_class_or_large(class_of(layout), layout.size(), layout.align())
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let class = class_of(layout);
        if !thread::bin(class).push(block) {
            // SAFETY: the caller's block has this layout, hence this class.
            unsafe { engine::free_class_slow(class, block) };
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let class = class_of(layout);
        if class == 0 {
            let _errno = cairn_core::os::KeepErrno::new();
            return large::allocate(layout.size(), layout.align(), true);
        }
        let block = engine::allocate_class_or_large(class, layout.size(), layout.align());
        if !block.is_null() {
            // SAFETY: the block has at least that many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (old, new) = (class_of(layout), class::of_layout(size, layout.align()));
        if old == new && old != 0 {
            return block;
        }
        if old == 0 && new == 0 && layout.align() <= SMALL_MAX {
            let _errno = cairn_core::os::KeepErrno::new();
            // SAFETY: a large block of the caller's.
            return unsafe { large::reallocate(block, size) };
        }
        let moved = engine::allocate_class_or_large(new, size, layout.align());
        if !moved.is_null() {
            // SAFETY: both are live and hold the lesser size; then the old one is freed once, by its own layout.
            unsafe {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}

//! The Rust door: `#[global_allocator]`.
//!
//! Rust states size and alignment at every call. So there are classes for 24, 40, 56 .. bytes that the C door can't
//! use, and `dealloc` needs no lookup: for a type known at compile time the class is a constant.
//!
//! ```text
//!   Layout ──► class ──► the thread's bin of that class ──► pop, push        inlined into the caller
//!                          └─ missed, or class 0 (large) ──► the engine      one call
//! ```
//! Invariant: a live block belongs to the class of the layout that the program will free it with. So `realloc` may keep
//! a block only if the new layout has the same class, however little would be wasted otherwise.

use core::alloc::{GlobalAlloc, Layout};

use crate::class::{self, GRANULE};
use crate::modes::{self, Door, Request};
use crate::{engine, thread};

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
        if !engine::push(thread::bin(class), block, class) {
            // SAFETY: the caller's block has this layout.
            unsafe { engine::free_layout_slow(block, layout) };
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let class = class_of(layout);
        if class == 0 {
            return allocate_large_zeroed(layout);
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
        // SAFETY: the caller promises that size and alignment make a layout, and that the block has the old one.
        unsafe { reallocate(block, layout, Layout::from_size_align_unchecked(size, layout.align())) }
    }
}

/// A large block that reads as zero. Pages that were never used are not touched.
#[inline(never)]
fn allocate_large_zeroed(layout: Layout) -> *mut u8 {
    let request = Request { size: layout.size(), align: layout.align(), zeroed: true, door: Door::Rust };
    engine::allocate_request(0, request)
}

/// Changes a block's layout, in place or by moving it; contents are kept to the lesser size. Null, and the block intact,
/// if memory is short.
///
/// # Safety
/// The block is live and was allocated with `old`; neither layout has size 0.
#[inline(never)]
pub(crate) unsafe fn reallocate(block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
    let request = Request { size: new.size(), align: new.align(), zeroed: false, door: Door::Rust };
    // SAFETY: the caller's contract.
    if let Some(moved) = unsafe { modes::reallocate(block, Some(old), request) } {
        return moved;
    }
    let (old_class, new_class) = (class_of(old), class_of(new));
    if old_class == new_class && old_class != 0 {
        // Also for a stricter alignment: it divides the class's block size, so it divides every block's address.
        return block;
    }
    // SAFETY: of class 0 in both layouts: a medium or large block that stays one of these. The rest is the caller's contract.
    unsafe {
        if old_class == 0 && new_class == 0 && may_resize_large(block, new) {
            return engine::reallocate_large(block, new.size(), new.align());
        }
        move_to(block, old, new)
    }
}

/// Whether a block that no bin serves can be resized by [`engine::reallocate_large`], which leaves it where it is or moves it, a large one to a multiple
/// of a granule at most: only if it is aligned as the new layout asks, and a granule is as well, or it will stay if it is large, because it is long enough.
///
/// # Safety
/// The block is live.
unsafe fn may_resize_large(block: *mut u8, new: Layout) -> bool {
    // SAFETY: the caller's contract.
    let stays = || new.size() <= unsafe { engine::usable_size(block) };
    block.addr().is_multiple_of(new.align()) && (new.align() <= GRANULE || stays())
}

/// Allocates a new block, copies, and frees the old one.
///
/// # Safety
/// As for [`reallocate`].
unsafe fn move_to(block: *mut u8, old: Layout, new: Layout) -> *mut u8 {
    // SAFETY: the caller's contract. Both blocks are live, distinct, and hold the lesser size; then the old one is freed once,
    // by its own layout.
    unsafe {
        let moved = Cairn.alloc(new);
        if !moved.is_null() {
            moved.copy_from_nonoverlapping(block, old.size().min(new.size()));
            Cairn.dealloc(block, old);
        }
        moved
    }
}

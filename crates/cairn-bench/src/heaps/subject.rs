//! What the comparison asks of a heap.

use std::alloc::Layout;

use super::arena::Room;

/// How a heap gets its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// All of it at once.
    Whole,
    /// As much as the failing request needs, rounded up to this many bytes (a power of two).
    Steps(usize),
}

/// A heap under test. Each is used as its own documentation recommends for one thread: no lock.
pub trait Subject: Sized {
    /// Whether [`Growth::Steps`] means anything to it.
    const GROWS: bool;

    /// Whether its blocks lie elsewhere than in the room.
    const OWN_MEMORY: bool = false;

    /// A fresh heap in the room; it can be large, so it is made in a box. None if the room is too small for its own data.
    ///
    /// # Safety
    /// The room is memory that reads as zero and is used by nothing else while the heap lives.
    unsafe fn start(room: Room, growth: Growth) -> Option<Box<Self>>;

    /// A block, or null if the room is exhausted. The size isn't zero.
    ///
    /// # Safety
    /// As `GlobalAlloc::alloc`.
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8;

    /// Frees a block.
    ///
    /// # Safety
    /// As `GlobalAlloc::dealloc`.
    unsafe fn free(&mut self, block: *mut u8, layout: Layout);

    /// Makes a block larger or smaller, or returns null and leaves it.
    ///
    /// # Safety
    /// As `GlobalAlloc::realloc`.
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8;

    /// The bytes that the heap has taken from its source now, if it can tell. It counts where the heap grows; else, and for all
    /// that can't tell, the highest byte that was ever handed out does.
    fn taken(&self) -> Option<usize> {
        None
    }
}

/// `GlobalAlloc::realloc` as the standard library provides it: for heaps that have none of their own.
///
/// # Safety
/// As [`Subject::reallocate`].
#[inline]
pub unsafe fn move_block<S: Subject>(heap: &mut S, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
    // SAFETY: the size is the caller's, with the same alignment: the contract of `realloc` says that it is a valid layout.
    let new = unsafe { heap.allocate(Layout::from_size_align_unchecked(size, layout.align())) };
    if !new.is_null() {
        // SAFETY: both blocks are live and have at least the lesser of the sizes; they are different blocks.
        unsafe {
            new.copy_from_nonoverlapping(block, layout.size().min(size));
            heap.free(block, layout);
        }
    }
    new
}

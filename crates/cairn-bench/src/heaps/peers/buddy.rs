//! buddy_system_allocator: its `Heap<33>` as in its documentation, without the lock. It has no realloc of its own.
//!
//! The room is aligned to its own size, so that the buddies are as large as they can be.

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use buddy_system_allocator::Heap;

use crate::heaps::arena::Room;
use crate::heaps::subject::{Growth, Subject, move_block};

/// The heap under test.
pub struct Buddy(Heap<33>);

impl Subject for Buddy {
    const GROWS: bool = false;

    unsafe fn start(room: Room, _: Growth) -> Option<Box<Self>> {
        let mut heap = Heap::new();
        // SAFETY: the room belongs to this heap alone.
        unsafe { heap.init(room.start as usize, room.len) };
        Some(Box::new(Buddy(heap)))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        self.0.alloc(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's block, which isn't null, and its layout.
        unsafe { self.0.dealloc(NonNull::new_unchecked(block), layout) }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block and its layout.
        unsafe { move_block(self, block, layout, size) }
    }
}

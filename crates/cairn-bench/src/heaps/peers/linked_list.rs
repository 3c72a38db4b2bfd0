//! linked_list_allocator: its `Heap` (the lock is left away), which grows by `extend`. It has no realloc of its own.

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use linked_list_allocator::Heap;

use crate::heaps::arena::Room;
use crate::heaps::subject::{Growth, Subject, move_block};

/// The heap under test.
pub struct LinkedList {
    heap: Heap,
    room: Room,
    growth: Growth,
}

/// The least it can begin with, rounded up.
const FIRST: usize = 64;

impl LinkedList {
    #[cold]
    fn grow(&mut self, layout: Layout) -> bool {
        let Growth::Steps(step) = self.growth else { return false };
        let top = self.heap.top() as usize;
        // The last hole, if there is one, is a part of what is needed; to add all of it is simpler and costs no extent, because
        // first fit takes the lowest place.
        let wanted = (top + layout.size() + 2 * layout.align()).next_multiple_of(step).min(self.room.end());
        if wanted == top {
            return false;
        }
        // SAFETY: the bytes behind the heap are of its room, which belongs to it alone.
        unsafe { self.heap.extend(wanted - top) };
        true
    }
}

impl Subject for LinkedList {
    const GROWS: bool = true;

    unsafe fn start(room: Room, growth: Growth) -> Option<Box<Self>> {
        if room.len < FIRST {
            return None;
        }
        let len = if growth == Growth::Whole { room.len } else { FIRST };
        // SAFETY: the room belongs to this heap alone.
        let heap = unsafe { Heap::new(room.start, len) };
        Some(Box::new(LinkedList { heap, room, growth }))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        loop {
            match self.heap.allocate_first_fit(layout) {
                Ok(block) => return block.as_ptr(),
                Err(()) if self.grow(layout) => {}
                Err(()) => return null_mut(),
            }
        }
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's block, which isn't null, and its layout.
        unsafe { self.heap.deallocate(NonNull::new_unchecked(block), layout) }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block and its layout.
        unsafe { move_block(self, block, layout, size) }
    }
}

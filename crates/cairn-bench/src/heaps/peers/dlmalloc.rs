//! dlmalloc: its C-shaped functions, which check no size again, over a system of one contiguous run of memory.
//!
//! Where it grows, its granularity is set to the given step, so that the 64 KiB it would take by default aren't held against it.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::null_mut;

use crate::heaps::arena::Room;
use crate::heaps::subject::{Growth, Subject, move_block};

/// What dlmalloc aligns to without being asked.
const ALIGN: usize = 2 * size_of::<usize>();

/// The heap under test.
pub struct Dlmalloc(::dlmalloc::Dlmalloc<System>);

/// Hands out the room from its start, and takes nothing back.
struct System {
    next: Cell<usize>,
    end: usize,
    whole: bool,
}

// SAFETY: addresses without owner; the heap that has this is used by one thread.
unsafe impl Send for System {}

// SAFETY: each byte of the room is given once.
unsafe impl ::dlmalloc::Allocator for System {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let (begin, left) = (self.next.get(), self.end - self.next.get());
        if size > left {
            return (null_mut(), 0, 0);
        }
        let size = if self.whole { left } else { size };
        self.next.set(begin + size);
        (begin as *mut u8, size, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

impl Subject for Dlmalloc {
    const GROWS: bool = true;

    unsafe fn start(room: Room, growth: Growth) -> Option<Box<Self>> {
        let end = room.end() & !(ALIGN - 1);
        let whole = growth == Growth::Whole;
        let system = System { next: Cell::new(room.start as usize), end, whole };
        let mut heap = ::dlmalloc::Dlmalloc::new_with_allocator(system);
        // Given whole, the room is taken by the first request whatever its size: the granularity must not round that
        // request up beyond a small room.
        let step = if let Growth::Steps(step) = growth { step } else { ALIGN };
        assert!(heap.set_granularity(step), "dlmalloc refuses {step} as its granularity");
        Some(Box::new(Dlmalloc(heap)))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if layout.align() <= ALIGN {
            // SAFETY: no precondition but exclusive use.
            unsafe { self.0.c_malloc(layout.size()) }
        } else {
            // SAFETY: the alignment is a power of two.
            unsafe { self.0.c_memalign(layout.align(), layout.size()) }
        }
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's block.
        unsafe { self.0.c_free(block) }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= ALIGN {
            // SAFETY: the caller's block.
            unsafe { self.0.c_realloc(block, size) }
        } else {
            // SAFETY: the caller's block and its layout.
            unsafe { move_block(self, block, layout, size) }
        }
    }
}

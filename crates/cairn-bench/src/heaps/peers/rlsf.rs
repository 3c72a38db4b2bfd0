//! rlsf: `Tlsf` with the parameters of the crate's own `GlobalTlsf`, one pool, which grows by `append_free_block_ptr`.
//!
//! Its lists (32 KiB with these parameters) stand outside of the room and don't count as extent.

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut, slice_from_raw_parts_mut};

use rlsf::Tlsf;

use crate::heaps::arena::Room;
use crate::heaps::subject::{Growth, Subject};

const BITS: usize = usize::BITS as usize;

/// The heap under test.
pub struct Rlsf {
    heap: Tlsf<'static, usize, usize, BITS, BITS>,
    end: usize,
    room: Room,
    growth: Growth,
}

impl Rlsf {
    /// Adds what the request needs to the pool.
    #[cold]
    fn grow(&mut self, size: usize) -> bool {
        let Growth::Steps(step) = self.growth else { return false };
        // The header, the sentinel, and what the search rounds up: a class is at most a 64th of the size.
        let needed = size + size / (BITS / 2) + 128;
        let wanted = (self.end + needed).next_multiple_of(step).min(self.room.end());
        let block = slice_from_raw_parts_mut(self.end as *mut u8, wanted - self.end);
        let block = NonNull::new(block).expect("the room isn't at address 0");
        let added = if self.end == self.room.start as usize {
            // SAFETY: the room belongs to this heap alone.
            unsafe { self.heap.insert_free_block_ptr(block) }.map_or(0, |len| len.get())
        } else {
            // SAFETY: as above; the pool ends where this block begins.
            unsafe { self.heap.append_free_block_ptr(block) }
        };
        self.end += added;
        added > 0
    }
}

fn address(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(null_mut(), NonNull::as_ptr)
}

impl Subject for Rlsf {
    const GROWS: bool = true;

    unsafe fn start(room: Room, growth: Growth) -> Option<Box<Self>> {
        let mut this = Box::new(Rlsf { heap: Tlsf::new(), end: room.start as usize, room, growth });
        if growth == Growth::Whole {
            let whole = NonNull::new(slice_from_raw_parts_mut(room.start, room.len))?;
            // SAFETY: the room belongs to this heap alone.
            unsafe { this.heap.insert_free_block_ptr(whole)? };
        }
        Some(this)
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        loop {
            match self.heap.allocate(layout) {
                Some(block) => return block.as_ptr(),
                None if self.grow(layout.size()) => {}
                None => return null_mut(),
            }
        }
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's block, which isn't null, and its alignment.
        unsafe { self.heap.deallocate(NonNull::new_unchecked(block), layout.align()) }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        loop {
            // SAFETY: the caller's block with its alignment; the size is valid by the contract of `realloc`.
            let new = unsafe {
                let layout = Layout::from_size_align_unchecked(size, layout.align());
                self.heap.reallocate(NonNull::new_unchecked(block), layout)
            };
            if new.is_some() || !self.grow(size) {
                return address(new);
            }
        }
    }
}

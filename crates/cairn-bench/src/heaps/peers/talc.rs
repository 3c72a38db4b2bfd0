//! talc: the bare `Talc` with its default binning, which its README names as the general-purpose choice.
//!
//! `TalcCell`, which the README recommends for one thread, adds nothing to it in release builds. Memory comes from a
//! `Source` that claims the room at the first request and, where it grows, extends the heap at its end (`extend` rather than
//! `claim`: the changelog of 5.1 says that this uses much less memory).

use std::alloc::Layout;
use std::cmp::Ordering;
use std::ptr::NonNull;

use talc::base::Talc as Base;
use talc::base::binning::{Binning, DefaultBinning};
use talc::source::Source;

use crate::heaps::arena::Room;
use crate::heaps::subject::{Growth, Subject, move_block};

/// The heap under test.
pub struct Talc(Base<Rooms, DefaultBinning>);

#[derive(Debug)]
struct Rooms {
    room: Room,
    growth: Growth,
    end: Option<NonNull<u8>>,
}

// SAFETY: `acquire` touches no heap but the one that it is given.
unsafe impl Source for Rooms {
    #[cold]
    fn acquire<B: Binning>(talc: &mut Base<Self, B>, layout: Layout) -> Result<(), ()> {
        let Rooms { room, growth, end } = talc.source;
        let now = end.map_or(room.start as usize, |end| end.as_ptr() as usize);
        let wanted = match growth {
            Growth::Whole => room.end(),
            // Room for the block, its tag, and at the first claim the table of lists.
            Growth::Steps(step) => {
                let first = if end.is_none() { talc::min_first_heap_size::<DefaultBinning>() } else { 0 };
                (now + layout.size() + 64 + first).next_multiple_of(step).min(room.end())
            }
        };
        if wanted - now < 64 {
            return Err(());
        }
        talc.source.end = match end {
            // SAFETY: the room belongs to this heap alone.
            None => unsafe { talc.claim(room.start, wanted - now) },
            // SAFETY: `end` is what the last call returned, and the bytes behind it belong to this heap alone.
            Some(end) => Some(unsafe { talc.extend(end, wanted as *mut u8) }),
        };
        // Without progress the heap would ask for ever.
        match talc.source.end {
            Some(end) if end.as_ptr() as usize > now => Ok(()),
            _ => Err(()),
        }
    }
}

impl Subject for Talc {
    const GROWS: bool = true;

    unsafe fn start(room: Room, growth: Growth) -> Option<Box<Self>> {
        Some(Box::new(Talc(Base::new(Rooms { room, growth, end: None }))))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the size isn't zero, by the contract of `Subject`.
        unsafe { self.0.allocate(layout) }.map_or(std::ptr::null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's block and its layout.
        unsafe { self.0.deallocate(block, layout) }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block and its layout; the size isn't zero.
        let in_place = match size.cmp(&layout.size()) {
            Ordering::Equal => true,
            // SAFETY: as above.
            _ => unsafe { self.0.try_realloc_in_place(block, layout, size) },
        };
        // SAFETY: as above.
        if in_place { block } else { unsafe { move_block(self, block, layout, size) } }
    }
}

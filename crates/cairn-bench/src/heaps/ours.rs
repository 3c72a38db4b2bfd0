//! Cairn's own heaps under test.

use std::alloc::Layout;
use std::ptr::{NonNull, null_mut};

use cairn_heap::{Carve, Coalesce, Config, Fault, Heap, Map, Placement, Region, Source};

use super::arena::Room;
use super::subject::{Growth, Subject};

/// The standard configuration with alignment 8.
pub struct Standard8;

impl Config for Standard8 {
    const ALIGN: usize = 8;
    type Meter = ();
}

/// The standard configuration with alignment 8 and deferred coalescing.
pub struct Deferred8;

impl Config for Deferred8 {
    const ALIGN: usize = 8;
    const COALESCE: Coalesce = Coalesce::Deferred;
    type Meter = ();
}

/// The configuration for speed with alignment 8.
pub struct Fast8;

impl Config for Fast8 {
    const ALIGN: usize = 8;
    const GROW_MIN: usize = 16 << 10;
    const GROW_SHIFT: u32 = 5;
    const COALESCE: Coalesce = Coalesce::Deferred;
    const CARVE: Carve = Carve::Low;
    type Meter = ();
}

/// How a source is made for a room.
pub trait Make: Source + Sized {
    /// Whether it uses memory of its own instead.
    const OWN_MEMORY: bool;

    /// Makes it.
    ///
    /// # Safety
    /// As [`Subject::start`].
    unsafe fn make(room: Room) -> Self;
}

impl Make for Region {
    const OWN_MEMORY: bool = false;

    unsafe fn make(room: Room) -> Region {
        // SAFETY: the room belongs to the heap alone, says the caller.
        unsafe { Region::from_raw(room.start, room.len) }
    }
}

impl Make for Map {
    const OWN_MEMORY: bool = true;

    unsafe fn make(room: Room) -> Map {
        Map::new(room.len)
    }
}

/// The heap under test. A `Region` gives its memory in small steps by itself, whatever the growth.
pub struct Ours<S: Make, P: Placement, C: Config>(Heap<S, P, C>);

#[cold]
fn fault(fault: &Fault) -> ! {
    panic!("{fault}")
}

impl<S: Make, P: Placement, C: Config> Subject for Ours<S, P, C> {
    const GROWS: bool = true;
    const OWN_MEMORY: bool = S::OWN_MEMORY;

    unsafe fn start(room: Room, _: Growth) -> Option<Box<Self>> {
        // SAFETY: the caller's contract is the same.
        Some(Box::new(Ours(Heap::new(unsafe { S::make(room) }))))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        self.0.allocate(layout).map_or(null_mut(), NonNull::as_ptr)
    }

    #[inline]
    unsafe fn free(&mut self, block: *mut u8, _: Layout) {
        // SAFETY: the caller's block, which isn't null.
        if let Err(error) = unsafe { self.0.deallocate(NonNull::new_unchecked(block)) } {
            fault(&error);
        }
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's block, which isn't null, and its layout.
        unsafe { self.0.reallocate(NonNull::new_unchecked(block), layout, size) }
            .map_or(null_mut(), NonNull::as_ptr)
    }

    fn taken(&self) -> Option<usize> {
        Some(self.0.extent())
    }
}

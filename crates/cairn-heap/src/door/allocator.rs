//! The `Allocator` trait: a heap of its own for single collections.
//!
//! The trait is not stable in the standard library yet; the crate `allocator-api2` mirrors it. Two versions of that crate
//! are alive, and their traits are different ones to the compiler: 0.2 (hashbrown, bumpalo: feature
//! `allocator-api2`) and 0.4 (talc: feature `allocator-api2-04`). The operations stand here once, and a macro gives
//! them to each trait.
//!
//! It is the *reference* to a [`Locked`] heap that is an `Allocator`: copies of it are the same heap, and what a collection
//! borrows can't go away under it.
//!
//! What the trait asks beyond `GlobalAlloc`:
//! - Size 0 is allowed. It takes no memory: the pointer is the alignment itself, and is never looked at.
//! - `grow` and `shrink` may change the alignment: that works in place if the block happens to lie right.
//! - The slice that is returned may be longer than asked for. It is not: the bytes behind it may be cut off at any time.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use lock_api::RawMutex;

use super::Locked;
use crate::config::Config;
use crate::placement::Placement;
use crate::source::Source;

/// What both traits call `Err(AllocError)`.
type Allocated = Option<NonNull<[u8]>>;

fn slice(block: NonNull<u8>, layout: Layout) -> NonNull<[u8]> {
    NonNull::slice_from_raw_parts(block, layout.size())
}

/// The pointer for a layout of size 0.
fn dangling(layout: Layout) -> NonNull<u8> {
    // SAFETY: an alignment is not 0.
    unsafe { NonNull::new_unchecked(ptr::without_provenance_mut(layout.align())) }
}

fn allocate<R: RawMutex, S: Source, P: Placement, C: Config>(
    heap: &Locked<R, S, P, C>,
    layout: Layout,
    zeroed: bool,
) -> Allocated {
    if layout.size() == 0 {
        return Some(slice(dangling(layout), layout));
    }
    heap.allocate_block(layout, zeroed).map(|block| slice(block, layout))
}

/// # Safety
/// The block was allocated from this heap with this layout, and nobody uses it any more.
unsafe fn deallocate<R: RawMutex, S: Source, P: Placement, C: Config>(
    heap: &Locked<R, S, P, C>,
    block: NonNull<u8>,
    layout: Layout,
) {
    if layout.size() != 0 {
        // SAFETY: the caller's contract; a block of size 0 took no memory.
        unsafe { heap.free_block(block) };
    }
}

/// Grows or shrinks. On None the block is as it was.
///
/// # Safety
/// The block was allocated from this heap with the layout `old`. If the result is a block, the old one is gone.
unsafe fn resize<R: RawMutex, S: Source, P: Placement, C: Config>(
    heap: &Locked<R, S, P, C>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Allocated {
    if old.size() == 0 {
        return allocate(heap, new, false);
    }
    if new.size() == 0 {
        // SAFETY: the caller's contract.
        unsafe { deallocate(heap, block, old) };
        return Some(slice(dangling(new), new));
    }
    if block.addr().get().is_multiple_of(new.align()) {
        // The block lies as the new alignment wants it, so it may be said to have been allocated with it.
        let old = Layout::from_size_align(old.size(), new.align()).ok()?;
        // SAFETY: the caller's contract.
        let resized = unsafe { heap.resize_block(block, old, new.size()) };
        return resized.map(|block| slice(block, new));
    }
    let fresh = heap.allocate_block(new, false)?;
    // SAFETY: both blocks have at least so many bytes, and are different blocks; the old one is the caller's, who gives it up.
    unsafe {
        ptr::copy_nonoverlapping(block.as_ptr(), fresh.as_ptr(), old.size().min(new.size()));
        heap.free_block(block);
    }
    Some(slice(fresh, new))
}

/// # Safety
/// As for [`resize`]; `new` is not smaller than `old`.
unsafe fn grow_zeroed<R: RawMutex, S: Source, P: Placement, C: Config>(
    heap: &Locked<R, S, P, C>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Allocated {
    if old.size() == 0 {
        return allocate(heap, new, true);
    }
    // SAFETY: the caller's contract.
    let grown = unsafe { resize(heap, block, old, new) }?;
    // SAFETY: the block has new.size() bytes now, of which the first old.size() are the program's.
    unsafe { grown.cast::<u8>().add(old.size()).write_bytes(0, new.size() - old.size()) };
    Some(grown)
}

/// Implements the `Allocator` trait of one version of the crate.
macro_rules! implement {
    ($($path:ident)::+) => {
        // SAFETY: copies of the reference are the same heap. It is borrowed as long as any of them exists, so it can't be dropped, and
        // what is behind the lock can't be replaced safely (`Locked::lock`): blocks stay where they are until they are freed. For the
        // operations see the functions.
        unsafe impl<R: RawMutex, S: Source, P: Placement, C: Config> $($path)::+::Allocator for &Locked<R, S, P, C> {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                allocate(self, layout, false).ok_or($($path)::+::AllocError)
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                allocate(self, layout, true).ok_or($($path)::+::AllocError)
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's contract. We return no more bytes than asked for, so a layout that fits is the same.
                unsafe { deallocate(self, block, layout) }
            }

            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                // SAFETY: the caller's contract.
                unsafe { resize(self, block, old, new) }.ok_or($($path)::+::AllocError)
            }

            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                // SAFETY: the caller's contract.
                unsafe { grow_zeroed(self, block, old, new) }.ok_or($($path)::+::AllocError)
            }

            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                // SAFETY: the caller's contract.
                unsafe { resize(self, block, old, new) }.ok_or($($path)::+::AllocError)
            }
        }
    };
}

#[cfg(feature = "allocator-api2")]
implement!(allocator_api2::alloc);
#[cfg(feature = "allocator-api2-04")]
implement!(allocator_api2_04::alloc);

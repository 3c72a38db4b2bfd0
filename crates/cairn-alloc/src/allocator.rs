//! The Rust door for single collections: the `Allocator` trait.
//!
//! The trait is not stable in the standard library yet; the crate `allocator-api2` mirrors it. Two versions of that crate
//! are alive, and their traits are different ones to the compiler: 0.2 (hashbrown, bumpalo: feature
//! `allocator-api2`) and 0.4 (talc: feature `allocator-api2-04`). The operations stand here once, and a macro gives
//! them to each trait.
//!
//! What the trait asks beyond `GlobalAlloc`:
//! - Size 0 is allowed. It takes no memory: the pointer is the alignment itself, and is never looked at.
//! - `grow` and `shrink` may change the alignment.
//! - The slice that is returned may be longer than asked for, and then the block may be freed with any size between.
//!   We could return the whole block for small ones, since all these sizes have the same class. We return what was
//!   asked for: then the bytes behind it stay ours, to be guarded by a mode that looks for overflows, and nothing has to
//!   be looked up.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use crate::global::{Cairn, reallocate};

/// What both traits call `Err(AllocError)`.
type Allocated = Option<NonNull<[u8]>>;

/// The pointer for a layout of size 0.
#[inline]
fn dangling(layout: Layout) -> *mut u8 {
    ptr::without_provenance_mut(layout.align())
}

/// `block`, if it is one, as the slice of bytes that the layout asks for.
#[inline]
fn slice(block: *mut u8, layout: Layout) -> Allocated {
    NonNull::new(block).map(|block| NonNull::slice_from_raw_parts(block, layout.size()))
}

#[inline]
fn allocate(layout: Layout) -> Allocated {
    // SAFETY: the size is not 0 where the heap is asked.
    let block = if layout.size() == 0 { dangling(layout) } else { unsafe { Cairn.alloc(layout) } };
    slice(block, layout)
}

#[inline]
fn allocate_zeroed(layout: Layout) -> Allocated {
    // SAFETY: the size is not 0 where the heap is asked.
    let block = if layout.size() == 0 { dangling(layout) } else { unsafe { Cairn.alloc_zeroed(layout) } };
    slice(block, layout)
}

/// # Safety
/// The block was allocated with this layout.
#[inline]
unsafe fn deallocate(block: NonNull<u8>, layout: Layout) {
    if layout.size() != 0 {
        // SAFETY: the caller's contract; a block of size 0 took no memory.
        unsafe { Cairn.dealloc(block.as_ptr(), layout) };
    }
}

/// Grows or shrinks. On None the block is as it was.
///
/// # Safety
/// The block was allocated with the layout `old`.
#[inline]
unsafe fn resize(block: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
    if old.size() == 0 {
        return allocate(new);
    }
    if new.size() == 0 {
        // SAFETY: the caller's contract.
        unsafe { deallocate(block, old) };
        return slice(dangling(new), new);
    }
    // SAFETY: the caller's contract, and neither size is 0.
    slice(unsafe { reallocate(block.as_ptr(), old, new) }, new)
}

/// # Safety
/// As for [`resize`]; `new` is not smaller than `old`.
#[inline]
unsafe fn grow_zeroed(block: NonNull<u8>, old: Layout, new: Layout) -> Allocated {
    if old.size() == 0 {
        return allocate_zeroed(new);
    }
    // SAFETY: the caller's contract.
    let grown = unsafe { resize(block, old, new) }?;
    // SAFETY: the block has new.size() bytes now, of which the first old.size() are the program's.
    unsafe { grown.cast::<u8>().add(old.size()).write_bytes(0, new.size() - old.size()) };
    Some(grown)
}

/// Implements the `Allocator` trait of one version of the crate.
macro_rules! implement {
    ($($path:ident)::+) => {
        // SAFETY: `Cairn` has no state of its own, so each copy of it is the same heap; blocks stay where they are until they
        // are freed. For the operations see the functions.
        unsafe impl $($path)::+::Allocator for Cairn {
            #[inline]
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                allocate(layout).ok_or($($path)::+::AllocError)
            }

            #[inline]
            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                allocate_zeroed(layout).ok_or($($path)::+::AllocError)
            }

            #[inline]
            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's contract. We return no more bytes than asked for, so a layout that fits is the same.
                unsafe { deallocate(block, layout) }
            }

            #[inline]
            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                // SAFETY: the caller's contract.
                unsafe { resize(block, old, new) }.ok_or($($path)::+::AllocError)
            }

            #[inline]
            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                // SAFETY: the caller's contract.
                unsafe { grow_zeroed(block, old, new) }.ok_or($($path)::+::AllocError)
            }

            #[inline]
            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, $($path)::+::AllocError> {
                // SAFETY: the caller's contract.
                unsafe { resize(block, old, new) }.ok_or($($path)::+::AllocError)
            }
        }
    };
}

#[cfg(feature = "allocator-api2")]
implement!(allocator_api2::alloc);
#[cfg(feature = "allocator-api2-04")]
implement!(allocator_api2_04::alloc);

//! Medium blocks: above [`SMALL_MAX`](class::SMALL_MAX) up to [`MEDIUM_MAX`](class::MEDIUM_MAX), out of slabs as small blocks are, but by no bin.
//!
//! ```text
//!   fresh      ──► a slab of its class, which is cut into blocks an eighth apart in size
//!   zeroed     ──► a span of its own (large.rs), of which only what was used before is cleared
//!   aligned to more than a page ──► a span of its own
//!   one that grows ──► a span of its own, whose pages can be moved; but a slab again if a span would be much longer than it is
//! ```
//! Spans are whole granules of 64 KiB. Where the memory behind them has pages before it is used (pages/huge.rs), a block of
//! 65 KiB in a span of its own takes 128; in a slab it takes 72. A bin would keep a block or two of each class for each thread; to go to the
//! center costs a lock, which is nothing against writing that many bytes.
//!
//! Where nothing but medium blocks comes and goes no bin misses, and no span becomes free; so each [`FREES_PER_STEP`]th free takes a step of the purging.
//!
//! A free medium block has no mark (mark.rs): it is free in its slab's bitmap as soon as it is freed, and its first page is not touched for that.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count;

use crate::class::{self, MEDIUM_ALIGN, block_size};
use crate::{center, large, pages};

/// Frees between two steps of the purging.
const FREES_PER_STEP: usize = 64;
/// Frees so far.
static FREES: AtomicUsize = AtomicUsize::new(0);

/// A medium block of `size` bytes at a multiple of `align`; null if that is none, or memory for a slab is short.
pub fn allocate(size: usize, align: usize, zeroed: bool) -> *mut u8 {
    if zeroed || align > MEDIUM_ALIGN {
        return ptr::null_mut();
    }
    class::of_medium(size).map_or(ptr::null_mut(), |class| center::of(class).take_one(class))
}

/// A medium block for one that has grown to `size` bytes, at a multiple of `align`; null if that is none, or memory is short. Null too if a span of
/// its own [fits](large::fits_span): the caller takes one, because what has grown is likely to grow again, and pages can be moved from there.
pub fn allocate_grown(size: usize, align: usize) -> *mut u8 {
    if large::fits_span(size) { ptr::null_mut() } else { allocate(size, align, false) }
}

/// Frees a medium block of `class`; any other address ends the process with a message.
pub fn free(class: usize, block: *mut u8) {
    center::of(class).flush(class, &[block], || ());
    count::atomic(count::Place::Large, &FREES);
    if FREES.fetch_add(1, Relaxed).is_multiple_of(FREES_PER_STEP) {
        center::purge_step(pages::purge_step(0), false, None);
    }
}

/// Moves a block of `class` to one of a size that no bin serves, aligned to `align`; null and the block intact if memory is short. A block that grows is
/// likely to grow again: it gets a span of its own if one fits.
///
/// # Safety
/// The block is live and the caller's.
pub unsafe fn relocate(class: usize, block: *mut u8, size: usize, align: usize) -> *mut u8 {
    let old = block_size(class);
    let mut new = if size < old { allocate(size, align, false) } else { allocate_grown(size, align) };
    if new.is_null() {
        new = large::allocate(size, align, false);
    }
    if !new.is_null() {
        // SAFETY: both blocks are live, disjoint and hold that many bytes.
        unsafe { new.copy_from_nonoverlapping(block, old.min(size)) };
        free(class, block);
    }
    new
}

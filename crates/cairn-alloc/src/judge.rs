//! Judges an address that the program frees, resizes or asks about, before anything is changed.
//!
//! ```text
//!   address ─ in no region ──────────────────────────────► foreign
//!           ─ in a slab ─ begins no block ───────────────► interior
//!           │            ─ a medium block: freed before ──► if the program doesn't hold it (slab/held.rs)
//!           │            ─ has the mark of a free block ─► freed before, if it waits anywhere (audit/whereabouts.rs)
//!           │            ─ unmarked granule: the slab's bitmap decides
//!           │            ─ else a live block of the slab's class
//!           ─ begins a large block ──────────────────────► large.rs says which
//!           ─ else ──────────────────────────────────────► freed before, inside a large block, Cairn's own
//! ```
//! The fast path of free makes most of these judgements in a few instructions ([`class::Entry`], mark.rs), and leaves medium blocks and unmarked granules to this,
//! which is the same with words.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::class::{self, CLASS_COUNT, Code, block_size};
use crate::fault::{self, Call};
use crate::inside::Inside;
use crate::region::{self, Place};
use crate::slab::{Fault, Slab};
use crate::{audit, center, large, mark, thread};

/// What begins at an address: a live small or medium block of this class, or perhaps a large block (0).
///
/// Ends the process with a message if it is in a slab and no live block begins there.
#[inline]
pub fn class_of_live(block: *mut u8, call: Call) -> usize {
    // Nearly all blocks that come to a slow path are in order, and a few instructions more than the fast path's say so.
    if let Some((code, offset)) = region::code_in_first(block.addr()) {
        if code == 0 {
            return 0;
        }
        if class::is_block(thread::fixed().entry(code), code, offset) {
            let class = class::of_code(code);
            // SAFETY: a block of a slab begins here.
            let free = unsafe { mark::is_set(block, class) };
            if !free && is_still(block, code) {
                return class;
            }
        }
    }
    judge(block, call)
}

/// Whether a granule's code is what it was before the mark of a block was looked at. Where pages go back the flag is set first: who found
/// no mark because its page is gone finds another code.
///
/// No fence: that the page is gone shows by a fault or an interrupt, and x86-64 keeps loads in order. Elsewhere a second free that comes in the
/// few nanoseconds in which the page goes may be left to the bitmap.
#[inline]
fn is_still(block: *mut u8, code: Code) -> bool {
    region::code_in_first(block.addr()).is_some_and(|(now, _)| now == code)
}

/// The same for any address, with words.
#[cold]
#[inline(never)]
fn judge(block: *mut u8, call: Call) -> usize {
    let Some(place) = region::locate(block.addr()) else { return 0 };
    let class = place.class();
    if class != 0
        && let Some(fault) = fault_of(place, class, block, call)
    {
        fault::report(call, fault, block.addr(), class);
    }
    class
}

/// What is wrong with an address in a slab of `class`, if anything is.
fn fault_of(place: Place, class: usize, block: *mut u8, call: Call) -> Option<Fault> {
    let (shape, offset) = (&class::SHAPES[class], Slab::at(place).offset_of(block.addr()));
    if offset >= shape.blocks as usize * shape.size as usize {
        return Some(Fault::NeverAllocated);
    }
    if shape.index_at(offset).is_none() {
        return Some(Fault::Interior);
    }
    // realloc and malloc_usable_size have not entered yet, and this takes a lock.
    let in_slab = || {
        let _inside = Inside::enter();
        center::of(class).fault_at(class, block.addr())
    };
    if class::is_medium(class) {
        let is_held = Slab::at(place).is_held(block.addr(), class);
        // To its slab it is live also on a shelf.
        return if is_held { None } else { in_slab().or(Some(Fault::DoubleFree)) };
    }
    // SAFETY: a block of a slab begins here.
    if unsafe { mark::is_set(block, class) } {
        return audit::fault_of_marked(block.addr(), class, call);
    }
    if place.is_unmarked() { in_slab() } else { None }
}

/// By class, whether a block of it was made smaller and stayed where it is: then a size of a lesser class may be the right one.
static SHRUNK: [AtomicBool; CLASS_COUNT] = [const { AtomicBool::new(false) }; CLASS_COUNT];

/// The class whose blocks serve such a request of the C door, small or medium; 0 if none does. (Of an alignment that is too much for medium
/// blocks nothing is said: what is aligned so is none.)
#[inline]
fn class_for(size: usize, align: usize) -> usize {
    class::of_medium(size).unwrap_or_else(|| class::of_layout(size, align.max(16)))
}

/// A block of `class` has `size` bytes now, by `realloc`.
#[inline]
pub fn keeps_its_block(class: usize, size: usize) {
    // Relaxed: who frees the block by its new size learned of that from whoever resized it. Read first, to leave the line shared.
    if class_for(size, 1) != class && !SHRUNK[class].load(Relaxed) {
        SHRUNK[class].store(true, Relaxed);
    }
}

/// Ends the process unless `size` is what a live block of `class` (0: a large one) was asked for, as far as that can be told, and it is
/// aligned to `align`, which is 1 for the functions that have none.
pub fn size_given(block: *mut u8, class: usize, size: usize, align: usize) {
    let given = align;
    // As `operator new` and memalign do with one that is no power of two.
    let Some(align) = given.max(1).checked_next_power_of_two() else {
        fault::wrong_alignment(block.addr(), given);
    };
    if !block.addr().is_multiple_of(align) {
        fault::wrong_alignment(block.addr(), given);
    }
    let (fits, real) = if class == 0 {
        let real = large::usable_size(block, Call::Free);
        (large::whole_pages(size) == Some(real), real)
    } else {
        let real = block_size(class);
        let shrunk = SHRUNK[class].load(Relaxed) && size <= real && size >= real / 2;
        (class_for(size, align) == class || shrunk, real)
    };
    if !fits {
        fault::wrong_size(block.addr(), real, size, align);
    }
}

/// Ends the process: a block of class `real` was freed as one of class `given` (0: large).
#[cold]
pub fn wrong_class(block: *mut u8, real: usize, given: usize) -> ! {
    if real == 0 {
        // It may be no block at all.
        large::usable_size(block, Call::Free);
    }
    fault::wrong_class(block.addr(), real, given)
}

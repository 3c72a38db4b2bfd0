//! How a large block lies in its span in hardened mode, and what is before and behind it.
//!
//! ```text
//!   ┌────────┬───────┬──────────────────────────────┬──────┬─────────────┬ ─ ─ ─ ─ ─ ┐
//!   │ unused │ guard │ what the program asked for   │ rest │ guard       │ room      │
//!   └────────┴───────┴──────────────────────────────┴──────┴─────────────┴ ─ ─ ─ ─ ─ ┘
//!   ^ span           ^ block, aligned to 16 or more   ^ pattern, then zeroes: checked at free
//! ```
//! The guard behind begins at the first page that is not the block's, so that a block that ends at a page has no byte between.
//!
//! Invariant: a block's descriptor is its owner's, but `live`, which changes under the lock of quarantine.rs: true from the moment it is
//! handed out until the one free that is accepted.

use core::ptr;

use cairn_core::os::{self, Guard};

use crate::class::GRANULE;
use crate::descriptor::{HardLargeBody, Kind};
use crate::hardened::vault::vault;
use crate::pages;
use crate::region::{self, Place};

/// A guard behind a block has at most so many bytes: who jumps farther than this is not stopped by any guard.
const GUARD_MAX: usize = GRANULE;
/// A block up to this many bytes is cleared without a look at which of its pages were touched,
const ASK_MIN: usize = 256 * 1024;
/// and one from this many bytes on has its pages given back instead.
const CLEAR_MAX: usize = 4 << 20;

/// A large block, by its span.
#[derive(Clone, Copy)]
pub struct Block(Place);

impl Block {
    /// The large block in the first two granules of whose span an address lies; None if there is none.
    pub fn around(address: usize) -> Option<Block> {
        let mut place = region::locate(address)?;
        // SAFETY: the granule is committed. If the program holds the block nobody else changes the descriptor; if not, any value is as
        // good as another.
        let kind = |place: Place| unsafe { (*place.region.descriptor(place.granule)).kind };
        if kind(place) == Kind::Inner && place.granule > 0 {
            place.granule -= 1;
        }
        (kind(place) == Kind::HardLarge).then_some(Block(place))
    }

    /// The block of a span.
    pub fn at(place: Place) -> Block {
        Block(place)
    }

    /// Its span.
    pub fn place(self) -> Place {
        self.0
    }

    /// What is known of it.
    #[allow(clippy::mut_from_ref)]
    pub fn body<'a>(self) -> &'a mut HardLargeBody {
        // SAFETY: the body is the owner's, see the module; each use is a short expression.
        unsafe { &mut (*self.0.region.descriptor(self.0.granule)).body.hard_large }
    }

    /// Where its span begins.
    pub fn span(self) -> *mut u8 {
        self.0.region.address_of(self.0.granule)
    }

    /// Bytes of its span.
    pub fn span_bytes(self) -> usize {
        self.0.region.len(self.0.granule) * GRANULE
    }

    /// Where the block begins.
    pub fn address(self) -> *mut u8 {
        self.span().wrapping_add(self.body().offset as usize)
    }

    /// Offset in the span of the guard behind it: the first page that begins at its end or later.
    pub fn guard_at(self) -> usize {
        (self.body().offset as usize + self.body().size).next_multiple_of(os::page_size())
    }

    /// Offset of the page before its first one; None if there is none in the span.
    fn front_at(self) -> Option<usize> {
        (self.body().offset as usize / os::page_size()).checked_sub(1).map(|page| page * os::page_size())
    }

    /// Guards what is before and behind it, and writes the pattern.
    pub fn close(self, with_front: bool) {
        let page = os::page_size();
        if let Some(front) = self.front_at().filter(|_| with_front) {
            // SAFETY: the page is the span's, and before the block.
            self.body().front = unsafe { os::install_guard(self.span().wrapping_add(front), page) };
        }
        self.close_end();
    }

    /// The same for its end.
    pub fn close_end(self) {
        let guard_at = self.guard_at();
        let guard_bytes = (self.span_bytes() - guard_at).min(GUARD_MAX);
        self.write_rest();
        // SAFETY: all of it lies in the span, behind the block.
        unsafe {
            self.body().guard = if guard_bytes > 0 {
                os::install_guard(self.span().add(guard_at), guard_bytes)
            } else {
                Guard::None
            };
        }
        self.body().guard_bytes = guard_bytes as u32;
    }

    /// Writes what stands between its end and the guard.
    pub fn write_rest(self) {
        let end = self.body().offset as usize + self.body().size;
        // SAFETY: the bytes lie in the span, behind the block. (None, and no page is touched, if it ends at a page.)
        unsafe { write_pattern(self.span().add(end), self.guard_at() - end) };
    }

    /// Takes the guard behind it away; false, and it is still there, if the kernel refuses.
    pub fn open_end(self) -> bool {
        let guard_at = self.span().wrapping_add(self.guard_at());
        let (bytes, guard) = (self.body().guard_bytes as usize, self.body().guard);
        // SAFETY: `close_end` installed it.
        let opened = bytes == 0 || unsafe { os::remove_guard(guard_at, bytes, guard) };
        if opened {
            self.body().guard = Guard::None;
        }
        opened
    }

    /// How many bytes behind it were changed, as [`seal::changed_behind`].
    pub fn changed_behind(self) -> Option<(usize, usize)> {
        let end = self.body().offset as usize + self.body().size;
        let rest = self.guard_at() - end;
        let pattern = vault().pattern.to_le_bytes();
        let is_changed = |at: usize| {
            let expected = pattern.get(at).copied().unwrap_or(0);
            // SAFETY: the byte lies between the block and its guard.
            unsafe { *self.span().wrapping_add(end + at) != expected }
        };
        let first = (0..rest).find(|&at| is_changed(at))?;
        let last = (0..rest).rfind(|&at| is_changed(at))?;
        Some((first, last - first + 1))
    }

    /// Makes the block read as zero. What was hardly touched goes back to the kernel, what is large too; the rest is cleared, which
    /// costs less than to fault it in again. Returns how many bytes may have pages.
    pub fn wipe(self) -> usize {
        let end = self.guard_at();
        let begin = self.body().offset as usize / os::page_size() * os::page_size();
        let bytes = end - begin;
        let at = self.span().wrapping_add(begin);
        let give_back = bytes > CLEAR_MAX || (bytes > ASK_MIN && is_sparse(at, bytes));
        // SAFETY: the pages are the span's, and the program has given their contents up.
        unsafe {
            if give_back && os::purge(at, bytes) {
                return 0;
            }
            ptr::write_bytes(at, 0, bytes);
        }
        bytes
    }

    /// Ends its quarantine: the span is free for all. `bytes` of it may have pages.
    pub fn release(self, bytes: usize) {
        let used = if bytes > 0 { self.guard_at().div_ceil(GRANULE) } else { 0 };
        let front_ok = match self.front_at() {
            // SAFETY: `close` installed it.
            Some(front) => unsafe {
                os::remove_guard(self.span().wrapping_add(front), os::page_size(), self.body().front)
            },
            None => true,
        };
        if front_ok && self.open_end() {
            pages::free(self.0, used);
        } else {
            // A part of it can't be touched any more, so nobody shall get it.
            self.lose();
        }
    }

    /// Gives the block's addresses up for ever, and its pages back.
    pub fn lose(self) {
        pages::lose(self.0, self.guard_at());
    }

    /// Makes all of the span inaccessible, or accessible again; false if the kernel refuses.
    pub fn forbid(self, forbid: bool) -> bool {
        let (at, bytes) = (self.span(), self.guard_at());
        // SAFETY: the span is ours, and nobody has a use for it.
        unsafe { if forbid { os::forbid(at, bytes) } else { os::commit(at, bytes) } }
    }
}

/// Writes the pattern, as much of it as fits, and zeroes behind it.
///
/// # Safety
/// The bytes are the caller's.
unsafe fn write_pattern(at: *mut u8, bytes: usize) {
    let pattern = vault().pattern.to_le_bytes();
    let head = bytes.min(pattern.len());
    // SAFETY: the caller's contract.
    unsafe {
        ptr::copy_nonoverlapping(pattern.as_ptr(), at, head);
        ptr::write_bytes(at.add(head), 0, bytes - head);
    }
}

/// Whether less than half of a range's pages are in memory.
fn is_sparse(at: *mut u8, bytes: usize) -> bool {
    const PAGES_MAX: usize = CLEAR_MAX / 4096;
    let pages = (bytes / os::page_size()).min(PAGES_MAX);
    let mut resident = [0u8; PAGES_MAX];
    let resident = &mut resident[..pages];
    // SAFETY: the range is ours and mapped.
    let known = unsafe { os::resident(at, resident) };
    known && resident.iter().filter(|page| **page & 1 != 0).count() < pages / 2
}

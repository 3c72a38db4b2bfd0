//! Memory for Cairn's own records: bitmaps, bins, batches, the heaps of threads.
//!
//! Pieces are powers of two from [`PIECE_MIN`] up, cut from spans that are never given back; freed ones are kept in
//! one list a size, linked through their first word. What never was handed out reads as zero.

mod audit;

use core::cell::UnsafeCell;
use core::ptr;

use cairn_core::count::Place;
use cairn_core::lock::Lock;

use crate::class::GRANULE;
use crate::pages;

pub use audit::check;
#[cfg(test)]
pub use audit::damage;

/// The least piece in bytes.
pub const PIECE_MIN: usize = 32;
const SIZES: usize = (GRANULE / PIECE_MIN).ilog2() as usize + 1;

struct State {
    lists: [*mut u8; SIZES],
    next: *mut u8,
    left: usize,
    total: usize,
}

struct Records {
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`.
unsafe impl Sync for Records {}

static RECORDS: Records = Records {
    lock: Lock::named(Place::Records),
    state: UnsafeCell::new(State {
        lists: [ptr::null_mut(); SIZES],
        next: ptr::null_mut(),
        left: 0,
        total: 0,
    }),
};

/// The lock, for fork.
pub fn lock() -> &'static Lock {
    &RECORDS.lock
}

fn list_of(bytes: usize) -> usize {
    (bytes.max(PIECE_MIN).next_power_of_two() / PIECE_MIN).ilog2() as usize
}

/// Runs with the lock held.
fn locked<T>(run: impl FnOnce(&mut State) -> T) -> T {
    let _held = RECORDS.lock.hold();
    // SAFETY: the lock is held, and `run` never locks it again.
    run(unsafe { &mut *RECORDS.state.get() })
}

/// A piece of at least `bytes` (rounded up to a power of two), aligned to its size up to 64; null if memory is short.
/// It reads as zero only if it was never freed.
pub fn take(bytes: usize) -> *mut u8 {
    locked(|state| {
        if bytes > GRANULE {
            return state.span(bytes);
        }
        let whole = bytes.next_power_of_two() == GRANULE;
        let head = &mut state.lists[list_of(bytes)];
        if head.is_null() && whole {
            // A span of its own, or what is left of the current one would be lost.
            return state.span(GRANULE);
        }
        if head.is_null() {
            return state.cut(bytes.max(PIECE_MIN).next_power_of_two());
        }
        let piece = *head;
        // SAFETY: a piece in a list is free, and its first word is the link.
        *head = unsafe { *piece.cast() };
        piece
    })
}

/// Memory that is never given back and reads as zero, `bytes` exactly (rounded up to 64); null if memory is short.
pub fn take_forever(bytes: usize) -> *mut u8 {
    locked(|state| if bytes > GRANULE { state.span(bytes) } else { state.cut(bytes.next_multiple_of(64)) })
}

/// Gives a piece back.
///
/// # Safety
/// `piece` came from [`take`] with the same number of bytes, at most a granule, and is not used any more.
pub unsafe fn give(piece: *mut u8, bytes: usize) {
    locked(|state| {
        let head = &mut state.lists[list_of(bytes)];
        // SAFETY: the piece is at least a word long and ours again.
        unsafe { *piece.cast() = *head };
        *head = piece;
    });
}

/// Bytes taken from the page heap.
pub fn total() -> usize {
    locked(|state| state.total)
}

impl State {
    fn span(&mut self, bytes: usize) -> *mut u8 {
        let granules = bytes.div_ceil(GRANULE);
        let Some(place) = pages::allocate_clean(granules) else { return ptr::null_mut() };
        self.total += granules * GRANULE;
        place.region.address_of(place.granule)
    }

    /// The next `bytes` of the current span, aligned to `bytes` up to 64.
    fn cut(&mut self, bytes: usize) -> *mut u8 {
        let align = bytes.min(64);
        let skip = self.next.align_offset(align);
        if self.left < bytes + skip {
            let span = self.span(GRANULE);
            if span.is_null() {
                return span;
            }
            (self.next, self.left) = (span, GRANULE);
            return self.cut_aligned(bytes, 0);
        }
        self.cut_aligned(bytes, skip)
    }

    fn cut_aligned(&mut self, bytes: usize, skip: usize) -> *mut u8 {
        let piece = self.next.wrapping_add(skip);
        self.next = piece.wrapping_add(bytes);
        self.left -= bytes + skip;
        piece
    }
}

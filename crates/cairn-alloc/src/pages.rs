//! The page heap: spans of granules, best fit, lowest address first.
//!
//! ```text
//!   ┌───────────┬──────┬───────────────┬─────────────────────┐
//!   │ slab  1   │ free │ large block 3 │ free, up to the     │  committed
//!   │           │   2  │               │ committed end       │
//!   └───────────┴──────┴───────────────┴─────────────────────┘
//! ```
//! Free spans are in two AVL trees of their region, keyed by (length, address): `dirty` if any granule of theirs may
//! have pages, `clean` if none has. Dirty ones are used first, so that what was just freed is used again
//! before a new page is touched. Neighbours are found through the descriptors, so coalescing is O(1) plus the tree.
//!
//! Invariants, all under the one page lock: spans tile the committed part of each region; no two neighbours are
//! both free; a free span is in exactly one tree, `dirty` iff its `dirty` count is above 0; that count is the number
//! of dirty bits in it; `dirty_total` is the sum of these counts.

mod audit;
pub mod huge;
mod purge;
mod spans;
mod state;

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count;
use cairn_core::lock::Lock;
use cairn_core::os;

use crate::bits;
use crate::class::GRANULE;
use crate::decay::STEP_MAX;
use crate::descriptor::Kind;
use crate::region::Place;
#[cfg(test)]
pub use audit::damage;
pub use audit::{are_records, bytes_of_records, check, is_committed, kind_at};
use state::State;

/// How often the memory in use has grown by a thirty-second part.
static GROWTHS: AtomicUsize = AtomicUsize::new(0);
/// How often it rose so far from its last low.
static TURNS: AtomicUsize = AtomicUsize::new(0);

/// How often the page heap had to use fresh memory for a thirty-second part of what it has.
pub fn growths() -> usize {
    GROWTHS.load(Relaxed)
}

/// How often what is in use rose by a thirty-second part of the memory above the least that it was since it did so last, fresh or not: spans are wanted
/// for something else.
pub fn turns() -> usize {
    TURNS.load(Relaxed)
}

struct Pages {
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`.
unsafe impl Sync for Pages {}

static PAGES: Pages = Pages { lock: Lock::named(count::Place::Pages), state: UnsafeCell::new(State::new()) };

/// The page lock, for fork.
pub fn lock() -> &'static Lock {
    &PAGES.lock
}

/// Runs with the page lock held.
fn locked<T>(run: impl FnOnce(&mut State) -> T) -> T {
    let _held = PAGES.lock.hold();
    // SAFETY: the lock is held, and `run` can't lock it again: it would wait for ever, in tests too.
    run(unsafe { &mut *PAGES.state.get() })
}

/// Which free spans to use first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Prefer {
    /// Those that have pages: memory that will be touched.
    Dirty,
    /// The same, for memory that will be written from end to end: it may come out of a huge page.
    Filled,
    /// The same, for a large block: fresh memory is aligned to huge pages, and what has pages is used as it lies.
    Huge,
    /// Those that have none, or fresh address space: room that may stay untouched, or pages that come along.
    Clean,
}

/// Takes a span of `granules`, at a multiple of `align` granules (a power of two), and marks it as `kind`.
/// None if the kernel has no more memory. Its dirty bits tell which granules may not read as zero.
pub fn allocate(granules: usize, align: usize, kind: Kind, prefer: Prefer) -> Option<Place> {
    debug_assert!(granules > 0 && align.is_power_of_two() && kind != Kind::Inner && kind != Kind::Free);
    if granules >= u32::MAX as usize || align >= u32::MAX as usize {
        return None;
    }
    if prefer == Prefer::Filled
        && let Some(chunk) = locked(|state| state.take_chunk(granules))
    {
        // SAFETY: the chunk was taken for this, and nobody knows it yet.
        let filled = unsafe { huge::fill(chunk) };
        locked(|state| state.chunk_filled(chunk, filled));
    }
    locked(|state| {
        let found = state.find(granules, align, prefer)?;
        // SAFETY: the descriptor of a committed granule, under the page lock.
        unsafe { (*found.region.descriptor(found.granule)).kind = kind };
        state.tick();
        Some(found)
    })
}

/// A span for records, which reads as zero.
pub fn allocate_clean(granules: usize) -> Option<Place> {
    let place = allocate(granules, 1, Kind::Records, Prefer::Dirty)?;
    zero_dirty(place, granules * GRANULE);
    Some(place)
}

/// Makes the first `bytes` of a span that the caller owns read as zero: what may not, is cleared.
pub fn zero_dirty(place: Place, bytes: usize) {
    let Place { region, granule } = place;
    let end = granule + bytes.div_ceil(GRANULE);
    let end_address = region.address_of(granule).addr() + bytes;
    let mut from = granule;
    // SAFETY: the bits and the memory of a live span belong to its owner, the caller. (Bits of neighbours may share a
    // word and be written under the lock meanwhile; ours don't change by that.)
    unsafe {
        while let Some((first, last)) = bits::first_run(region.dirty_words(), from, end) {
            let start = region.address_of(first);
            start.write_bytes(0, ((last - first) * GRANULE).min(end_address - start.addr()));
            from = last;
        }
    }
}

/// Of a live span the granules `from..to`, counted from its first, have no pages and read as zero.
pub fn mark_clean(place: Place, from: usize, to: usize) {
    let first = place.granule;
    // SAFETY: the bits of a live span are its owner's, and the lock keeps writers of shared words apart.
    locked(|_| unsafe { bits::clear(place.region.dirty_words(), first + from, first + to) });
}

/// Of a live span the granules `from..to`, counted from its first, may have been written to.
pub fn mark_dirty(place: Place, from: usize, to: usize) {
    let first = place.granule;
    // SAFETY: as above.
    locked(|_| unsafe { bits::set(place.region.dirty_words(), first + from, first + to) });
}

/// Spans that were given back so far.
static SPANS_FREED: AtomicUsize = AtomicUsize::new(0);

/// How many spans were given back so far: whoever compares two answers knows whether one was meanwhile.
pub fn spans_freed() -> usize {
    SPANS_FREED.load(Relaxed)
}

/// Gives back the span that begins at `place`; its first `used` granules may have been written to.
pub fn free(place: Place, used: usize) {
    locked(|state| {
        let len = place.region.len(place.granule);
        state.release(place, len, used.min(len));
        // Written under the lock only.
        SPANS_FREED.store(SPANS_FREED.load(Relaxed).wrapping_add(1), Relaxed);
        state.tick();
    });
}

/// Whether a live span may have had pages when it was taken.
pub fn is_dirty(place: Place) -> bool {
    let to = place.granule + place.region.len(place.granule);
    // SAFETY: the bits of a live span are its owner's, the caller's.
    unsafe { bits::first_run(place.region.dirty_words(), place.granule, to).is_some() }
}

/// Whether all of a live span may have had pages when it was taken.
pub fn is_all_dirty(place: Place) -> bool {
    let len = place.region.len(place.granule);
    // SAFETY: as above.
    unsafe { bits::count(place.region.dirty_words(), place.granule, place.granule + len) == len }
}

/// Whether the granules `from..to` of a live span, counted from its first, had no pages when it was taken.
pub fn is_clean(place: Place, from: usize, to: usize) -> bool {
    let first = place.granule;
    // SAFETY: as above.
    unsafe { bits::first_run(place.region.dirty_words(), first + from, first + to).is_none() }
}

/// Takes a live span out of use for ever: its addresses are no longer ours.
pub fn retire(place: Place) {
    // SAFETY: the descriptor of a live span, which the caller owns; under the page lock.
    locked(|_| unsafe { (*place.region.descriptor(place.granule)).kind = Kind::Records });
}

/// The same for a span of which a part can't be touched any more: its addresses are lost, and the pages of its first `bytes` go back.
pub fn lose(place: Place, bytes: usize) {
    // SAFETY: the span is the caller's, and nobody will look at it again. If the kernel refuses this too, the pages are lost with it.
    unsafe { os::drop_pages(place.region.address_of(place.granule), bytes) };
    retire(place);
}

/// Lengthens the span at `place` to `granules` by taking the free space behind it; false if it isn't free.
/// New granules that may not read as zero have their dirty bits set.
pub fn grow(place: Place, granules: usize) -> bool {
    locked(|state| state.grow(place, granules))
}

/// Shortens the span at `place` to `granules` (not 0); of the rest the first `used` granules may have been written.
pub fn shrink(place: Place, granules: usize, used: usize) {
    locked(|state| state.split(place, granules, used));
}

/// In the child of a fork: what a thread that is no more was about to bring back.
pub fn bury() {
    locked(State::recover_chunk);
}

/// Whether a free span has as many pages as `granules`.
pub fn has_filled(granules: usize) -> bool {
    locked(|_| State::has_filled(granules))
}

/// Whether the granules behind a live span are free and may have pages, up to where a huge page ends.
pub fn may_reach(place: Place) -> bool {
    locked(|state| state.may_reach(place))
}

/// What is free behind a live span, up to where a huge page ends, may have pages, whatever became of it since it was asked for.
pub fn mark_reached(place: Place) {
    locked(|state| state.mark_reached(place));
}

/// Bytes of the first region that are not free.
pub fn in_use() -> usize {
    locked(|state| state.in_use()) * GRANULE
}

/// Whether huge pages are worth a try now, and if so whether the last ones all went well.
pub fn wants_huge() -> Option<bool> {
    locked(|state| state.wants_huge().then(|| state.is_huge_reliable()))
}

/// How a try went; true if the last ones all went well.
pub fn tried_huge(filled: huge::Filled) -> bool {
    locked(|state| state.tried_huge(filled))
}

/// Gives pages back that nobody has needed for long: a step, or with `bytes` up to so many, other threads having their turn in
/// between. True if a new window of the decay began since the last call. Costs a look at the clock if there is nothing
/// to do.
pub fn purge_step(bytes: usize) -> bool {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    let mut left = bytes / GRANULE;
    while locked(|state| state.give_back(left.min(STEP_MAX))) >= STEP_MAX && left > STEP_MAX {
        left -= STEP_MAX;
    }
    let windows = locked(|state| state.decay.windows);
    SEEN.swap(windows, Relaxed) != windows
}

/// Gives back the pages of all free spans but `keep` bytes; how many bytes went.
pub fn purge_all(keep: usize) -> usize {
    locked(|state| {
        let before = state.purged_total;
        state.purge(state.dirty_total.saturating_sub(keep / GRANULE));
        (state.purged_total - before) * GRANULE
    })
}

/// What the page heap holds, in bytes.
pub struct Totals {
    /// Free spans whose pages may be in memory.
    pub dirty: usize,
    /// Other free spans.
    pub clean: usize,
    /// Given back since the start.
    pub purged: usize,
}

/// Counts.
pub fn totals() -> Totals {
    locked(|state| Totals {
        dirty: state.dirty_total * GRANULE,
        clean: (state.free_total - state.dirty_total) * GRANULE,
        purged: state.purged_total * GRANULE,
    })
}

#[cfg(test)]
mod tests;

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

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::avl::{Nodes, Tree};
use cairn_core::lock::Lock;
use cairn_core::os;

use crate::bits;
use crate::class::GRANULE;
use crate::decay::Decay;
use crate::descriptor::{Body, Descriptor, FreeBody, Kind};
use crate::region::{self, Place, Region};
use crate::settings;

/// The free spans of one region.
pub struct Spans {
    dirty: Tree<u32>,
    clean: Tree<u32>,
}

impl Spans {
    /// None.
    pub const fn new() -> Self {
        Spans { dirty: Tree::new(), clean: Tree::new() }
    }
}

/// The trees' nodes are the descriptors of a region.
struct Table<'a>(&'a Region);

impl Table<'_> {
    #[allow(clippy::mut_from_ref)]
    fn free(&self, n: u32) -> &mut FreeBody {
        // SAFETY: `n` is a free span's first granule and the page lock is held, so the descriptor is ours, and each
        // reference ends before the next is made (all uses are single expressions in this impl).
        unsafe { &mut (*self.0.descriptor(n as usize)).body.free }
    }
}

fn link(to: Option<u32>) -> u32 {
    to.map_or(0, |n| n + 1)
}

impl Nodes for Table<'_> {
    type Id = u32;

    #[inline]
    fn left(&self, n: u32) -> Option<u32> {
        self.free(n).left.checked_sub(1)
    }
    #[inline]
    fn set_left(&mut self, n: u32, to: Option<u32>) {
        self.free(n).left = link(to);
    }
    #[inline]
    fn right(&self, n: u32) -> Option<u32> {
        self.free(n).right.checked_sub(1)
    }
    #[inline]
    fn set_right(&mut self, n: u32, to: Option<u32>) {
        self.free(n).right = link(to);
    }
    #[inline]
    fn parent(&self, n: u32) -> Option<u32> {
        self.free(n).parent.checked_sub(1)
    }
    #[inline]
    fn set_parent(&mut self, n: u32, to: Option<u32>) {
        self.free(n).parent = link(to);
    }
    #[inline]
    fn height(&self, n: u32) -> u8 {
        self.free(n).height
    }
    #[inline]
    fn set_height(&mut self, n: u32, to: u8) {
        self.free(n).height = to;
    }
    #[inline]
    fn less(&self, a: u32, b: u32) -> bool {
        (self.0.len(a as usize), a) < (self.0.len(b as usize), b)
    }
}

impl Region {
    /// Length in granules of the span that begins at `granule`. Under the page lock, or by the span's owner.
    #[inline]
    pub fn len(&self, granule: usize) -> usize {
        // SAFETY: the descriptor is committed; `len` changes only under the page lock.
        unsafe { (*self.descriptor(granule)).len as usize }
    }
}

/// What the page lock guards besides the trees.
struct State {
    dirty_total: usize,
    free_total: usize,
    purged_total: usize,
    /// Granules without pages that were taken since the last growth.
    fresh: usize,
    decay: Decay,
}

/// How often the memory in use has grown by [`GROWTH_SHARE`].
static GROWTHS: AtomicUsize = AtomicUsize::new(0);
/// The part of the heap that makes a growth, if it is fresh memory.
const GROWTH_SHARE: usize = 32;
/// A growth is at least so many granules.
const GROWTH_MIN: usize = 16;

/// How often the page heap had to use fresh memory for a thirty-second part of what it has.
pub fn growths() -> usize {
    GROWTHS.load(Relaxed)
}

struct Pages {
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`.
unsafe impl Sync for Pages {}

static PAGES: Pages = Pages {
    lock: Lock::new(),
    state: UnsafeCell::new(State {
        dirty_total: 0,
        free_total: 0,
        purged_total: 0,
        fresh: 0,
        decay: Decay::new(),
    }),
};

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

/// Gives back the span that begins at `place`; its first `used` granules may have been written to.
pub fn free(place: Place, used: usize) {
    locked(|state| {
        let len = place.region.len(place.granule);
        state.release(place, len, used.min(len));
        state.tick();
    });
}

/// Whether a live span may have had pages when it was taken.
pub fn is_dirty(place: Place) -> bool {
    let to = place.granule + place.region.len(place.granule);
    // SAFETY: the bits of a live span are its owner's, the caller's.
    unsafe { bits::first_run(place.region.dirty_words(), place.granule, to).is_some() }
}

/// Takes a live span out of use for ever: its addresses are no longer ours.
pub fn retire(place: Place) {
    // SAFETY: the descriptor of a live span, which the caller owns; under the page lock.
    locked(|_| unsafe { (*place.region.descriptor(place.granule)).kind = Kind::Records });
}

/// Lengthens the span at `place` to `granules` by taking the free space behind it; false if it isn't free.
/// New granules that may not read as zero have their dirty bits set.
pub fn grow(place: Place, granules: usize) -> bool {
    locked(|state| state.grow(place, granules))
}

/// Shortens the span at `place` to `granules` (not 0); of the rest the first `used` granules may have been written.
pub fn shrink(place: Place, granules: usize, used: usize) {
    locked(|state| {
        let Place { region, granule } = place;
        let rest = region.len(granule) - granules;
        if rest > 0 {
            // SAFETY: the caller owns the span; under the page lock.
            unsafe { (*region.descriptor(granule)).len = granules as u32 };
            state.release(Place { region, granule: granule + granules }, rest, used.min(rest));
        }
    });
}

/// What [`purge_step`] found.
pub struct Step {
    /// A new window of the decay began since the last call.
    pub new_window: bool,
    /// Pages went, and perhaps more are to go.
    pub purged: bool,
}

/// Gives pages back that nobody has needed for long. Costs a look at the clock if there is nothing to do.
pub fn purge_step() -> Step {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    locked(|state| {
        let before = state.purged_total;
        state.tick();
        let windows = state.decay.windows;
        Step { new_window: SEEN.swap(windows, Relaxed) != windows, purged: state.purged_total > before }
    })
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

impl State {
    fn find(&mut self, granules: usize, align: usize, prefer: Prefer) -> Option<Place> {
        let room = granules + (align - 1);
        if let Some(found) = self.take_first(granules, align, prefer) {
            return Some(found);
        }
        if prefer == Prefer::Dirty
            && let Some(found) = self.take_first(granules, align, Prefer::Clean)
        {
            return Some(found);
        }
        let grown = region::regions().iter().any(|region| self.extend(region, room))
            || self.add_region(room)
            || (self.drop_free_regions() && self.add_region(room));
        // What was added may have joined a dirty span.
        let found = grown.then(|| self.take_first(granules, align, Prefer::Clean)).flatten();
        found.or_else(|| self.take_first(granules, align, Prefer::Dirty))
    }

    /// Adds a region with a free span of `granules` in it.
    fn add_region(&mut self, granules: usize) -> bool {
        let Some(region) = region::add(granules) else { return false };
        self.release(Place { region, granule: 0 }, region.committed(), 0);
        true
    }

    /// Gives back the address space of regions that are wholly free, so that a larger one may find room; true if any were.
    fn drop_free_regions(&mut self) -> bool {
        let mut dropped = false;
        for region in region::regions().iter().skip(1) {
            let committed = region.committed();
            if committed > 0 && free_at(region, 0) == Some(committed) {
                self.unlink(region, 0);
                region.unmap();
                dropped = true;
            }
        }
        dropped
    }

    /// Takes from the best fitting span of one kind, in the first region that has one.
    fn take_first(&mut self, granules: usize, align: usize, kind: Prefer) -> Option<Place> {
        region::regions().iter().find_map(|region| {
            let granule = self.take_fitting(region, granules, align, kind == Prefer::Dirty)?;
            Some(Place { region, granule })
        })
    }

    /// Takes from the best fitting span of one tree.
    fn take_fitting(&mut self, region: &Region, granules: usize, align: usize, dirty: bool) -> Option<usize> {
        let room = granules + (align - 1);
        let spans = spans(region);
        let tree = if dirty { &spans.dirty } else { &spans.clean };
        let fits = |table: &Table, n: u32| table.0.len(n as usize) >= room;
        let start = tree.first_where(&Table(region), fits)? as usize;
        let end = start + region.len(start);
        let from = if align > 1 {
            let address = region.base() + start * GRANULE;
            start + (address.next_multiple_of(align * GRANULE) - address) / GRANULE
        } else if dirty {
            // Of a span that is partly clean, the dirty part.
            // SAFETY: the bits of a free span are under the page lock, which is held.
            let run = unsafe { bits::first_run(region.dirty_words(), start, end) };
            run.map_or(start, |(first, _)| first.min(end - granules))
        } else {
            start
        };
        self.carve(region, start, from, granules);
        Some(from)
    }

    /// Cuts `granules` at `from` out of the free span at `start`; what is left stays free.
    fn carve(&mut self, region: &Region, start: usize, from: usize, granules: usize) {
        let len = region.len(start);
        let dirty = self.unlink(region, start);
        let words = region.dirty_words();
        // SAFETY: the bits of a free span are under the page lock, which is held.
        let (taken, before) =
            unsafe { (bits::count(words, from, from + granules), bits::count(words, start, from)) };
        if from > start {
            self.link(region, start, from - start, before);
        }
        let behind = start + len - (from + granules);
        if behind > 0 {
            self.link(region, from + granules, behind, dirty - taken - before);
        }
        // SAFETY: the granule is committed and its span now ours; under the page lock.
        unsafe { (*region.descriptor(from)).len = granules as u32 };
        self.decay.dirty_changed(self.dirty_total);
        self.decay.clean_used(granules - taken);
        self.fresh += granules - taken;
        if self.fresh > (region.committed() / GROWTH_SHARE).max(GROWTH_MIN) {
            self.fresh = 0;
            GROWTHS.fetch_add(1, Relaxed);
        }
    }

    /// Puts a free span into its tree, without coalescing.
    fn link(&mut self, region: &Region, start: usize, len: usize, dirty: usize) {
        let body = FreeBody { left: 0, right: 0, parent: 0, dirty: dirty as u32, height: 0 };
        // SAFETY: both granules are committed and in no other span; under the page lock.
        unsafe {
            let first = region.descriptor(start);
            (*first).kind = Kind::Free;
            (*first).len = len as u32;
            (*first).body = Body { free: body };
            let last = region.descriptor(start + len - 1);
            (*last).free_tail = true;
            (*last).head = start as u32;
        }
        let spans = spans(region);
        let tree = if dirty > 0 { &mut spans.dirty } else { &mut spans.clean };
        tree.insert(&mut Table(region), start as u32);
        self.free_total += len;
        self.dirty_total += dirty;
    }

    /// Takes a free span out of its tree; returns how many of its granules are dirty.
    fn unlink(&mut self, region: &Region, start: usize) -> usize {
        let len = region.len(start);
        // SAFETY: the descriptors of a free span, under the page lock.
        let dirty = unsafe {
            let first = region.descriptor(start);
            debug_assert!((*first).kind == Kind::Free);
            (*first).kind = Kind::Inner;
            (*region.descriptor(start + len - 1)).free_tail = false;
            (*first).body.free.dirty as usize
        };
        let spans = spans(region);
        let tree = if dirty > 0 { &mut spans.dirty } else { &mut spans.clean };
        tree.remove(&mut Table(region), start as u32);
        self.free_total -= len;
        self.dirty_total -= dirty;
        dirty
    }

    /// Makes `len` granules free and joins them with their free neighbours.
    fn release(&mut self, place: Place, len: usize, used: usize) {
        let Place { region, granule } = place;
        // SAFETY: the caller gives up the span; under the page lock.
        let mut dirty = unsafe {
            (*region.descriptor(granule)).kind = Kind::Inner;
            bits::set(region.dirty_words(), granule, granule + used);
            bits::count(region.dirty_words(), granule, granule + len)
        };
        let (mut start, mut end) = (granule, granule + len);
        if let Some(before) = free_before(region, start) {
            start = before;
            dirty += self.unlink(region, before);
        }
        if let Some(behind) = free_at(region, end) {
            end += behind;
            dirty += self.unlink(region, granule + len);
        }
        self.link(region, start, end - start, dirty);
    }

    /// Commits more of a region until a free span of `granules` stands at its end.
    fn extend(&mut self, region: &'static Region, granules: usize) -> bool {
        /// At most 64 MiB.
        const STEP_MAX: usize = 1024;
        let committed = region.committed();
        let at_end = free_before(region, committed).map_or(0, |start| committed - start);
        if at_end >= granules {
            // A dirty span, passed over by who prefers a clean one.
            return true;
        }
        let least = committed + (granules - at_end);
        if least > region.granules() {
            return false;
        }
        let step = (committed / 8).clamp(region::COMMIT_MIN, STEP_MAX);
        let target = least.max(committed + step).min(region.granules());
        if !region.commit(least, target) {
            return false;
        }
        let added = region.committed() - committed;
        self.release(Place { region, granule: committed }, added, 0);
        true
    }

    fn grow(&mut self, place: Place, granules: usize) -> bool {
        let Place { region, granule } = place;
        let len = region.len(granule);
        let missing = granules - len;
        let end = granule + len;
        if end == region.committed()
            || free_at(region, end).is_some_and(|free| end + free == region.committed())
        {
            let free = if end == region.committed() { 0 } else { region.len(end) };
            if free < missing && !self.extend(region, missing) {
                return false;
            }
        }
        match free_at(region, end) {
            Some(free) if free >= missing => {
                self.carve(region, end, end, missing);
                // SAFETY: the caller owns the span; under the page lock. What was carved is no span of its own.
                unsafe { (*region.descriptor(granule)).len = granules as u32 };
                true
            }
            _ => false,
        }
    }

    fn tick(&mut self) {
        let base_ms = settings::DECAY_MS.get() as u64;
        let step = self.decay.step(os::now_ms(), base_ms, self.dirty_total);
        if step > 0 {
            self.purge(step);
        }
    }

    /// Gives back the pages of `granules` dirty granules: from the largest spans, highest addresses first, because
    /// small spans at low addresses are used again first.
    fn purge(&mut self, granules: usize) {
        let mut left = granules.min(self.dirty_total);
        for region in region::regions() {
            while left > 0 {
                let Some(start) = spans(region).dirty.last(&Table(region)) else { break };
                let done = self.purge_span(region, start as usize, left);
                if done == 0 {
                    return;
                }
                left -= done;
            }
        }
        self.decay.dirty_changed(self.dirty_total);
    }

    /// Gives back at most `most` dirty granules of one free span; 0 if the kernel refuses.
    fn purge_span(&mut self, region: &Region, start: usize, most: usize) -> usize {
        let len = region.len(start);
        let dirty = self.unlink(region, start);
        let words = region.dirty_words();
        let mut done = 0;
        // SAFETY: a free span's bits and pages are ours under the page lock, and nobody needs its contents.
        unsafe {
            while done < most {
                let Some((first, last)) = bits::last_run(words, start, start + len) else { break };
                let first = first.max(last - (most - done).min(last));
                if !os::purge(region.address_of(first), (last - first) * GRANULE) {
                    break;
                }
                bits::clear(words, first, last);
                done += last - first;
            }
        }
        self.purged_total += done;
        self.link(region, start, len, dirty - done);
        done
    }
}

#[allow(clippy::mut_from_ref)] // one exclusive owner at a time: the page lock's holder
fn spans(region: &Region) -> &mut Spans {
    // SAFETY: called only with the page lock held, and each caller lets go of the reference before the next call.
    unsafe { &mut *region.spans.get() }
}

/// The free span that ends right before `granule`.
fn free_before(region: &Region, granule: usize) -> Option<usize> {
    let last: *const Descriptor = region.descriptor(granule.checked_sub(1)?);
    // SAFETY: the descriptor is committed; under the page lock.
    unsafe { (*last).free_tail.then_some((*last).head as usize) }
}

/// The length of the free span that begins at `granule`.
fn free_at(region: &Region, granule: usize) -> Option<usize> {
    if granule >= region.committed() {
        return None;
    }
    // SAFETY: as above.
    unsafe {
        let first: *const Descriptor = region.descriptor(granule);
        ((*first).kind == Kind::Free).then_some((*first).len as usize)
    }
}

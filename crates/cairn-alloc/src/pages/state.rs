//! The page heap's state and its operations: find, carve, release, extend. Under the page lock, see pages.rs.

mod chunks;

use crate::bits;
use crate::class::GRANULE;
use crate::decay::Decay;
use crate::descriptor::{Body, FreeBody, Kind};
use crate::hardened;
use crate::pages::huge::{CHUNK, Huge};
use crate::pages::spans::{Table, free_at, free_before, spans};
use crate::pages::{GROWTHS, Prefer, TURNS};
use crate::region::{self, Place, Region};

use core::iter::successors;
use core::sync::atomic::Ordering::Relaxed;

/// The part of the heap that makes a turn, and a growth if it is fresh memory;
const TURN_SHARE: usize = 32;
/// but at least so many granules.
const TURN_MIN: usize = 16;

/// A new peak gives back at most so many granules at a time: 64 MiB, some 4 ms.
const PEAK_STEP_MAX: usize = 1024;

/// What the page lock guards besides the trees.
pub struct State {
    /// Dirty granules in free spans.
    pub dirty_total: usize,
    /// Granules in free spans.
    pub free_total: usize,
    /// Granules given back to the kernel since the start.
    pub purged_total: usize,
    /// Granules without pages that were taken since the last growth.
    pub fresh: usize,
    /// The fewest granules that were in use since the last turn.
    low: usize,
    /// When pages go back.
    pub decay: Decay,
    /// When pages are huge.
    huge: Huge,
    /// The most granules that were in use, or free with pages, at a time.
    peak: usize,
}

/// How many granules may be free with pages at a new peak, with so many in use: a quarter, or, if that is less, a sixteenth and 64 MiB, since what is in
/// use need not have been touched. With less, pages go back that the next blocks need: a sixteenth alone costs a tenth to two fifths more time where
/// blocks are large, and saves no memory. With a half the peak of some programs grows (docs/decisions/rest.md).
fn spare_at_peak(in_use: usize) -> usize {
    /// 64 MiB.
    const BOUND: usize = 1024;
    (in_use / 4).min(in_use / 16 + BOUND)
}

/// The first granule from `start` on whose address is a multiple of so many.
fn first_aligned(region: &Region, start: usize, align: usize) -> usize {
    let address = region.base() + start * GRANULE;
    start + (address.next_multiple_of(align * GRANULE) - address) / GRANULE
}

/// So many spans are looked at where none needs to fit.
const LOOKS: usize = 8;

/// The shortest span of one tree that has `granules` at a multiple of `align`, and pages for `pages` granules at least; of those that are too
/// short to have them in any case, or may have too few pages, only the first few are looked at, and a few where a chunk is.
fn find_fitting(region: &Region, granules: usize, align: usize, dirty: bool, pages: usize) -> Option<usize> {
    let spans = spans(region);
    let tree = if dirty { &spans.dirty } else { &spans.clean };
    let table = Table(region);
    let at_least = |least| tree.first_where(&table, |table, n| table.0.len(n as usize) >= least);
    let fits = |n: &u32| {
        let start = *n as usize;
        // SAFETY: the descriptor of a free span, under the page lock.
        let has = unsafe { (*region.descriptor(start)).body.free.dirty as usize };
        has >= pages && first_aligned(region, start, align) + granules <= start + region.len(start)
    };
    let look = |least| successors(at_least(least), |n| tree.next(&table, *n)).take(LOOKS).find(fits);
    let found = look(granules);
    let found = if pages > 0 && granules < CHUNK { found.or_else(|| look(CHUNK)) } else { found };
    let found =
        if align > 1 && pages == 0 { found.or_else(|| at_least(granules + (align - 1))) } else { found };
    found.map(|n| n as usize)
}

impl State {
    /// Of a heap without memory.
    pub const fn new() -> Self {
        State {
            dirty_total: 0,
            free_total: 0,
            purged_total: 0,
            fresh: 0,
            low: 0,
            decay: Decay::new(),
            huge: Huge::new(),
            peak: 0,
        }
    }

    /// Takes a span of so many granules at such a multiple of them, from free spans of the preferred kind first; None if the
    /// kernel has no more memory.
    pub fn find(&mut self, granules: usize, align: usize, prefer: Prefer) -> Option<Place> {
        if let Some(found) = self.take_first(granules, align, prefer) {
            if prefer == Prefer::Huge && self.ends_in_fresh_chunk(found) {
                self.mark_reached(found);
            }
            return Some(found);
        }
        if prefer == Prefer::Filled
            && let Some(found) = self.take_first(granules, align, Prefer::Dirty)
        {
            return Some(found);
        }
        let (asked, wanted) = (align, granules);
        let (granules, align) =
            if prefer == Prefer::Huge { self.in_huge_pages(granules, align) } else { (granules, align) };
        let room = granules + (align - 1);
        if prefer != Prefer::Clean
            && let Some(found) = self.take_first(granules, align, Prefer::Clean)
        {
            self.guard_peak(granules);
            self.split(found, wanted, granules);
            return Some(found);
        }
        let grown = region::regions().iter().any(|region| self.extend(region, room))
            || self.add_region(room)
            || (self.drop_free_regions() && self.add_region(room));
        // What was added may have joined a dirty span.
        let found = grown.then(|| self.take_first(granules, align, Prefer::Clean)).flatten();
        let found = found.or_else(|| self.take_first(granules, align, Prefer::Dirty));
        // What huge pages would need was a wish.
        let found = found
            .or_else(|| self.take_first(wanted, asked, Prefer::Clean))
            .or_else(|| self.take_first(wanted, asked, Prefer::Dirty));
        // After it is taken, or what it needs could be given back; and before its end is free, for the same reason.
        self.guard_peak(granules);
        if let Some(found) = found {
            self.split(found, wanted, granules);
        }
        found
    }

    /// Shortens a live span to `granules` (not 0); of the rest the first `used` granules may have pages.
    pub fn split(&mut self, place: Place, granules: usize, used: usize) {
        let Place { region, granule } = place;
        let rest = region.len(granule) - granules;
        if rest > 0 {
            // SAFETY: the caller owns the span; under the page lock.
            unsafe { (*region.descriptor(granule)).len = granules as u32 };
            self.release(Place { region, granule: granule + granules }, rest, used.min(rest));
        }
    }

    /// After so many granules were taken fresh: if the heap now is larger than ever, free spans whose pages did not serve give as
    /// many of them back, but for [a part](spare_at_peak) of what is in use. So what is cut up badly for the sizes of today does not add to
    /// the peak; and where sizes only come and go, below the peak, nothing is given back here.
    fn guard_peak(&mut self, granules: usize) {
        let in_use = self.in_use();
        if in_use + self.dirty_total > self.peak {
            let spare = self.dirty_total.saturating_sub(spare_at_peak(in_use));
            self.purge(spare.min(granules).min(PEAK_STEP_MAX));
            self.peak = self.peak.max(in_use + self.dirty_total);
        }
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
            if region.granules() > 0 && committed == 0 {
                // It was never used: its memory was refused, and so was its end.
                dropped |= region.unmap();
            } else if committed > 0 && free_at(region, 0) == Some(committed) {
                let dirty = self.unlink(region, 0);
                if region.unmap() {
                    dropped = true;
                } else {
                    self.link(region, 0, committed, dirty);
                }
            }
        }
        dropped
    }

    /// Takes from the best fitting span of one kind, in the first region that has one.
    fn take_first(&mut self, granules: usize, align: usize, kind: Prefer) -> Option<Place> {
        region::regions().iter().find_map(|region| {
            let granule = self.take_fitting(region, granules, align, kind)?;
            Some(Place { region, granule })
        })
    }

    /// Takes from the best fitting span of one tree.
    fn take_fitting(
        &mut self,
        region: &Region,
        granules: usize,
        align: usize,
        kind: Prefer,
    ) -> Option<usize> {
        let dirty = kind != Prefer::Clean;
        // What is mostly fresh had better all be, and have huge pages.
        let pages = match kind {
            Prefer::Huge => granules / 2,
            // A piece of a chunk that was filled for it, or of another.
            Prefer::Filled => granules,
            _ => 0,
        };
        let start = find_fitting(region, granules, align, dirty, pages)?;
        let end = start + region.len(start);
        let from = if align > 1 {
            first_aligned(region, start, align)
        } else if dirty {
            // Of a span that is partly clean, the dirty part.
            // SAFETY: the bits of a free span are under the page lock, which is held.
            let run = unsafe { bits::first_run(region.dirty_words(), start, end) };
            run.map_or(start, |(first, _)| first.min(end - granules))
        } else {
            start + hardened::stride(end - start - granules)
        };
        self.carve(region, start, from, granules);
        Some(from)
    }

    /// Granules of the first region that are not free (nearly: what is free elsewhere is counted with it).
    pub fn in_use(&self) -> usize {
        region::regions().first().map_or(0, |first| first.committed().saturating_sub(self.free_total))
    }

    /// Whether a free span has as many pages as `granules`, and so serves them with few faults.
    pub fn has_filled(granules: usize) -> bool {
        region::regions().iter().any(|region| find_fitting(region, granules, 1, true, granules).is_some())
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
        let share = (region.committed() / TURN_SHARE).max(TURN_MIN);
        let in_use = self.in_use();
        if in_use > self.low + share {
            self.low = in_use;
            TURNS.fetch_add(1, Relaxed);
        }
        if self.fresh > share {
            self.fresh = 0;
            GROWTHS.fetch_add(1, Relaxed);
        }
    }

    /// Puts a free span into its tree, without coalescing.
    pub fn link(&mut self, region: &Region, start: usize, len: usize, dirty: usize) {
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
        self.low = self.low.min(self.in_use());
    }

    /// Takes a free span out of its tree; returns how many of its granules are dirty.
    pub fn unlink(&mut self, region: &Region, start: usize) -> usize {
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
    pub fn release(&mut self, place: Place, len: usize, used: usize) {
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

    /// Lengthens a live span into the free space behind it, or into fresh memory if it ends the region.
    pub fn grow(&mut self, place: Place, granules: usize) -> bool {
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
}

#[cfg(test)]
mod tests;

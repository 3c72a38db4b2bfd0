//! The page heap's state and its operations: find, carve, release, extend. Under the page lock, see pages.rs.

use crate::bits;
use crate::class::GRANULE;
use crate::decay::Decay;
use crate::descriptor::{Body, FreeBody, Kind};
use crate::hardened;
use crate::pages::huge::{CHUNK, Filled, Huge};
use crate::pages::spans::{Table, free_at, free_before, spans};
use crate::pages::{GROWTHS, Prefer, TURNS};
use crate::region::{self, Place, Region};

use core::iter::successors;
use core::sync::atomic::Ordering::Relaxed;

use cairn_core::avl::Tree;

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

/// Where a live span ends, and where the huge page does in which that is, if all that lies between is free.
fn free_to_boundary(place: Place) -> Option<(usize, usize)> {
    let Place { region, granule } = place;
    let end = granule + region.len(granule);
    let boundary = first_aligned(region, end, CHUNK);
    free_at(region, end).is_some_and(|free| end + free >= boundary).then_some((end, boundary))
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

    /// Length and alignment of fresh memory that is to have huge pages. Where they are quick it is whole ones: what the last one brings behind
    /// the end of the block is free then, and has pages.
    fn in_huge_pages(&self, granules: usize, align: usize) -> (usize, usize) {
        let whole = if self.is_huge_reliable() { granules.next_multiple_of(CHUNK) } else { granules };
        (whole, align.max(CHUNK))
    }

    /// Whether a span's last huge page, where they are quick, will come with its first touch: its begin is the span's, and none of it has pages.
    fn ends_in_fresh_chunk(&self, place: Place) -> bool {
        let words = place.region.dirty_words();
        free_to_boundary(place).is_some_and(|(_, boundary)| {
            self.is_huge_reliable()
                && place.granule + CHUNK <= boundary
                // SAFETY: the bits of a free span and one that was just taken, under the page lock.
                && unsafe { bits::first_run(words, boundary - CHUNK, boundary) }.is_none()
        })
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

    /// Takes a chunk to be filled with a huge page, if a span of `granules` had to come from fresh memory, or some of it, and huge pages
    /// are worth it now. The caller owns it and brings it back with [`State::chunk_filled`].
    pub fn take_chunk(&mut self, granules: usize) -> Option<Place> {
        let region = region::regions().first()?;
        if granules > CHUNK || !self.wants_huge() || Self::has_filled(granules) {
            return None;
        }
        let (start, from) = self.place_of_chunk(region)?;
        self.carve(region, start, from, CHUNK);
        self.guard_peak(CHUNK);
        self.huge.begin(from);
        // SAFETY: the chunk was carved for us; under the page lock. Until it comes back it is Cairn's own.
        unsafe { (*region.descriptor(from)).kind = Kind::Records };
        Some(Place { region, granule: from })
    }

    /// A free span, and where in it a chunk without pages lies: behind pages that were not enough, so that mostly both together are one
    /// piece, if there are such; else in a clean span, else at the region's end.
    fn place_of_chunk(&mut self, region: &'static Region) -> Option<(usize, usize)> {
        let table = Table(region);
        let first_with =
            |tree: &Tree<u32>, least| tree.first_where(&table, |table, n| table.0.len(n as usize) >= least);
        // Where in a free span, or at the end of the region's last one when that has grown.
        let behind_pages = |start: usize, end: usize| {
            // SAFETY: the bits of a free span, under the page lock.
            let pages = unsafe { bits::last_run(region.dirty_words(), start, end) };
            first_aligned(region, pages.map_or(start, |(_, last)| last), CHUNK)
        };
        let in_span = |n: u32| {
            let start = n as usize;
            let end = start + region.len(start);
            let from = behind_pages(start, end);
            (from + CHUNK <= end).then_some((start, from))
        };
        let dirty = &spans(region).dirty;
        let mut candidates = successors(first_with(dirty, CHUNK + 1), |n| dirty.next(&table, *n)).take(LOOKS);
        if let Some(found) = candidates.find_map(in_span) {
            return Some(found);
        }
        // So long a span has an aligned chunk in it, wherever it begins.
        if let Some(found) = first_with(&spans(region).clean, 2 * CHUNK - 1).and_then(in_span) {
            return Some(found);
        }
        let end = region.committed();
        let start = free_before(region, end).unwrap_or(end);
        let from = behind_pages(start, end);
        self.extend(region, from + CHUNK - start).then_some((start, from))
    }

    /// A chunk comes back: free, and with pages.
    pub fn chunk_filled(&mut self, chunk: Place, filled: Filled) {
        self.huge.end();
        self.tried_huge(filled);
        self.release(chunk, CHUNK, if filled == Filled::Not { 0 } else { CHUNK });
    }

    /// In the child of a fork: the chunk that another thread was just filling comes back, with pages or without.
    pub fn recover_chunk(&mut self) {
        if let (Some(granule), Some(region)) = (self.huge.end(), region::regions().first()) {
            self.release(Place { region, granule }, CHUNK, CHUNK);
        }
    }

    /// Whether huge pages are worth a try now.
    pub fn wants_huge(&self) -> bool {
        // A reservation that grows has not yet been told where huge pages are unwanted.
        region::is_roomy() && self.huge.wants(self.in_use())
    }

    /// Whether the last tries all went well, but for one that was paid for.
    pub fn is_huge_reliable(&self) -> bool {
        self.huge.is_reliable()
    }

    /// How a try went; true if the last ones all went well.
    pub fn tried_huge(&mut self, filled: Filled) -> bool {
        let in_use = self.in_use();
        self.huge.filled(filled, in_use)
    }

    /// Granules of the first region that are not free (nearly: what is free elsewhere is counted with it).
    fn in_use(&self) -> usize {
        region::regions().first().map_or(0, |first| first.committed().saturating_sub(self.free_total))
    }

    /// Whether a free span has as many pages as `granules`, and so serves them with few faults.
    pub fn has_filled(granules: usize) -> bool {
        region::regions().iter().any(|region| find_fitting(region, granules, 1, true, granules).is_some())
    }

    /// Whether the granules behind a live span are free and may have pages, up to where a huge page ends.
    pub fn may_reach(&self, place: Place) -> bool {
        free_to_boundary(place).is_some_and(|(end, boundary)| {
            // SAFETY: the bits of a free span, under the page lock.
            unsafe { bits::count(place.region.dirty_words(), end, boundary) == boundary - end }
        })
    }

    /// What is free behind a live span, up to where a huge page ends, may have got pages from the last one of the span.
    pub fn mark_reached(&mut self, place: Place) {
        let Place { region, granule } = place;
        let end = granule + region.len(granule);
        let boundary = first_aligned(region, end, CHUNK);
        if let Some(free) = free_at(region, end)
            && end < boundary
        {
            self.unlink(region, end);
            // SAFETY: the bits of a free span, under the page lock.
            let dirty = unsafe {
                bits::set(region.dirty_words(), end, boundary.min(end + free));
                bits::count(region.dirty_words(), end, end + free)
            };
            self.link(region, end, free, dirty);
        }
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

//! Huge pages in the page heap: where chunks lie, and what the last huge page of a large block brings behind it.
//!
//! When huge pages are worth a try is huge.rs's; here is where. Under the page lock, see pages.rs.

use core::iter::successors;

use cairn_core::avl::Tree;

use super::{LOOKS, State, first_aligned};
use crate::bits;
use crate::descriptor::Kind;
use crate::pages::huge::{CHUNK, Filled};
use crate::pages::spans::{Table, free_at, free_before, spans};
use crate::region::{self, Place, Region};

/// Where a live span ends, and where the huge page does in which that is, if all that lies between is free.
fn free_to_boundary(place: Place) -> Option<(usize, usize)> {
    let Place { region, granule } = place;
    let end = granule + region.len(granule);
    let boundary = first_aligned(region, end, CHUNK);
    free_at(region, end).is_some_and(|free| end + free >= boundary).then_some((end, boundary))
}

impl State {
    /// Length and alignment of fresh memory that is to have huge pages. Where they are quick it is whole ones: what the last one brings behind
    /// the end of the block is free then, and has pages.
    pub(super) fn in_huge_pages(&self, granules: usize, align: usize) -> (usize, usize) {
        let whole = if self.is_huge_reliable() { granules.next_multiple_of(CHUNK) } else { granules };
        (whole, align.max(CHUNK))
    }

    /// Whether a span's last huge page, where they are quick, will come with its first touch: its begin is the span's, and none of it has pages.
    pub(super) fn ends_in_fresh_chunk(&self, place: Place) -> bool {
        let words = place.region.dirty_words();
        free_to_boundary(place).is_some_and(|(_, boundary)| {
            self.is_huge_reliable()
                && place.granule + CHUNK <= boundary
                // SAFETY: the bits of a free span and one that was just taken, under the page lock.
                && unsafe { bits::first_run(words, boundary - CHUNK, boundary) }.is_none()
        })
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
        self.huge.end(chunk.granule);
        self.tried_huge(filled);
        self.release(chunk, CHUNK, if filled == Filled::Not { 0 } else { CHUNK });
    }

    /// In the child of a fork: the chunks that other threads were just filling come back, with pages or without.
    pub fn recover_chunk(&mut self) {
        let Some(region) = region::regions().first() else { return };
        while let Some(granule) = self.huge.any_filling() {
            self.huge.end(granule);
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
}

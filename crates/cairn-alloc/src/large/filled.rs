//! Which blocks are likely to be written to the end of their spans, and so may come out of a chunk that has pages before it is used.
//!
//! Up to 256 KiB those whose spans are not much longer than they are; up to 2 MiB those before which such blocks were written to (written.rs). Blocks
//! that grow are known by themselves: a vector is written to as far as it goes, but may stop anywhere behind the middle.

use core::ops::Range;

use cairn_core::os;

use super::written::Written;
use super::{Block, HUGE_MIN, is_resident};
use crate::class::{GRANULE, MEDIUM_MAX};
use crate::pages;
use crate::pages::huge::{CHUNK, Filled};
use crate::region::{self, Place};

/// A block up to this many bytes is likely to be written from end to end.
const FILLED_MAX: usize = MEDIUM_MAX;
/// The span of such a block may be longer than the block by less than this part of it, as two classes are apart, or it has no pages before it is used.
const LONGER_SHARE: usize = 8;

/// So much of a block's size may have pages behind its end.
const BEHIND_SHARE: usize = 16;

/// What is known of blocks between [`FILLED_MAX`] and [`HUGE_MIN`].
static WRITTEN: Written = Written::new();
/// The same for those that have grown.
static GROWN: Written = Written::new();

/// Whether a span of its own is little longer than a block of `size` bytes, 256 KiB at most, so that it may have pages to its end.
pub fn fits_span(size: usize) -> bool {
    size <= FILLED_MAX && is_little_longer(size)
}

/// Whether a span of its own is little longer than a block of `size` bytes (far less than there can be).
pub fn is_little_longer(size: usize) -> bool {
    (size.next_multiple_of(GRANULE) - size) * LONGER_SHARE < size
}

/// Whether a block of `size` bytes is likely to be written to the end of its span.
pub fn fills_span(size: usize) -> bool {
    fits_span(size) || (size > FILLED_MAX && size < HUGE_MIN && is_filled(size))
}

/// Whether a block between [`FILLED_MAX`] and [`HUGE_MIN`] is likely to be written from end to end.
fn is_filled(size: usize) -> bool {
    pages::huge::are_on() && expects(&WRITTEN, size)
}

/// Whether the next one, which would have so many bytes in memory, is expected to be written to.
fn expects(written: &Written, bytes: usize) -> bool {
    written.expects(bytes, pages::in_use, was_written)
}

/// Whether so many granules of the first region from one on are in memory. What became of the block meanwhile makes no difference: a place in a region
/// can always be asked about.
fn was_written(granule: usize, granules: usize) -> bool {
    let region = &region::regions()[0];
    granule + granules <= region.granules() && is_resident(Place { region, granule }, granules) == Some(true)
}

/// The program frees a block, which may be one that is watched.
pub fn freed(block: Block) {
    if is_in_first(block) {
        for written in [&WRITTEN, &GROWN] {
            written.freed(block.0.granule, block.span_bytes() / GRANULE, was_written);
        }
    }
}

/// Whether a block that grows to `size` bytes, and would have `filled` bytes more in memory if they were filled, is expected to be written to its
/// new end, where huge pages come quickly; if not, it should be [watched](watch_grown) once it has grown.
pub fn is_filled_when_grown(block: Block, size: usize, filled: usize) -> bool {
    if !is_in_first(block) {
        return false;
    }
    // It may move, so this is the last look; and that what was added was written to up to here is plain.
    let (first, granules) = (block.0.granule, block.span_bytes() / GRANULE);
    WRITTEN.freed(first, granules, was_written);
    GROWN.forget(first, granules);
    // Who asked for zeros may well leave most of them alone; what may have huge pages gets them as it is touched; and of what can't be watched there is
    // no telling when to stop.
    let tells_nothing = block.zeroed() || block.huge() || last_added(block.bytes(), size).is_none();
    if tells_nothing || pages::wants_huge().is_none() {
        return false;
    }
    // Or one touch could bring all that is looked at.
    pages::huge::forbid_elsewhere(block.0.region);
    expects(&GROWN, filled)
}

/// Whether the block lies in the first region: further ones have what the system gives by default.
fn is_in_first(block: Block) -> bool {
    core::ptr::eq(block.0.region, &region::regions()[0])
}

/// A block has grown from `old` bytes, without pages for what was added, and tells about the next ones by what becomes of its end.
pub fn watch_grown(block: Block, old: usize) {
    let Some(last) = last_added(old, block.bytes()) else { return };
    if is_in_first(block) && pages::is_clean(block.0, last, last + 1) {
        GROWN.watch(block.0.granule + last, 1);
    }
}

/// The last whole granule of a block of `bytes` bytes, if nothing of it belonged to the `old` bytes that it had.
fn last_added(old: usize, bytes: usize) -> Option<usize> {
    (bytes / GRANULE).checked_sub(1).filter(|last| last * GRANULE >= old)
}

/// Bytes that [`fill_added`] brings to a block that grows from `old` to `size` bytes, at most.
pub fn most_filled(old: usize, size: usize) -> usize {
    size - old + size / BEHIND_SHARE
}

/// Fills what was added to a block of `old` bytes: by [huge pages](huge_added) where they lie in it, and by small ones before and behind.
pub fn fill_added(block: Block, old: usize) {
    let at = block.address().addr();
    let (added, end) = (at + old, at + block.bytes());
    let most = (end + block.bytes() / BEHIND_SHARE).min(at + block.span_bytes());
    let huge = huge_added(added, end, most);
    if huge.is_empty() {
        return populate(block, added, end);
    }
    populate(block, added, huge.start);
    for address in huge.clone().step_by(os::HUGE_PAGE) {
        let first = (address - at) / GRANULE;
        if !pages::is_clean(block.0, first, first + CHUNK) {
            populate(block, address, end.min(address + os::HUGE_PAGE));
            continue;
        }
        // SAFETY: the huge page lies in the span, behind all bytes that the block had, and nobody else knows those that it has now.
        let filled = unsafe { pages::huge::fill(Place { granule: block.0.granule + first, ..block.0 }) };
        let used = block.bytes().div_ceil(GRANULE);
        if filled != Filled::Not && first + CHUNK > used {
            pages::mark_dirty(block.0, used, first + CHUNK);
        }
        pages::tried_huge(filled);
        if filled != Filled::Quickly {
            return;
        }
    }
    populate(block, huge.end, end);
}

/// The huge pages that lie between two addresses. The last one may end up to `most` instead.
fn huge_added(from: usize, end: usize, most: usize) -> Range<usize> {
    let boundary = end.next_multiple_of(os::HUGE_PAGE);
    let last = if boundary <= most { boundary } else { end / os::HUGE_PAGE * os::HUGE_PAGE };
    from.next_multiple_of(os::HUGE_PAGE)..last
}

/// Has a part of a block in memory, page by page.
fn populate(block: Block, from: usize, to: usize) {
    if from < to {
        // SAFETY: whole pages of the caller's block. Refused, they come when they are touched.
        unsafe { os::populate(block.address().with_addr(from), to - from) };
    }
}

/// A block that is not known to be filled was given out: if all of it is fresh, what becomes of it tells about the next ones.
pub fn watch(block: Block) {
    if block.bytes() <= FILLED_MAX {
        // Those have a rule of their own, and tell nothing of larger ones.
        return;
    }
    if is_in_first(block) && !pages::is_dirty(block.0) {
        WRITTEN.watch(block.0.granule, block.bytes().div_ceil(GRANULE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_pages_to_its_end_only_if_it_is_an_eighth_longer_at_most() {
        for size in [58_255, 65_536, 131_072, 262_144] {
            assert!(fits_span(size) && fills_span(size), "{size}");
        }
        for size in [0, 1, 5_000, 58_254, 65_537, 150_000, 262_145, usize::MAX] {
            assert!(!fits_span(size) && !fills_span(size), "{size}");
        }
    }

    #[test]
    fn only_a_granule_that_was_added_tells_what_becomes_of_it() {
        assert_eq!(last_added(5 * GRANULE, 6 * GRANULE), Some(5));
        assert_eq!(last_added(4 * GRANULE + 1, 7 * GRANULE - 1), Some(5));
        assert_eq!(last_added(5 * GRANULE + 1, 6 * GRANULE), None);
        assert_eq!(last_added(5 * GRANULE, 6 * GRANULE - 1), None);
        assert_eq!(last_added(0, GRANULE - 1), None);
    }

    #[test]
    fn huge_pages_lie_in_what_was_added_or_end_a_little_behind_it() {
        const HUGE: usize = os::HUGE_PAGE;
        assert_eq!(huge_added(HUGE, 3 * HUGE, 9 * HUGE), HUGE..3 * HUGE);
        assert_eq!(huge_added(HUGE + 1, 4 * HUGE - 1, 4 * HUGE), 2 * HUGE..4 * HUGE);
        assert_eq!(huge_added(HUGE + 1, 4 * HUGE - 1, 4 * HUGE - 1), 2 * HUGE..3 * HUGE);
        assert!(huge_added(HUGE + 1, 2 * HUGE, 3 * HUGE).is_empty());
        assert!(huge_added(HUGE + 1, 2 * HUGE - 1, 2 * HUGE - 1).is_empty());
    }
}

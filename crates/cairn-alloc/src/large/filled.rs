//! Which blocks are likely to be written to the end of their spans, and so may come out of a chunk that has pages before it is used.
//!
//! Up to 256 KiB those whose spans are not much longer than they are; up to 2 MiB those before which such blocks were written to (written.rs).

use super::written::Written;
use super::{Block, HUGE_MIN, is_resident};
use crate::class::{GRANULE, MEDIUM_MAX};
use crate::pages;
use crate::region::{self, Place};

/// A block up to this many bytes is likely to be written from end to end.
const FILLED_MAX: usize = MEDIUM_MAX;
/// The span of such a block may be longer than the block by less than this part of it, as two classes are apart, or it has no pages before it is used.
const LONGER_SHARE: usize = 8;

/// What is known of blocks between [`FILLED_MAX`] and [`HUGE_MIN`].
static WRITTEN: Written = Written::new();

/// Whether a span of its own is little longer than a block of `size` bytes, 256 KiB at most, so that it may have pages to its end.
pub fn fits_span(size: usize) -> bool {
    size <= FILLED_MAX && (size.next_multiple_of(GRANULE) - size) * LONGER_SHARE < size
}

/// Whether a block of `size` bytes is likely to be written to the end of its span.
pub fn fills_span(size: usize) -> bool {
    fits_span(size) || (size > FILLED_MAX && size < HUGE_MIN && is_filled(size))
}

/// Whether a block between [`FILLED_MAX`] and [`HUGE_MIN`] is likely to be written from end to end.
fn is_filled(size: usize) -> bool {
    pages::huge::are_on()
        && WRITTEN.expects(size, |granule, granules| {
            // What became of the block meanwhile makes no difference: a place in a region can always be asked about.
            let region = &region::regions()[0];
            granule + granules <= region.granules()
                && is_resident(Place { region, granule }, granules) == Some(true)
        })
}

/// A block that is not known to be filled was given out: if all of it is fresh, what becomes of it tells about the next ones.
pub fn watch(block: Block) {
    if block.bytes() <= FILLED_MAX {
        // Those have a rule of their own, and tell nothing of larger ones.
        return;
    }
    let Place { region, granule } = block.0;
    if core::ptr::eq(region, &region::regions()[0]) && !pages::is_dirty(block.0) {
        WRITTEN.watch(granule, block.bytes().div_ceil(GRANULE));
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
}

//! Which blocks are likely to be written to the end of their spans, and so may come out of a chunk that has pages before it is used.
//!
//! Up to 256 KiB those that leave little of their span unused; up to 2 MiB those before which such blocks were written to (written.rs).

use super::written::Written;
use super::{Block, HUGE_MIN, is_resident};
use crate::class::GRANULE;
use crate::pages;
use crate::region::{self, Place};

/// A block up to this many bytes is likely to be written from end to end.
pub const FILLED_MAX: usize = 256 * 1024;
/// At most this part of such a block may be left unused in a span that has pages to its end: as between two classes.
const UNUSED_SHARE: usize = 8;

/// What is known of blocks between [`FILLED_MAX`] and [`HUGE_MIN`].
static WRITTEN: Written = Written::new();

/// Whether a span of its own leaves so little of a block unused that it may have pages to its end.
pub fn fits_span(size: usize) -> bool {
    // Also of a size that there can't be: what is missing to the next multiple of a granule.
    let unused = size.wrapping_neg() % GRANULE;
    unused * UNUSED_SHARE <= size
}

/// Whether a block of `size` bytes is likely to be written to the end of its span.
pub fn fills_span(size: usize) -> bool {
    match size {
        ..=FILLED_MAX => fits_span(size),
        _ => size < HUGE_MIN && is_filled(size),
    }
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
    let Place { region, granule } = block.0;
    if core::ptr::eq(region, &region::regions()[0]) && !pages::is_dirty(block.0) {
        WRITTEN.watch(granule, block.bytes().div_ceil(GRANULE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_pages_to_its_end_only_if_an_eighth_is_unused_at_most() {
        for size in [58_255, 65_536, 131_072, 262_144] {
            assert!(fits_span(size) && fills_span(size), "{size}");
        }
        for size in [1, 5_000, 58_254, 65_537, 150_000] {
            assert!(!fits_span(size) && !fills_span(size), "{size}");
        }
        // Too large to be rounded up, or to be filled.
        assert!(fits_span(usize::MAX) && !fills_span(usize::MAX));
    }
}

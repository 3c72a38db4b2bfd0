//! Cutting a span.

use super::{Kind, Place, Prefer, free_at};
use crate::pages::locked;

/// What is left at either end stays free, if it is but one granule.
#[test]
fn nothing_is_lost_of_a_span_that_is_cut() {
    locked(|state| {
        let Place { region, granule } = state.find(12, 1, Prefer::Clean).expect("twelve granules");
        // Two live granules with ten free ones between.
        for live in [granule, granule + 11] {
            // SAFETY: the span is ours, under the page lock.
            unsafe {
                (*region.descriptor(live)).kind = Kind::Records;
                (*region.descriptor(live)).len = 1;
            }
        }
        let start = granule + 1;
        for (from, len) in [(start, 9), (start + 1, 9), (start + 1, 8), (start, 10)] {
            state.release(Place { region, granule: start }, 10, 0);
            assert_eq!(free_at(region, start), Some(10));
            let before = state.free_total;
            state.carve(region, start, from, len);
            assert_eq!(before - state.free_total, len);
            let behind = start + 10 - (from + len);
            assert_eq!(free_at(region, from + len).unwrap_or(0), behind);
            // SAFETY: as above.
            unsafe { (*region.descriptor(from)).kind = Kind::Records };
            state.release(Place { region, granule: from }, len, 0);
            assert_eq!(state.free_total, before);
            assert_eq!(free_at(region, start), Some(10), "it is one span again");
            state.unlink(region, start);
        }
        state.release(Place { region, granule }, 12, 0);
    });
}

//! Cutting a span.

use super::{CHUNK, Filled, Huge, Kind, Place, Prefer, State, bits, free_at, spare_at_peak};
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

/// Takes 40 granules that are to have huge pages, gives `check` the span and how many granules behind it are free, and gives them back.
fn with_huge_block(state: &mut State, check: impl FnOnce(&mut State, Place, Option<usize>)) {
    // Not what another test has left.
    state.purge(state.dirty_total);
    let place = state.find(40, 1, Prefer::Huge).expect("forty granules");
    let Place { region, granule } = place;
    // SAFETY: the span is ours, under the page lock.
    unsafe { (*region.descriptor(granule)).kind = Kind::Records };
    assert_eq!(region.len(granule), 40);
    check(state, place, free_at(region, granule + 40));
    state.release(place, 40, 0);
}

/// Where huge pages come quickly, a large block's last one is whole: what it brings behind the block is free and may have pages.
#[test]
fn a_block_in_huge_pages_has_whole_ones() {
    locked(|state| {
        state.huge = Huge::new();
        with_huge_block(state, |state, place, behind| {
            let end = place.granule + 40;
            // SAFETY: only the bits of a free span are looked at, under the page lock.
            let has_pages = || unsafe { bits::count(place.region.dirty_words(), end, end + 1) } > 0;
            assert!(
                behind.is_none() || !has_pages(),
                "a block that may get small pages has nothing behind it"
            );
            assert!(!state.may_reach(place));
        });
        (0..4).for_each(|_| _ = state.tried_huge(Filled::Quickly));
        with_huge_block(state, |state, place, behind| {
            let (end, rest) = (place.granule + 40, 2 * CHUNK - 40);
            assert_eq!(place.region.address_of(place.granule).addr() % (CHUNK << 16), 0);
            assert!(behind.is_some_and(|free| free >= rest));
            // SAFETY: as above.
            assert_eq!(unsafe { bits::count(place.region.dirty_words(), end, end + rest) }, rest);
            assert!(state.may_reach(place));
            // Not into what somebody else has taken.
            let next = state.take_fitting(place.region, rest, 1, Prefer::Dirty).expect("the rest is free");
            assert_eq!(next, end);
            // SAFETY: the span is ours, under the page lock.
            unsafe { (*place.region.descriptor(next)).kind = Kind::Records };
            assert!(!state.may_reach(place));
            // Who gives its pages back there and ends may get some again; they count when the block ends. (Not by a purge: where address
            // space is short, that gives back the region's end itself.)
            // SAFETY: as above.
            unsafe { bits::clear(place.region.dirty_words(), end, end + rest) };
            state.release(Place { region: place.region, granule: next }, rest, 0);
            assert!(!state.may_reach(place));
            state.mark_reached(place);
            assert!(state.may_reach(place));
        });
        state.huge = Huge::new();
    });
}

#[test]
fn a_new_peak_spares_a_quarter_or_64_mib_and_a_sixteenth() {
    assert_eq!(spare_at_peak(1000), 250);
    assert_eq!(spare_at_peak(5461), 1365);
    assert_eq!(spare_at_peak(16_000), 2024);
}

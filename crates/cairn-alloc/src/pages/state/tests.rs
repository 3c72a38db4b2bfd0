//! Cutting a span.

use super::{CHUNK, Huge, Kind, Place, Prefer, State, bits, free_at, spare_at_peak};
use crate::audit::tests::alone;
use crate::pages::huge::Filled;

/// Runs a test with the page lock held, while no other one damages what it works on.
fn locked(test: impl FnOnce(&mut State) + Send + 'static) {
    alone(|| crate::pages::locked(test));
}

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
        for (granule, len) in [(start, 10), (granule, 1), (granule + 11, 1)] {
            state.release(Place { region, granule }, len, 0);
        }
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

/// Some 256 granules, three chunks' at such an address, and one behind them, in use; None where nobody asks for chunks, because address space is short
/// or the system has no huge pages. What is free anywhere has no pages.
fn three_chunks(state: &mut State) -> Option<(Place, Place, Place)> {
    state.purge(state.dirty_total);
    state.huge = Huge::new();
    let mut take = |granules, align| {
        let place = state.find(granules, align, Prefer::Clean).expect("some granules");
        // SAFETY: the span is ours, under the page lock.
        unsafe { (*place.region.descriptor(place.granule)).kind = Kind::Records };
        place
    };
    let (much, place) = (take(256, 1), take(3 * CHUNK + 1, CHUNK));
    // Without it what is free behind the first chunks might be the region's end.
    let wall = Place { granule: place.granule + 3 * CHUNK, ..place };
    // SAFETY: as above.
    unsafe {
        (*place.region.descriptor(place.granule)).len = 3 * CHUNK as u32;
        (*wall.region.descriptor(wall.granule)).kind = Kind::Records;
        (*wall.region.descriptor(wall.granule)).len = 1;
    }
    let wanted = state.wants_huge();
    if !wanted {
        state.release(much, 256, 0);
        state.release(place, 3 * CHUNK, 0);
        state.release(wall, 1, 0);
    }
    wanted.then_some((much, place, wall))
}

fn dirty(place: Place, granules: usize) -> usize {
    // SAFETY: the bits of a span that is the test's, or free, under the page lock.
    unsafe { bits::count(place.region.dirty_words(), place.granule, place.granule + granules) }
}

/// What is left of a chunk and the next one are one piece, and what is cut from it has pages for all of it.
#[test]
fn a_chunk_is_filled_behind_pages_that_are_not_enough() {
    locked(|state| {
        let Some((much, place, wall)) = three_chunks(state) else { return };
        let Place { region, granule } = place;
        state.split(place, CHUNK - 5, 5);
        assert!(state.take_chunk(5).is_none(), "five granules have pages");
        let chunk = state.take_chunk(6).expect("a chunk");
        assert_eq!(chunk.granule, granule + CHUNK);
        assert_eq!(dirty(chunk, CHUNK), 0, "it is fresh");
        state.chunk_filled(chunk, Filled::Quickly);
        let both = state.find(6, 1, Prefer::Filled).expect("six granules");
        assert_eq!((both.granule, dirty(both, 6)), (granule + CHUNK - 5, 6));
        // SAFETY: the span is ours, under the page lock.
        unsafe { (*region.descriptor(both.granule)).kind = Kind::Records };
        // Behind these are 31 with pages and then fresh memory, which becomes a part of the same piece.
        assert_eq!(state.take_chunk(CHUNK).map(|next| next.granule), Some(granule + 2 * CHUNK));
        state.chunk_filled(Place { region, granule: granule + 2 * CHUNK }, Filled::Quickly);
        state.release(both, 6, 6);
        state.release(place, CHUNK - 5, 0);
        state.release(much, 256, 0);
        state.release(wall, 1, 0);
        state.huge = Huge::new();
    });
}

/// A shorter span that has pages for a part is not taken where a longer one has them for all.
#[test]
fn what_will_be_filled_is_cut_from_pages() {
    locked(|state| {
        let Some((much, place, wall)) = three_chunks(state) else { return };
        let Place { region, granule } = place;
        let at = |from| Place { region, granule: granule + from };
        // One in use; 8, of which 4 have pages; one in use; 20 that have pages, and the rest.
        state.split(place, 1, 4);
        for (from, to, len) in [(1, 9, 1), (10, 10, 20)] {
            state.carve(region, granule + from, granule + to, len);
            // SAFETY: the span is ours, under the page lock.
            unsafe { (*region.descriptor(granule + to)).kind = Kind::Records };
        }
        state.release(at(10), 20, 20);
        let found = state.find(6, 1, Prefer::Filled).expect("six granules");
        assert_eq!(found.granule, granule + 10);
        state.release(found, 6, 6);
        state.release(at(9), 1, 0);
        state.release(place, 1, 0);
        state.release(much, 256, 0);
        state.release(wall, 1, 0);
        state.huge = Huge::new();
    });
}

/// A large block that begins in pages and ends in a fresh huge page has all of that: what it brings behind the block is free and has pages.
#[test]
fn the_last_huge_page_of_a_block_in_used_memory_is_whole_too() {
    locked(|state| {
        for reliable in [false, true] {
            let Some((much, place, wall)) = three_chunks(state) else { return };
            (0..4).filter(|_| reliable).for_each(|_| _ = state.tried_huge(Filled::Quickly));
            let Place { region, granule } = place;
            state.split(place, 1, CHUNK - 1);
            let block = state.find(CHUNK + 10, 1, Prefer::Huge).expect("42 granules");
            assert_eq!(block.granule, granule + 1, "most of what it needs has pages there");
            assert_eq!(dirty(block, CHUNK + 10), CHUNK - 1);
            assert_eq!(state.may_reach(block), reliable);
            let behind = Place { region, granule: granule + CHUNK + 11 };
            assert_eq!(dirty(behind, CHUNK), if reliable { CHUNK - 11 } else { 0 });
            state.release(block, CHUNK + 10, 0);
            state.release(place, 1, 0);
            state.release(much, 256, 0);
            state.release(wall, 1, 0);
        }
        state.huge = Huge::new();
    });
}

#[test]
fn a_new_peak_spares_a_quarter_or_64_mib_and_a_sixteenth() {
    assert_eq!(spare_at_peak(1000), 250);
    assert_eq!(spare_at_peak(5461), 1365);
    assert_eq!(spare_at_peak(16_000), 2024);
}

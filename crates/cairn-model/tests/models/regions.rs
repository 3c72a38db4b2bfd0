//! Regions come, grow, go, and come again elsewhere, while others judge addresses without a lock.

use cairn_model::shipped::window::Window;
use cairn_model::tool::{self, Arc, Protected};

/// Granules of 16 bytes. A region of two granules once stood at 64; one of four stands at 1024.
const GRANULE_LOG2: u32 = 4;
const FIRST: usize = 64;
const SECOND: usize = 1024;

struct Region {
    window: Window,
    /// The descriptors of the granules: written before they are committed.
    described: [Protected; 4],
}

fn region() -> Arc<Region> {
    Arc::new(Region { window: Window::shut(), described: [0; 4].map(Protected::new) })
}

impl Region {
    fn commit(&self, granules: usize) {
        for granule in &self.described[self.window.committed()..granules] {
            granule.set(7);
        }
        self.window.commit(granules);
    }
}

#[test]
fn who_finds_a_granule_finds_it_described() {
    tool::check(3, || {
        let region = region();
        tool::crowd(2, move |number| {
            if number == 0 {
                region.window.open(FIRST);
                region.commit(1);
                region.commit(3);
                return;
            }
            for granule in [0, 2] {
                if let Some(found) = region.window.find(FIRST + 16 * granule + 5, GRANULE_LOG2) {
                    assert_eq!(found, granule);
                    assert_eq!(region.described[granule].get(), 7);
                }
            }
            assert_eq!(region.window.find(FIRST + 48, GRANULE_LOG2), None, "never committed");
            assert_eq!(region.window.find(FIRST - 1, GRANULE_LOG2), None, "before the region");
        });
    });
}

/// A region of four granules goes, and a smaller one comes elsewhere into the same slot.
fn no_base_is_mixed_with_another_length(readers: usize, preemptions: usize) {
    tool::check(preemptions, move || {
        let region = region();
        region.window.open(FIRST);
        region.window.commit(4);
        tool::crowd(readers + 1, move |number| {
            if number == 0 {
                region.window.shut_again();
                region.window.open(SECOND);
                region.window.commit(1);
                return;
            }
            let found = |address| region.window.find(address, GRANULE_LOG2);
            // Only the length of the first with the base of the second would fit,
            assert_eq!(found(SECOND + 16), None, "the new region is one granule long");
            // or with no base at all,
            assert_eq!(found(17), None, "no region was ever so low");
            // or the other way round.
            assert!(matches!(found(FIRST + 48), None | Some(3)));
            assert!(matches!(found(SECOND + 15), None | Some(0)));
        });
    });
}

#[test]
fn one_reader_judges_while_a_region_is_replaced() {
    no_base_is_mixed_with_another_length(1, 4);
}

/// The new region is the longer one.
#[test]
fn a_later_length_is_not_used_with_an_earlier_base() {
    tool::check(4, || {
        let region = region();
        region.window.open(FIRST);
        region.window.commit(1);
        tool::crowd(2, move |number| {
            if number == 0 {
                region.window.shut_again();
                region.window.open(SECOND);
                region.window.commit(4);
            } else {
                let found = region.window.find(FIRST + 48, GRANULE_LOG2);
                assert_eq!(found, None, "the old region was one granule long");
            }
        });
    });
}

#[test]
#[cfg(not(loom))]
fn a_crowd_judges_while_regions_are_replaced() {
    no_base_is_mixed_with_another_length(if tool::LARGE { 10 } else { 3 }, 0);
}

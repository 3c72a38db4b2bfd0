//! Regions: bounds, reservation, descriptors.

use std::sync::atomic::AtomicUsize;

use super::{allocate, alone, free, wrong_among_others};
use crate::region::{self, damage as region_damage};

#[test]
fn regions() {
    alone(|| {
        free(allocate(100));
        let [committed, base, descriptors] = region_damage::fields();
        let off = |field: &'static AtomicUsize, value: usize, words: &str| {
            wrong_among_others(field.as_ptr(), value, words);
        };
        let granules = region::regions()[0].granules();
        off(committed, granules + 1, "beyond its end");
        off(descriptors, 0, "without descriptors");
        off(descriptors, descriptors.load(std::sync::atomic::Ordering::Relaxed) + 1, "inside a page");
        off(base, base.load(std::sync::atomic::Ordering::Relaxed) + 16, "does not begin at a granule");
        off(base, base.load(std::sync::atomic::Ordering::Relaxed) + 65_536, "region of address space");
    });
}

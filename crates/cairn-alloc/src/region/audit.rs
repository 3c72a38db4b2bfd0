//! Of the audit: regions. Where they lie, and what of them may be touched.

use cairn_core::os;

use crate::audit::{Audit, Found, Violation, must, must_be};
use crate::class::{Code, GRANULE};
use crate::descriptor::Descriptor;

use super::{FIRST, Region, regions};

const SUBJECT: &str = "a region of address space";

/// Checks all regions. Under the page lock.
pub fn check(audit: &mut Audit) -> Found {
    for (number, region) in regions().iter().enumerate() {
        let wrong = |what| Violation::new(SUBJECT, what).at(region.base());
        if region.granules() == 0 {
            must_be(region.committed(), 0, || wrong("was given back, but has granules that may be used"))?;
            must(number > 0, || wrong("is the first one and was given back"))?;
            continue;
        }
        audit.seen.regions += 1;
        must(region.base().is_multiple_of(GRANULE), || wrong("does not begin at a granule"))?;
        must(region.committed() <= region.granules(), || wrong("may be used beyond its end"))?;
        must(region.lies_in_its_space(), || wrong("is not inside its own reservation"))?;
        let needed = region.committed() * size_of::<Descriptor>();
        must(region.descriptor_bytes() >= needed, || wrong("has granules without descriptors"))?;
        must(region.descriptor_bytes().is_multiple_of(os::page_size()), || {
            wrong("has descriptors that end inside a page")
        })?;
        let (begin, end) = region.space.range();
        let apart = |other: &Region| {
            let (others_begin, others_end) = other.space.range();
            others_end <= begin || end <= others_begin
        };
        let earlier = &regions()[..number];
        must(earlier.iter().filter(|other| other.granules() > 0).all(apart), || {
            wrong("overlaps another one")
        })?;
    }
    let Some(region) = regions().first() else { return Ok(()) };
    // SAFETY: written once, before the count of regions was.
    let first = unsafe { &*FIRST.0.get() };
    must(
        first.base() == region.base()
            && first.granules == region.granules()
            && first.class_map == region.space.class_map().cast_const(),
        || Violation::new(SUBJECT, "is not where free looks for the first one").at(region.base()),
    )
}

impl Region {
    /// Whether class map, dirty bits, all descriptors, and the granules that may be used, with a page behind them, fit the
    /// reservation.
    fn lies_in_its_space(&self) -> bool {
        let (begin, end) = self.space.range();
        let granules = self.granules();
        let map_end = begin + granules * size_of::<Code>() + granules / 8;
        let below =
            self.base().checked_sub((granules * size_of::<Descriptor>()).max(self.descriptor_bytes()));
        let top = self.base().checked_add(self.committed() * GRANULE + os::page_size());
        below.is_some_and(|below| below >= map_end) && top.is_some_and(|top| top <= end)
    }
}

/// Ways to damage a region, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// The first region's count of usable granules, base and bytes of descriptors.
    pub fn fields() -> [&'static core::sync::atomic::AtomicUsize; 3] {
        let region = &regions()[0];
        let [base, committed] = region.window.words();
        [committed, base, &region.descriptor_bytes]
    }
}

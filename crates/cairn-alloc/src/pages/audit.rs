//! Of the audit: spans. They tile what is committed, the free ones are joined and in the right tree, and a granule without a dirty
//! bit reads as zero. Under the page lock.

use core::sync::atomic::Ordering::Relaxed;

use cairn_core::os;

use crate::audit::{Audit, Found, Violation, is_class, must, must_be};
use crate::bits;
use crate::class::{self, GRANULE, SHAPES, UNMARKED};
use crate::descriptor::{Descriptor, Kind};
use crate::large;
use crate::region::{self, Region};

use super::PAGES;
use super::spans::{Table, spans};

/// The free spans of a region, counted.
#[derive(Default)]
struct Free {
    granules: usize,
    dirty_granules: usize,
    dirty_spans: usize,
    clean_spans: usize,
}

/// Checks all spans, and what large blocks say of themselves if nobody can change it.
pub fn check(audit: &mut Audit) -> Found {
    let (mut granules, mut dirty) = (0, 0);
    let mut large = (0, 0);
    for region in region::regions() {
        let free = check_region(audit, region, &mut large)?;
        check_trees(region, &free)?;
        granules += free.granules;
        dirty += free.dirty_granules;
    }
    // SAFETY: the lock is held.
    let state = unsafe { &*PAGES.state.get() };
    let total = |what| Violation::new("the page heap", what);
    must_be(state.free_total, granules, || total("counts free granules wrongly"))?;
    must_be(state.dirty_total, dirty, || total("counts free granules that may have pages wrongly"))?;
    if audit.knows_large() {
        let (blocks, bytes) = large::totals();
        let total = |what| Violation::new("the count of large blocks", what);
        must_be(blocks, large.0, || total("is not the number of their spans"))?;
        must_be(bytes, large.1, || total("is not the sum of their bytes"))?;
    }
    Ok(())
}

/// What kind of span begins at a committed granule, if its descriptor names a kind at all.
pub fn kind_at(region: &Region, granule: usize) -> Option<Kind> {
    let descriptor = region.descriptor(granule);
    // SAFETY: the descriptor is committed; it is read as a byte, which may be anything in a damaged heap.
    match unsafe { (&raw const (*descriptor).kind).cast::<u8>().read() } {
        0 => Some(Kind::Inner),
        1 => Some(Kind::Free),
        2 => Some(Kind::Slab),
        3 => Some(Kind::Large),
        4 => Some(Kind::Records),
        5 => Some(Kind::HardSlab),
        6 => Some(Kind::HardLarge),
        _ => None,
    }
}

fn is_free_tail(region: &Region, granule: usize) -> bool {
    let descriptor: *const Descriptor = region.descriptor(granule);
    // SAFETY: as above.
    unsafe { (&raw const (*descriptor).free_tail).cast::<u8>().read() != 0 }
}

/// Whether an address lies in committed memory of ours.
pub fn is_committed(address: usize) -> bool {
    region::locate(address).is_some()
}

/// Whether these bytes lie in a span of Cairn's own records.
pub fn are_records(at: usize, bytes: usize) -> bool {
    let Some(place) = region::locate(at) else { return false };
    let first =
        (0..=place.granule).rev().find(|&granule| kind_at(place.region, granule) != Some(Kind::Inner));
    first.is_some_and(|first| {
        let end = place.region.address_of(first).addr() + place.region.len(first) * GRANULE;
        kind_at(place.region, first) == Some(Kind::Records) && end - at >= bytes
    })
}

/// Bytes of all spans of records.
pub fn bytes_of_records() -> usize {
    let of = |region: &Region| {
        let records = |granule: &usize| kind_at(region, *granule) == Some(Kind::Records);
        (0..region.committed()).filter(records).map(|granule| region.len(granule) * GRANULE).sum::<usize>()
    };
    region::regions().iter().map(of).sum()
}

/// Walks over the spans of a region.
fn check_region(audit: &mut Audit, region: &Region, large: &mut (usize, usize)) -> Result<Free, Violation> {
    let mut free = Free::default();
    let mut was_free = false;
    let mut granule = 0;
    while granule < region.committed() {
        let at = region.address_of(granule).addr();
        let wrong = |what| Violation::new("a span", what).at(at);
        let kind = kind_at(region, granule).ok_or_else(|| wrong("is of a kind that does not exist"))?;
        must(kind != Kind::Inner, || wrong("is missing here, where the one before it ends"))?;
        let len = region.len(granule);
        must(len > 0, || wrong("has no length"))?;
        must(len <= region.committed() - granule, || wrong("reaches beyond what is committed"))?;
        audit.seen.spans += 1;
        check_inside(region, granule, len, kind)?;
        match kind {
            Kind::Free => {
                must(!was_free, || wrong("is free, and so is the one before it: they were not joined"))?;
                check_free(audit, region, granule, len, &mut free)?;
            }
            Kind::Slab => audit.seen.slabs += 1,
            Kind::Large => {
                audit.seen.large += 1;
                large.0 += 1;
                large.1 += if audit.knows_large() { check_large(region, granule, len)? } else { 0 };
            }
            Kind::Inner | Kind::Records | Kind::HardSlab | Kind::HardLarge => {}
        }
        was_free = kind == Kind::Free;
        granule += len;
    }
    Ok(free)
}

/// Each granule of a span: what its descriptor and the class map say.
fn check_inside(region: &Region, first: usize, len: usize, kind: Kind) -> Found {
    // SAFETY: the descriptor is committed.
    let class = usize::from(unsafe { (*region.descriptor(first)).class });
    let class = if kind == Kind::Slab { class } else { 0 };
    let wrong =
        |granule, what| Violation::new("a granule", what).at(region.address_of(granule).addr()).of(class);
    if kind == Kind::Slab {
        must(is_class(class), || wrong(first, "begins a slab of a class that does not exist"))?;
        let granules = usize::from(SHAPES[class].granules);
        must_be(len, granules, || wrong(first, "begins a slab of another length than its class has"))?;
    }
    // All granules of a slab have the flag, or none.
    let unmarked = region.code_of(first).load(Relaxed) & UNMARKED;
    for granule in first..first + len {
        must(granule == first || kind_at(region, granule) == Some(Kind::Inner), || {
            wrong(granule, "inside of a span is said to begin one")
        })?;
        let mapped = region.code_of(granule).load(Relaxed);
        let expected = if class > 0 { class::code(class, granule - first) | unmarked } else { 0 };
        must_be(mapped as usize, expected as usize, || wrong(granule, "has a wrong entry in the class map"))?;
        let tail = kind == Kind::Free && granule == first + len - 1;
        must(is_free_tail(region, granule) == tail, || {
            wrong(granule, "is or is not the last of a free span, and says the contrary")
        })?;
        if tail || kind == Kind::Slab {
            // SAFETY: the descriptor is committed.
            let head = unsafe { (*region.descriptor(granule)).head } as usize;
            must_be(head, first, || wrong(granule, "does not lead to the first one of its span"))?;
        }
    }
    Ok(())
}

fn check_free(audit: &mut Audit, region: &Region, first: usize, len: usize, free: &mut Free) -> Found {
    let at = region.address_of(first).addr();
    // SAFETY: the descriptor of a free span, under the page lock, as its bits are.
    let (noted, dirty) = unsafe {
        let noted = (*region.descriptor(first)).body.free.dirty as usize;
        (noted, bits::count(region.dirty_words(), first, first + len))
    };
    must_be(noted, dirty, || {
        Violation::new("a free span", "counts granules that may have pages wrongly").at(at)
    })?;
    free.granules += len;
    free.dirty_granules += dirty;
    if dirty > 0 {
        free.dirty_spans += 1
    } else {
        free.clean_spans += 1
    }
    let mut from = first;
    while from < first + len {
        // SAFETY: as above.
        let run = unsafe { bits::first_run(region.dirty_words(), from, first + len) };
        let (dirty, next) = run.unwrap_or((first + len, first + len));
        check_zeroes(audit, region, from, dirty)?;
        from = next;
    }
    Ok(())
}

/// Free granules without dirty bits read as zero: looks at those of their pages that are in memory.
fn check_zeroes(audit: &mut Audit, region: &Region, from: usize, to: usize) -> Found {
    let page = os::page_size();
    let (mut at, end) = (region.address_of(from), region.address_of(to));
    while at < end {
        let resident = &mut audit.scratch.tables().resident;
        let pages = ((end.addr() - at.addr()) / page).min(resident.len());
        let resident = &mut resident[..pages];
        // SAFETY: the range is committed.
        if !unsafe { os::resident(at, resident) } {
            return Ok(());
        }
        for (number, _) in resident.iter().enumerate().filter(|(_, page)| **page & 1 != 0) {
            let start = at.wrapping_add(number * page).cast::<usize>();
            for word in (0..page / size_of::<usize>()).map(|word| start.wrapping_add(word)) {
                // SAFETY: free memory of ours; volatile, since a program that is wrong may be writing there.
                must(unsafe { word.read_volatile() } == 0, || {
                    Violation::new("a free granule", "should read as zero and does not").at(word.addr())
                })?;
            }
        }
        at = at.wrapping_add(pages * page);
    }
    Ok(())
}

/// A large block, which nobody changes meanwhile; gives its bytes.
fn check_large(region: &Region, first: usize, len: usize) -> Result<usize, Violation> {
    // SAFETY: the descriptor of a large block; no other thread runs.
    let bytes = unsafe { (*region.descriptor(first)).body.large.bytes };
    let wrong = |what| Violation::new("a large block", what).at(region.address_of(first).addr());
    must(bytes > 0 && bytes.is_multiple_of(os::page_size()), || {
        wrong("has a size that is not a number of pages").is(bytes, bytes.next_multiple_of(os::page_size()))
    })?;
    must(bytes <= len * GRANULE, || wrong("is larger than its span").is(bytes, len * GRANULE))?;
    Ok(bytes)
}

/// The two trees of a region: their own order, and that they hold what they should.
fn check_trees(region: &Region, free: &Free) -> Found {
    let spans = spans(region);
    for (tree, count, is_dirty) in
        [(&spans.dirty, free.dirty_spans, true), (&spans.clean, free.clean_spans, false)]
    {
        let table = Table(region);
        let address = |granule: u32| region.base() + granule as usize * GRANULE;
        let subject =
            if is_dirty { "the tree of free spans with pages" } else { "the tree of clean free spans" };
        tree.check(&table)
            .map_err(|broken| Violation::new(subject, broken.what).at(broken.node.map_or(0, address)))?;
        must_be(tree.len(), count, || Violation::new(subject, "holds another number than there are"))?;
        let mut at = tree.first(&table);
        while let Some(granule) = at {
            // SAFETY: the tree leads to free spans only, it asks whether they are.
            let dirty = unsafe { (*region.descriptor(granule as usize)).body.free.dirty } > 0;
            must(dirty == is_dirty, || {
                Violation::new(subject, "holds a span that belongs into the other one").at(address(granule))
            })?;
            at = tree.next(&table, granule);
        }
    }
    Ok(())
}

/// Ways to damage the page heap, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// The counts of free granules and of those with pages.
    pub fn totals() -> [*mut usize; 2] {
        // SAFETY: one test damages at a time.
        let state = unsafe { &mut *PAGES.state.get() };
        [&raw mut state.free_total, &raw mut state.dirty_total]
    }
}

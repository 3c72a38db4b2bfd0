//! Of the audit: hardened slabs, their classes, and that what is free in them is as it was left. Under all locks, so they stand still.

use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

use cairn_core::list::Links;

use crate::audit::{Audit, Found, Violation, must, must_be};
use crate::class::{CLASS_COUNT, SHAPES, SMALL_COUNT};
use crate::descriptor::{Descriptor, Kind, NO_LIST};
use crate::hardened::seal;
use crate::hardened::slab::{Slab, bitmap_bytes};
use crate::hardened::vault::{form, vault};
use crate::pages;
use crate::region::{self, Place, Region};

use super::{CENTERS, SlabLinks, State, list_for};

const SUBJECT: &str = "a hardened slab";

/// Checks all slabs, and that the classes know them. (pages/audit.rs has seen that the classes of slabs exist, and their lengths.)
pub fn check(audit: &mut Audit) -> Found {
    let tables = audit.scratch.tables();
    (tables.slabs, tables.free, tables.listed) = ([0; CLASS_COUNT], [0; CLASS_COUNT], [0; CLASS_COUNT]);
    for region in region::regions() {
        let mut granule = 0;
        while granule < region.committed() {
            if pages::kind_at(region, granule) == Some(Kind::HardSlab) {
                check_slab(audit, Place { region, granule })?;
            }
            granule += region.len(granule);
        }
    }
    (1..SMALL_COUNT).try_for_each(|class| check_class(audit, class))
}

fn check_slab(audit: &mut Audit, place: Place) -> Found {
    let descriptor = place.region.descriptor(place.granule);
    // SAFETY: a committed descriptor, of a slab, under its class's lock.
    let class = usize::from(unsafe { (*descriptor).class });
    let start = place.region.address_of(place.granule);
    let wrong = |what| Violation::new(SUBJECT, what).at(start.addr()).of(class);
    must(class > 0 && class < SMALL_COUNT && form(class).blocks > 0, || wrong("has no class"))?;
    let Some(slab) = Slab::of(start, class) else {
        return Err(wrong("is not where slabs of its class may be"));
    };
    let (body, blocks) = (slab.body(), form(class).blocks as usize);
    audit.seen.slabs += 1;
    if core::ptr::eq(place.region, &region::regions()[0]) {
        for granule in place.granule..place.granule + usize::from(SHAPES[class].granules) {
            // SAFETY: the map has a byte for each granule.
            let mapped = unsafe { (*vault().map.add(granule)).load(Relaxed) };
            must_be(mapped.into(), class, || wrong("is of another class by the map"))?;
        }
    }
    if bitmap_bytes(class) == 0 {
        let inline = (&raw const body.inline_bitmap).addr();
        must(body.bitmap.addr() == inline, || wrong("has its bitmap elsewhere than in its descriptor"))?;
    } else {
        audit.record("a hardened slab's bitmap", body.bitmap.addr(), bitmap_bytes(class))?;
    }
    let mut set = 0;
    for word in 0..blocks.div_ceil(64) {
        // SAFETY: the bitmap has a word for each 64 blocks.
        let mut bits = unsafe { *body.bitmap.add(word) };
        set += bits.count_ones() as usize;
        while bits != 0 {
            let index = word * 64 + bits.trailing_zeros() as usize;
            must(index < blocks, || wrong("marks blocks as free that it does not have"))?;
            check_free(slab, start.wrapping_add(index * form(class).size as usize), class)?;
            bits &= bits - 1;
        }
    }
    must_be(body.free as usize, set, || wrong("counts another number of free blocks than its bitmap has"))?;
    must_be(body.list.into(), list_for(body.free, class).into(), || {
        wrong("is in the list of another fullness")
    })?;
    let tables = audit.scratch.tables();
    tables.slabs[class] += 1;
    tables.free[class] += set;
    tables.listed[class] += usize::from(body.list != NO_LIST);
    Ok(())
}

/// A block that is free in its slab reads as zero. (Pages that nobody touched are not looked at: a look would give
/// each of them a page.)
fn check_free(slab: Slab, block: *mut u8, class: usize) -> Found {
    if !slab.is_touched(block) {
        return Ok(());
    }
    // SAFETY: a block of the class begins here, and nobody can get it meanwhile.
    must(unsafe { seal::is_untouched(block, seal::capacity(class)) }, || {
        Violation::new("a free block", "was changed after it was freed").at(block.addr()).of(class)
    })
}

fn check_class(audit: &mut Audit, class: usize) -> Found {
    // SAFETY: the lock is held.
    let state: &State = unsafe { &*CENTERS[class].state.get() };
    let wrong = |what| Violation::new("a hardened class", what).of(class);
    let mut listed = 0;
    for (number, list) in state.lists.iter().enumerate() {
        let links = Checked { class, list: number as u8 };
        listed += list.check(&links).map_err(|broken| {
            let at = broken.node.map_or(0, |node| node.addr().get());
            Violation::new("a list of hardened slabs", broken.what).at(at).of(class)
        })?;
    }
    let tables = audit.scratch.tables();
    must_be(listed, tables.listed[class], || wrong("has slabs with room that are in none of its lists"))?;
    must_be(state.slabs, tables.slabs[class], || wrong("counts its slabs wrongly"))?;
    must_be(state.free, tables.free[class], || wrong("counts its free blocks wrongly"))
}

/// The links of a list in which only slabs of one class that say that they are in it may be.
struct Checked {
    class: usize,
    list: u8,
}

impl Links for Checked {
    type Id = NonNull<Descriptor>;

    fn next(&self, n: NonNull<Descriptor>) -> Option<NonNull<Descriptor>> {
        SlabLinks.next(n)
    }
    fn set_next(&mut self, _: NonNull<Descriptor>, _: Option<NonNull<Descriptor>>) {}
    fn prev(&self, n: NonNull<Descriptor>) -> Option<NonNull<Descriptor>> {
        SlabLinks.prev(n)
    }
    fn set_prev(&mut self, _: NonNull<Descriptor>, _: Option<NonNull<Descriptor>>) {}
    fn exists(&self, n: NonNull<Descriptor>) -> bool {
        let granule = |region: &Region| {
            let below = region.base().wrapping_sub(n.addr().get());
            let granule = (below / size_of::<Descriptor>()).wrapping_sub(1);
            let is_one = below.is_multiple_of(size_of::<Descriptor>()) && granule < region.committed();
            is_one.then_some(granule)
        };
        let found = region::regions().iter().find_map(|region| Some((region, granule(region)?)));
        found.is_some_and(|(region, granule)| {
            // SAFETY: a committed descriptor.
            let class = usize::from(unsafe { (*region.descriptor(granule)).class });
            pages::kind_at(region, granule) == Some(Kind::HardSlab)
                && class == self.class
                && Slab::from_list(n).body().list == self.list
        })
    }
}

/// What is wrong with `block` as a free block of `class` outside of its slab, if anything. Under the class's lock.
pub fn fault_of(block: usize, class: usize) -> Option<&'static str> {
    let address = core::ptr::with_exposed_provenance_mut::<u8>(block);
    let Some(slab) = Slab::of(address, class) else {
        return Some("holds an address that lies in no slab of its class");
    };
    if !form(class).is_begin(block & form(class).mask as usize) {
        return Some("holds an address inside a block");
    }
    slab.has(address).then_some("holds a block that is free in its slab, too")
}

/// Ways to damage the classes, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// The sums of a class: slabs, and free blocks.
    pub fn sums(class: usize) -> [*mut usize; 2] {
        // SAFETY: one test damages at a time.
        let state = unsafe { &mut *CENTERS[class].state.get() };
        [&raw mut state.slabs, &raw mut state.free]
    }
}

//! Claim: what an audit knows of hardened mode, broken on purpose, is named; and the same heap, mended, is found whole.
//!
//! A mode is entered once and for good, so the test runs itself again in a process of its own.

use std::vec::Vec;

use cairn_core::os::{page_size, resident};

use crate::audit::tests::{
    allocate, alone, ends_a_process_of_its_own, free, in_a_process_of_its_own, is_whole, wrong,
};
use crate::descriptor::Kind;
use crate::hardened::large::Block;
use crate::hardened::{center, heap, quarantine, slab, vault};
use crate::mode::{Mode, enter};
use crate::refuse::{Refused, refuse};
use crate::{pages, region};

#[test]
fn what_is_broken_is_named() {
    in_a_process_of_its_own("hardened::tests::what_is_broken_is_named", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(broken);
    });
}

/// As if another thread gave the slab back between the first look at the map and the look at the block.
#[test]
fn a_second_free_is_named_although_the_slab_is_gone() {
    let name = "hardened::tests::a_second_free_is_named_although_the_slab_is_gone";
    ends_a_process_of_its_own(name, "cairn: double free of 0x", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(|| {
            let blocks: Vec<*mut u8> = (0..4000).map(|_| allocate(100)).collect();
            let class = slab::locate(blocks[0].addr()).expect("a hardened block").class;
            blocks.iter().for_each(|&block| free(block));
            super::trim();
            let gone = blocks.iter().find(|block| slab::locate(block.addr()).is_none());
            // SAFETY: a mistake, and to be named.
            unsafe { super::free_untold(*gone.expect("a slab was given back"), class) };
        });
    });
}

/// `MADV_GUARD_REMOVE`.
const GUARD_REMOVE: u32 = 103;

/// A slab whose guard the kernel won't take away.
#[test]
fn a_slab_that_is_lost_keeps_no_pages() {
    in_a_process_of_its_own("hardened::tests::a_slab_that_is_lost_keeps_no_pages", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(|| {
            let blocks: Vec<*mut u8> = (0..4000).map(|_| allocate(100)).collect();
            let class = slab::locate(blocks[0].addr()).expect("a hardened block").class;
            let mask = vault::form(class).mask as usize;
            blocks.iter().for_each(|&block| free(block));
            let mut slabs: Vec<*mut u8> =
                blocks.iter().map(|block| block.map_addr(|block| block & !mask)).collect();
            slabs.dedup();
            slabs.retain(|slab| slab::locate(slab.addr()).is_some());
            let read_write = (libc::PROT_READ | libc::PROT_WRITE) as u32;
            if !refuse([
                Refused(libc::SYS_madvise, 2, GUARD_REMOVE),
                Refused(libc::SYS_mprotect, 2, read_write),
            ]) {
                return std::println!("skipped: no filter of system calls here");
            }
            super::trim();
            let lost: Vec<_> = slabs.into_iter().filter(|slab| slab::locate(slab.addr()).is_none()).collect();
            assert!(!lost.is_empty());
            for slab in lost {
                let place = region::locate(slab.addr()).expect("ours");
                assert_eq!(
                    pages::kind_at(place.region, place.granule),
                    Some(Kind::Records),
                    "it was retired"
                );
                let mut pages = std::vec![0; (mask + 1 - vault::vault().guard) / page_size()];
                // SAFETY: the slab's pages are mapped.
                assert!(unsafe { resident(slab, &mut pages) });
                assert!(pages.iter().all(|page| page & 1 == 0), "pages of a lost slab are still in memory");
            }
            is_whole();
        });
    });
}

fn broken() {
    let blocks: Vec<*mut u8> = (0..4000).map(|_| allocate(100)).collect();
    is_whole();
    let (kept, freed): (Vec<_>, Vec<_>) = blocks.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    let freed: Vec<*mut u8> = freed.into_iter().map(|(_, block)| block).collect();
    freed.iter().for_each(|&block| free(block));
    is_whole();
    let live = kept[0].1;
    let class = slab::locate(live.addr()).expect("a hardened block").class;
    let of = slab::Slab::of(live, class).expect("its slab");
    let free_count = of.body().free;
    wrong(&raw mut of.body().free, free_count + 1, "counts another number of free blocks");
    wrong(&raw mut of.body().list, of.body().list ^ 1, "is in the list of another fullness");
    let [slabs, sum] = center::audit::damage::sums(class);
    // SAFETY: the test is alone.
    let (slabs_now, sum_now) = unsafe { (*slabs, *sum) };
    wrong(slabs, slabs_now + 1, "counts its slabs wrongly");
    wrong(sum, sum_now + 1, "counts its free blocks wrongly");
    let (first, held) = heap::audit::damage::own(class);
    // SAFETY: as above.
    unsafe {
        wrong(held, *held - 1, "counts what waits in its ring wrongly");
        wrong(first, *first.add(1), "waits elsewhere, too");
        wrong(first, (*first).add(16), "holds an address inside a block");
        let in_slab = *freed.iter().find(|&&block| center::of(class).has(class, block)).expect("one");
        wrong(first, in_slab, "free in its slab, too");
        // A write after free, into one that waits and one that lies in its slab.
        wrong((*first).add(8), 1, "was changed after it was freed");
        wrong(in_slab.add(8), 1, "was changed after it was freed");
        wrong(first, live, "was changed after it was freed");
    }
    let large = allocate(1 << 20);
    free(large);
    is_whole();
    let [count, bytes] = quarantine::audit::damage::sums();
    // SAFETY: as above.
    unsafe {
        wrong(bytes, *bytes + 1, "counts its bytes wrongly");
        wrong(count, *count - 1, "has a block behind its newest one");
    }
    let mut place = region::locate(large.addr()).expect("ours");
    if pages::kind_at(place.region, place.granule) != Some(Kind::HardLarge) {
        place.granule -= 1;
    }
    let waiting = Block::at(place);
    wrong(&raw mut waiting.body().live, true, "holds a live block");
    kept.into_iter().for_each(|(_, block)| free(block));
    is_whole();
}

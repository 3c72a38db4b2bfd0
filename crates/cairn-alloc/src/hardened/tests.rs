//! Claim: what an audit knows of hardened mode, broken on purpose, is named; and the same heap, mended, is found whole.
//!
//! A mode is entered once and for good, so the test runs itself again in a process of its own.

use std::boxed::Box;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;
use std::vec::Vec;

use cairn_core::os::{page_size, resident};

use crate::audit::tests::{
    allocate, alone, ends_a_process_of_its_own, free, in_a_process_of_its_own, is_whole, wrong,
};
use crate::descriptor::Kind;
use crate::hardened::large::Block;
use crate::hardened::seal::{self, SEAL};
use crate::hardened::{center, heap, quarantine, slab, vault};
use crate::mode::{Mode, enter};
use crate::refuse::{Refused, refuse};
use crate::{fork, pages, region};

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

/// The large block that begins at an address.
fn large_at(address: *mut u8) -> Block {
    let mut place = region::locate(address.addr()).expect("ours");
    if pages::kind_at(place.region, place.granule) != Some(Kind::HardLarge) {
        place.granule -= 1;
    }
    Block::at(place)
}

/// The fast path of free, asked for one short block after the other, with each byte behind what was asked for changed.
#[test]
fn the_short_way_of_free_sees_each_byte_behind_a_block() {
    in_a_process_of_its_own("hardened::tests::the_short_way_of_free_sees_each_byte_behind_a_block", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(|| {
            let mut rests = [false; vault::RESTS];
            for size in 0..=vault::SHORT_MAX - SEAL {
                let block = allocate(size);
                let form = vault::form(slab::locate(block.addr()).expect("a hardened block").class);
                rests[form.short as usize - size] = true;
                for at in size..form.size as usize {
                    // SAFETY: the block is the test's, and nothing is done with it as long as its end is changed.
                    unsafe {
                        let byte = block.add(at);
                        *byte ^= 0x20;
                        assert!(!seal::end_short(block, form), "byte {at} behind {size}");
                        assert_eq!(seal::open(block, form.short as usize), None, "byte {at} behind {size}");
                        *byte ^= 0x20;
                    }
                }
                // SAFETY: as it was.
                assert_eq!(unsafe { seal::open(block, form.short as usize) }, Some(size));
                free(block);
            }
            assert_eq!(
                rests,
                [true; vault::RESTS],
                "each number of bytes between what was asked for and the seal"
            );
        });
    });
}

#[test]
fn what_a_large_block_held_is_gone_to_its_last_byte() {
    in_a_process_of_its_own("hardened::tests::what_a_large_block_held_is_gone_to_its_last_byte", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(|| {
            for size in [40_000, 100_000, 300_001, (1 << 20) + 5, 5 << 20] {
                let at = allocate(size);
                // SAFETY: the block is the test's, and the pattern behind it is written again before it is freed.
                unsafe {
                    at.write_bytes(1, size);
                    let block = large_at(at);
                    block.wipe();
                    assert!((0..size).all(|byte| *at.add(byte) == 0), "a block of {size}");
                    block.write_rest();
                }
                free(at);
            }
            is_whole();
        });
    });
}

#[test]
fn there_is_always_a_choice() {
    in_a_process_of_its_own("hardened::tests::there_is_always_a_choice", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(|| {
            let class = slab::locate(allocate(100).addr()).expect("a hardened block").class;
            for count in 0..2000 {
                allocate(100);
                assert!(heap::blocks_of(class) >= 8, "after {count} of them");
            }
        });
    });
}

#[test]
fn a_block_that_comes_back_twice_is_told() {
    in_a_process_of_its_own("hardened::tests::a_block_that_comes_back_twice_is_told", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        alone(|| {
            let blocks: Vec<*mut u8> = (0..4000).map(|_| allocate(100)).collect();
            let class = slab::locate(blocks[0].addr()).expect("a hardened block").class;
            let (kept, freed): (Vec<_>, Vec<_>) =
                blocks.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
            freed.iter().for_each(|&(_, block)| free(block));
            let there: Vec<_> = freed
                .iter()
                .map(|&(_, block)| block)
                .filter(|&at| center::of(class).has(class, at))
                .collect();
            assert!(there.len() > 100);
            let (mut told, mut left) = (Vec::new(), Vec::new());
            center::of(class).put(class, &there, |rest| left.push(rest), |block| told.push(block));
            told.reverse();
            assert!(told == there, "the last one first, and each of them");
            assert!(left.iter().rev().copied().eq(0..there.len()), "after each of them, how many are left");
            kept.into_iter().for_each(|(_, block)| free(block));
            is_whole();
        });
    });
}

/// A thread that a fork's child lacks may have stopped while it handed a block out: its stock still names it.
#[test]
fn what_a_dead_thread_was_handing_out_is_not_free() {
    in_a_process_of_its_own("hardened::tests::what_a_dead_thread_was_handing_out_is_not_free", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        let (send, receive) = channel();
        // Stands still from then on, as if it were no more.
        thread::spawn(move || {
            let blocks: Vec<*mut u8> = (0..100).map(|_| allocate(100)).collect();
            let class = slab::locate(blocks[0].addr()).expect("a hardened block").class;
            let (first, _) = heap::audit::damage::own(class);
            // SAFETY: the thread's own stock.
            let waiting = unsafe { first.replace(blocks[0]) };
            send.send([blocks[0].addr(), waiting.addr(), class]).expect("there is the other end");
            loop {
                thread::park();
            }
        });
        let [live, lost, class] = receive.recv().expect("a block");
        let held = heap::blocks_of(class);
        heap::bury_the_dead();
        let is_free = |block| center::of(class).has(class, core::ptr::with_exposed_provenance_mut(block));
        assert!(held > 1 && heap::blocks_of(class) == 0);
        assert!(!is_free(live), "a live block came to its slab");
        assert!(!is_free(lost), "what its stock did not name is lost");
    });
}

/// What a thread waits to give back to the slabs, while a fork has the locks, is still in its stock: the child finds it there.
#[test]
fn what_waits_for_a_lock_is_not_lost() {
    in_a_process_of_its_own("hardened::tests::what_waits_for_a_lock_is_not_lost", || {
        assert_eq!(enter(Mode::Hardened), Ok(()));
        let (send, receive) = channel();
        let (start, started) = channel::<()>();
        let count = &*Box::leak(Box::new(AtomicUsize::new(0)));
        thread::spawn(move || {
            let blocks: Vec<*mut u8> = (0..4000).map(|_| allocate(100)).collect();
            let class = slab::locate(blocks[0].addr()).expect("a hardened block").class;
            send.send(class).expect("there is the other end");
            started.recv().expect("a start");
            for &block in &blocks {
                count.fetch_add(1, Relaxed);
                free(block);
            }
            send.send(class).expect("there is the other end");
        });
        let class = receive.recv().expect("a class");
        let before = heap::blocks_of(class);
        fork::under_all_locks(|| {
            start.send(()).expect("a thread that waits");
            let mut freed = (0, 1);
            while freed.0 != freed.1 || freed.0 == 0 {
                thread::sleep(Duration::from_millis(100));
                freed = (freed.1, count.load(Relaxed));
            }
            // But for the one that is on its way into the ring.
            assert_eq!(heap::blocks_of(class), before + freed.0 - 1);
        });
        receive.recv().expect("the thread to come to its end");
        assert_eq!(count.load(Relaxed), 4000);
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
    let waiting = large_at(large);
    wrong(&raw mut waiting.body().live, true, "holds a live block");
    kept.into_iter().for_each(|(_, block)| free(block));
    is_whole();
}

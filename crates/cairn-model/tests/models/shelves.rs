//! Shelves: threads of one CPU bring and fetch blocks; a fork finds each block at most once, in hands, on a shelf, or in its slab.

use cairn_core::sync::{AtomicUsize, Ordering::Relaxed, look};
use cairn_model::rooms::center;
use cairn_model::shipped::bin::{Bin, Cold};
use cairn_model::shipped::{fork, hands::Hands, shelf};
use cairn_model::tool::{self, Arc};
use std::ptr;

const CLASS: usize = 1;

fn block(number: usize) -> *mut u8 {
    ptr::without_provenance_mut(number * 16)
}

/// The blocks from 1 to `count` lie in the slabs.
fn begin(count: usize) {
    let blocks: Vec<_> = (1..=count).map(block).collect();
    center::of(CLASS).flush(CLASS, &blocks, || ());
    assert_eq!(shelf::blocks(CLASS), 0);
}

/// A bin misses: fetches up to `want` blocks.
fn fetch(want: usize, hands: &Hands) -> Vec<*mut u8> {
    let mut out = [ptr::null_mut(); 8];
    let count = shelf::take(CLASS, &mut out[..want], hands);
    assert!(count <= want && hands.blocks().is_empty());
    out[..count].to_vec()
}

/// A bin is full: hands blocks over.
fn bring(blocks: &[*mut u8], hands: &Hands) {
    hands.add(CLASS, blocks.len(), |slots, taken| {
        slots[..blocks.len()].copy_from_slice(blocks);
        taken(blocks.len());
        blocks.len()
    });
    shelf::put(CLASS, hands);
    assert!(hands.blocks().is_empty());
}

/// What lies on shelves and in slabs. Under all their locks.
fn lying() -> Vec<usize> {
    let mut found = Vec::new();
    shelf::show(CLASS, |block| found.push(block.addr() / 16));
    center::of(CLASS).show(|block| found.push(block.addr() / 16));
    found
}

fn assert_all_there(count: usize) {
    fork::lock_all();
    let mut found = lying();
    // SAFETY: just taken.
    unsafe { fork::unlock_all() };
    found.sort_unstable();
    assert_eq!(found, (1..=count).collect::<Vec<_>>(), "each block is there once");
}

#[test]
fn two_threads_of_a_cpu_lose_and_double_nothing() {
    tool::check(4, || {
        begin(3);
        tool::crowd(2, |_| {
            let hands = Hands::empty();
            let blocks = fetch(1, &hands);
            bring(&blocks, &hands);
        });
        assert_all_there(3);
    });
}

#[test]
fn what_a_full_row_refuses_goes_on() {
    tool::check(4, || {
        begin(1);
        tool::crowd(2, |number| bring(&[block(2 + 2 * number), block(3 + 2 * number)], &Hands::empty()));
        assert_all_there(5);
    });
}

#[test]
fn a_shelf_is_settled_while_it_is_used() {
    tool::check(4, || {
        begin(2);
        tool::crowd(2, |number| {
            if number == 0 {
                shelf::settle(false);
                return;
            }
            let hands = Hands::empty();
            let blocks = fetch(1, &hands);
            bring(&blocks, &hands);
        });
        assert_all_there(2);
    });
}

/// Medium blocks come and go one by one.
#[test]
fn a_block_that_waits_is_taken_by_one() {
    const MEDIUM: usize = 2;
    tool::check(4, || {
        assert_eq!(shelf::put_one(MEDIUM, block(1)), Some(0));
        let taken = Arc::new(AtomicUsize::new(0));
        let sum = taken.clone();
        tool::crowd(2, move |_| {
            let block = shelf::take_one(MEDIUM);
            if !block.is_null() {
                sum.fetch_add(1, Relaxed);
            }
        });
        let left = shelf::blocks(MEDIUM);
        assert_eq!(taken.load(Relaxed) + left, 1, "taken by one, or left on the other CPU's shelf");
    });
}

/// A fork holds all locks, so it stops the other thread outside of them: what is then in that thread's hands lies nowhere else.
#[test]
fn a_fork_finds_no_block_twice() {
    tool::check(4, || {
        begin(3);
        let hands = Arc::new(Hands::empty());
        tool::crowd(2, move |number| {
            if number == 0 {
                let blocks = fetch(1, &hands);
                bring(&blocks, &hands);
                return;
            }
            fork::lock_all();
            let mut found = lying();
            found.extend(hands.blocks().iter().map(|block| block.addr() / 16));
            // SAFETY: just taken.
            unsafe { fork::unlock_all() };
            found.sort_unstable();
            assert!(found.is_sorted_by(|a, b| a < b), "twice: {found:?}");
            assert!(found.len() >= 2, "the other thread's bin holds one at most: {found:?}");
        });
        assert_all_there(3);
    });
}

/// Between a bin and the hands there is no lock: blocks are out of the one before they are in the other.
#[test]
fn what_comes_into_the_hands_is_out_of_the_bin() {
    struct Heap {
        bin: Bin,
        cold: Cold,
        hands: Hands,
    }
    // SAFETY: one thread changes it; the other reads the lengths.
    unsafe impl Sync for Heap {}
    // SAFETY: nothing in it belongs to a thread.
    unsafe impl Send for Heap {}
    tool::check(3, || {
        let heap = Arc::new(Heap { bin: Bin::nothing(), cold: Cold::nothing(), hands: Hands::empty() });
        assert!(heap.bin.set_capacity(&heap.cold, 3));
        assert!(heap.bin.push(block(1)) && heap.bin.push(block(2)));
        let theirs = heap.clone();
        tool::crowd(2, move |number| {
            let Heap { bin, cold, hands } = &*theirs;
            if number == 0 {
                hands.add(CLASS, 2, |slots, taken| {
                    let count = bin.drain(cold, slots);
                    taken(count);
                    count
                });
                return;
            }
            let count = hands.blocks().len();
            look();
            assert!(count == 0 || bin.len(cold) == 0, "blocks are in the hands and in the bin");
        });
        assert!(heap.bin.set_capacity(&heap.cold, 0));
    });
}

/// And out of the hands before they are anywhere else, whatever that is.
#[test]
fn what_left_the_hands_is_seen_to_have_left() {
    tool::check(3, || {
        let shared = Arc::new((Hands::empty(), AtomicUsize::new(0)));
        shared.0.add(CLASS, 1, |slots, taken| {
            slots[0] = block(1);
            taken(1);
            1
        });
        tool::crowd(2, move |number| {
            let (hands, elsewhere) = &*shared;
            if number == 0 {
                hands.keep(0);
                elsewhere.store(1, Relaxed);
                return;
            }
            let is_elsewhere = elsewhere.load(Relaxed) == 1;
            look();
            assert!(!is_elsewhere || hands.blocks().is_empty());
        });
    });
}

/// Threads go from CPU to CPU, shelves are settled, and now and then somebody forks.
#[test]
#[cfg(not(loom))]
fn a_crowd_uses_the_shelves_of_two_cpus() {
    const THREADS: usize = 7;
    tool::check(0, || {
        begin(12);
        let hands = Arc::new([(); THREADS].map(|()| Hands::empty()));
        tool::crowd(THREADS, move |number| {
            let mut held = Vec::new();
            for step in 0..6 {
                match (number + step * 3) % 5 {
                    0 | 1 => held.extend(fetch(1 + step % 3, &hands[number])),
                    2 if !held.is_empty() => bring(&std::mem::take(&mut held), &hands[number]),
                    3 => shelf::settle(step % 2 == 0),
                    4 => {
                        fork::lock_all();
                        let mut found = lying();
                        let carried = hands.iter().flat_map(|hands| hands.blocks().to_vec());
                        found.extend(carried.map(|block| block.addr() / 16));
                        // SAFETY: just taken.
                        unsafe { fork::unlock_all() };
                        found.sort_unstable();
                        assert!(found.is_sorted_by(|a, b| a < b), "twice: {found:?}");
                    }
                    _ => (),
                }
            }
            if !held.is_empty() {
                bring(&held, &hands[number]);
            }
        });
        assert_all_there(12);
    });
}

//! Claim: threads that work by themselves, and each free what they took, keep to cache lines of their own, also where what they free at a time is
//! more than a bin holds (else blocks go from one to the other, and the two write to the same lines for good). And they don't take more slabs for that than
//! they fill, nor any while others have left room.

#![allow(clippy::undocumented_unsafe_blocks)] // each thread owns the blocks that it names, and frees each once

mod shadow;

use std::collections::{HashMap, VecDeque};
use std::sync::{Barrier, Condvar, Mutex};
use std::thread;

use cairn_alloc::class::{self, LINE};
use cairn_alloc::engine;
use shadow::{Random, allocate, free};

const THREADS: usize = 2;
/// Shares lines with its neighbours.
const SIZE: usize = 48;
/// Blocks that are taken at a time, and as many more at random: a bin holds 5,461.
const GROUP: usize = 4_000;
const ROUNDS: usize = 400;
/// Groups that live at a time.
const GROUPS: usize = 6;

/// Threads of the second claim: more than have a place among the first slabs of a list,
const MANY: usize = 20;
/// the size of their blocks, of which a slab has 819,
const OTHER_SIZE: usize = 80;
/// bytes of such a slab,
const SLAB: usize = 1 << 16;
/// and how many batches each takes.
const BATCHES: usize = 60;

fn take(size: usize) -> usize {
    allocate(size).expose_provenance()
}

/// Bytes of slabs for blocks of [`OTHER_SIZE`].
fn slab_bytes() -> usize {
    engine::statistics().classes[class::of_size(OTHER_SIZE)].slab_bytes
}

/// Blocks, some of which are freed in another order than they came.
fn group(random: &mut Random) -> Vec<usize> {
    let mut blocks: Vec<usize> =
        (0..GROUP + random.below(GROUP as u64) as usize).map(|_| take(SIZE)).collect();
    (1..blocks.len()).for_each(|n| blocks.swap(n, n - random.below(n.min(40) as u64 + 1) as usize));
    blocks
}

fn drop_group(blocks: Vec<usize>) {
    for block in blocks {
        unsafe { free(std::ptr::with_exposed_provenance_mut(block)) };
    }
}

/// The tests run one after the other: how many threads there are decides.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn threads_that_free_what_they_take_keep_to_lines_of_their_own() {
    let _alone = ALONE.lock();
    let turn = (Mutex::new(0), Condvar::new());
    let run = &|number: usize| {
        let mut random = Random::from_seed(number as u64);
        let mut groups = VecDeque::new();
        for _ in 0..ROUNDS {
            let mut now = turn.1.wait_while(turn.0.lock().unwrap(), |now| *now != number).unwrap();
            groups.push_back(group(&mut random));
            if groups.len() > GROUPS
                && let Some(oldest) = groups.pop_front()
            {
                drop_group(oldest);
            }
            *now = (number + 1) % THREADS;
            turn.1.notify_all();
        }
        groups.into_iter().flatten().collect::<Vec<usize>>()
    };
    let live: Vec<Vec<usize>> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut users: HashMap<usize, u32> = HashMap::new();
    for (number, blocks) in live.iter().enumerate() {
        for line in blocks.iter().flat_map(|block| block / LINE..=(block + SIZE - 1) / LINE) {
            *users.entry(line).or_default() |= 1 << number;
        }
    }
    let shared = users.values().filter(|users| users.count_ones() > 1).count();
    let percent = 100.0 * shared as f64 / users.len() as f64;
    println!("{shared} of {} lines are shared: {percent:.1} %", users.len());
    // (It would be 20.)
    assert!(percent < 8.0, "{shared} of {} lines have blocks of two threads", users.len());
}

#[test]
fn many_threads_that_only_take_fill_their_slabs() {
    let _alone = ALONE.lock();
    let turn = (Mutex::new(0), Condvar::new());
    // Nobody ends, and gives what his bins hold to others, before it is counted.
    let (done, counted) = (Barrier::new(MANY + 1), Barrier::new(MANY + 1));
    let run = &|number: usize| {
        for _ in 0..BATCHES {
            let mut now = turn.1.wait_while(turn.0.lock().unwrap(), |now| *now != number).unwrap();
            (0..128).for_each(|_| _ = take(OTHER_SIZE));
            *now = (number + 1) % MANY;
            turn.1.notify_all();
        }
        done.wait();
        counted.wait();
    };
    let bytes = thread::scope(|scope| {
        (0..MANY).for_each(|number| _ = scope.spawn(move || run(number)));
        done.wait();
        let bytes = slab_bytes();
        counted.wait();
        bytes
    });
    let taken = MANY * BATCHES * 128 * OTHER_SIZE;
    println!("{bytes} bytes of slabs for {taken}");
    assert!(bytes < taken + taken / 8 + 2 * MANY * SLAB, "{bytes} bytes of slabs for {taken}");
}

#[test]
fn a_thread_takes_what_another_one_has_left() {
    const LEFT: usize = 200_000;
    let _alone = ALONE.lock();
    let (left, done) = (Barrier::new(2), Barrier::new(2));
    // Slabs have owners only where there are several threads: so this one needs a heap first.
    drop_group(vec![take(OTHER_SIZE)]);
    let leave = || {
        let blocks: Vec<usize> = (0..LEFT).map(|_| take(OTHER_SIZE)).collect();
        let (kept, freed): (Vec<_>, Vec<_>) = blocks.into_iter().enumerate().partition(|(at, _)| at % 8 == 0);
        drop_group(freed.into_iter().map(|(_, block)| block).collect());
        left.wait();
        done.wait();
        drop_group(kept.into_iter().map(|(_, block)| block).collect());
    };
    let (before, after) = thread::scope(|scope| {
        scope.spawn(leave);
        left.wait();
        let before = slab_bytes();
        let blocks: Vec<usize> = (0..LEFT / 2).map(|_| take(OTHER_SIZE)).collect();
        let after = slab_bytes();
        done.wait();
        drop_group(blocks);
        (before, after)
    });
    println!("{before} bytes of slabs, and {after} when another thread had taken half as many");
    assert!(after <= before + 4 * SLAB, "{before} bytes of slabs, and {after}");
}

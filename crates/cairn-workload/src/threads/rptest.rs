//! Threads that replace blocks of random sizes at random, and hand a share of what they allocate to a neighbour to be freed.
//!
//! Models workers that pass messages of all sizes; after the benchmark of rpmalloc (Jansson, 2017). Sizes are spread over 8 to
//! 16,000 bytes by their logarithm; in every second round a thread allocates a batch that the next thread in a ring frees,
//! a third of all blocks. Stresses many size classes at once, remote frees, and memory: with so many sizes
//! a heap per thread keeps many slabs that are nearly empty. A block's first and last byte are written, and checked before
//! it is freed.

use clap::Args;

use super::crew;
use super::post::{Batch, Ring};
use super::sizes::Sizes;
use crate::heap::{Area, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// Batches between two neighbours.
const ROOM: usize = 8;

#[derive(Args)]
pub struct Rptest {
    /// Number of threads
    #[arg(long, default_value_t = 16)]
    threads: usize,
    /// Live blocks of each thread
    #[arg(long, default_value_t = 1_000)]
    live: usize,
    /// Blocks that a thread replaces in a round, and that it hands over in every second one
    #[arg(long, default_value_t = 100)]
    ops: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 8)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 16_000)]
    largest: usize,
    /// Rounds, all threads together
    #[arg(long, default_value_t = 60_000)]
    rounds: u64,
}

/// What a thread brings along.
struct Worker {
    live: Vec<Area>,
    batch: Batch,
    spare: Batch,
    random: Random,
}

/// The first and the last byte of every block.
const MARK: u8 = 0x5A;

fn alloc(heap: Heap, size: usize) -> Area {
    let mut block = heap.alloc_sized(size);
    block.put(0, MARK);
    block.put(size - 1, MARK);
    block
}

fn free(heap: Heap, block: Area) {
    let whole = block.get(0) == MARK && block.get(block.size() - 1) == MARK;
    assert!(whole, "a block of {} bytes was changed by somebody else", block.size());
    heap.free(block.into_block());
}

/// Frees what another thread allocated, and returns how many blocks that were.
fn free_foreign(heap: Heap, batch: &mut Batch) -> u64 {
    let count = batch.len() as u64;
    for block in batch.drain(..) {
        assert_eq!(block.read(), MARK, "a block was changed on its way");
        heap.free(block);
    }
    count
}

impl Rptest {
    fn prepare(&self, thread: usize, sizes: &Sizes) -> Worker {
        let heap = Heap::of_this_process();
        let mut random = Random::new(thread as u64);
        let live = (0..self.live.max(1)).map(|_| alloc(heap, sizes.pick(&mut random))).collect();
        Worker { live, batch: Batch::with_capacity(self.ops), spare: Batch::with_capacity(self.ops), random }
    }

    /// One thread; returns how many blocks of its neighbour it freed.
    fn work(&self, thread: usize, worker: Worker, rounds: u64, ring: &Ring, sizes: &Sizes) -> u64 {
        let heap = Heap::of_this_process();
        let Worker { mut live, mut batch, mut spare, mut random } = worker;
        let mut foreign = 0;
        let mut free_batch = |batch: &mut Batch| foreign += free_foreign(heap, batch);
        for round in 0..rounds {
            for _ in 0..self.ops {
                let at = random.below(live.len());
                free(heap, live.swap_remove(at));
                live.push(alloc(heap, sizes.pick(&mut random)));
            }
            if round % 2 == 1 {
                batch.extend((0..self.ops).map(|_| alloc(heap, sizes.pick(&mut random)).into_block()));
                ring.give(thread, &mut batch, &mut spare, &mut free_batch);
            }
            ring.take(thread, &mut spare, &mut free_batch);
        }
        ring.leave(thread, &mut spare, &mut free_batch);
        live.into_iter().for_each(|block| free(heap, block));
        foreign
    }
}

impl Workload for Rptest {
    fn run(&self, scale: Scale) -> Outcome {
        let threads = self.threads.max(1);
        let rounds = scale.of(self.rounds / threads as u64);
        let sizes = Sizes::log_uniform(self.smallest, self.largest);
        let ring = Ring::new(threads, ROOM, self.ops);
        let (elapsed, foreign) = crew::timed(
            threads,
            |thread| self.prepare(thread, &sizes),
            |thread, worker| self.work(thread, worker, rounds, &ring, &sizes),
        );
        let handed_over = rounds / 2 * (threads * self.ops) as u64;
        assert_eq!(foreign.iter().sum::<u64>(), handed_over, "blocks got lost between the threads");
        let blocks = rounds * (threads * self.ops) as u64 + handed_over;
        Outcome::new("rptest", "one block allocated and one freed", blocks, elapsed)
    }
}

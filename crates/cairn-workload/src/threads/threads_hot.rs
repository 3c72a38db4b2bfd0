//! Threads that each keep a hundred small blocks and replace them as fast as they can, and share nothing.
//!
//! Models independent workers. Stresses the fast path of several threads at once: it should cost what it costs
//! in one thread, so locks and shared cache lines show.

use clap::Args;

use super::crew;
use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct ThreadsHot {
    /// Number of threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Live blocks of each thread
    #[arg(long, default_value_t = 100)]
    live: usize,
    /// Largest size in bytes; the smallest is 16
    #[arg(long, default_value_t = 256)]
    largest: usize,
    /// Replacements of each thread
    #[arg(long, default_value_t = 40_000_000)]
    ops: u64,
}

impl ThreadsHot {
    fn size(&self, random: &mut Random) -> usize {
        random.between(16, self.largest.max(16))
    }

    fn prepare(&self, seed: u64) -> (Random, Vec<Block>) {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed);
        let blocks = (0..self.live.max(1)).map(|_| heap.alloc(self.size(&mut random))).collect();
        (random, blocks)
    }

    fn one_thread(&self, ops: u64, mut random: Random, mut blocks: Vec<Block>) {
        let heap = Heap::of_this_process();
        for _ in 0..ops {
            let at = random.below(blocks.len());
            heap.replace(&mut blocks[at], self.size(&mut random));
        }
        heap.free_all(blocks);
    }
}

impl Workload for ThreadsHot {
    fn run(&self, scale: Scale) -> Outcome {
        let (threads, ops) = (self.threads.max(1), scale.of(self.ops));
        let (elapsed, _) = crew::timed(
            threads,
            |thread| self.prepare(thread as u64),
            |_, (random, blocks)| self.one_thread(ops, random, blocks),
        );
        Outcome::new("threads-hot", "one block replaced by another", ops * threads as u64, elapsed)
    }
}

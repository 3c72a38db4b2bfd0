//! Threads that each keep a hundred small blocks and replace them as fast as they can, and share nothing.
//!
//! Models independent workers. Stresses the fast path of several threads at once: it should cost what it costs
//! in one thread, so locks and shared cache lines show.

use std::sync::Barrier;
use std::time::Instant;

use clap::Args;

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
    fn one_thread(&self, ops: u64, seed: u64, begin: &Barrier) {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed);
        let largest = self.largest.max(16);
        let mut blocks: Vec<Block> =
            (0..self.live.max(1)).map(|_| heap.alloc(random.between(16, largest))).collect();
        begin.wait();
        for _ in 0..ops {
            let at = random.below(blocks.len());
            heap.replace(&mut blocks[at], random.between(16, largest));
        }
        heap.free_all(blocks);
    }
}

impl Workload for ThreadsHot {
    fn run(&self, scale: Scale) -> Outcome {
        let (threads, ops) = (self.threads.max(1), scale.of(self.ops));
        let begin = Barrier::new(threads + 1);
        let elapsed = std::thread::scope(|scope| {
            let begin = &begin;
            let running: Vec<_> = (0..threads)
                .map(|seed| scope.spawn(move || self.one_thread(ops, seed as u64, begin)))
                .collect();
            begin.wait();
            let start = Instant::now();
            running.into_iter().for_each(|thread| thread.join().expect("a thread of the workload panicked"));
            start.elapsed()
        });
        Outcome::new("threads-hot", "one block replaced by another", ops * threads as u64, elapsed)
    }
}

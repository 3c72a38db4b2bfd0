//! Threads that replace blocks, hand them to a new thread, and *wait* for it instead of ending.
//!
//! Models thread pools that mostly wait, nested calls between services in one process, one thread a
//! connection: 16 chains of 40 threads, each replaces the chain's 3,000 blocks four times over, starts the next
//! one, and waits for it. 25 MB are live in all and 640 threads at the end. It is about memory: an allocator
//! whose threads own slabs lets each waiting one sit on its own, and peaks at a gigabyte or more.

use std::time::Instant;

use clap::Args;

use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// Stacks are small, so that they don't count in what is measured.
const STACK: usize = 64 << 10;

#[derive(Args, Clone, Copy)]
pub struct Chains {
    /// Chains that run at the same time
    #[arg(long, default_value_t = 16)]
    chains: usize,
    /// Threads in a chain; all of them wait for the last
    #[arg(long, default_value_t = 40)]
    threads: usize,
    /// Live blocks of a chain
    #[arg(long, default_value_t = 3_000)]
    live: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 16)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 1_024)]
    largest: usize,
    /// How many times over a thread replaces the chain's blocks
    #[arg(long, default_value_t = 4)]
    rounds: u64,
}

impl Chains {
    fn sizes(&self, random: &mut Random) -> usize {
        random.between(self.smallest, self.largest.max(self.smallest))
    }

    /// One thread: replace, start the next, wait for it, and give back the blocks that it gives back.
    fn link(self, mut blocks: Vec<Block>, left: usize, seed: u64, rounds: u64) -> Vec<Block> {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed.wrapping_mul(1_000) + left as u64);
        for _ in 0..rounds * blocks.len() as u64 {
            let at = random.below(blocks.len());
            let size = self.sizes(&mut random);
            heap.replace(&mut blocks[at], size);
        }
        if left <= 1 {
            return blocks;
        }
        start(move || self.link(blocks, left - 1, seed, rounds)).join().expect("a thread of a chain panicked")
    }
}

fn start(life: impl FnOnce() -> Vec<Block> + Send + 'static) -> std::thread::JoinHandle<Vec<Block>> {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(life);
    thread.unwrap_or_else(|error| {
        eprintln!(
            "cairn-workload: can't start another thread ({error}); try fewer with --chains or --threads"
        );
        std::process::exit(1)
    })
}

impl Workload for Chains {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let (rounds, threads) = (scale.of(self.rounds), self.threads.max(1));
        let mut random = Random::new(0);
        let arrays: Vec<Vec<Block>> = (0..self.chains.max(1))
            .map(|_| (0..self.live.max(1)).map(|_| heap.alloc(self.sizes(&mut random))).collect())
            .collect();
        let replaced = (arrays.len() * threads * self.live.max(1)) as u64 * rounds;
        let begin = Instant::now();
        let running: Vec<_> = arrays
            .into_iter()
            .enumerate()
            .map(|(seed, blocks)| {
                let chains = *self;
                start(move || chains.link(blocks, threads, seed as u64, rounds))
            })
            .collect();
        let arrays: Vec<_> =
            running.into_iter().map(|chain| chain.join().expect("a thread of a chain panicked")).collect();
        let elapsed = begin.elapsed();
        arrays.into_iter().for_each(|blocks| heap.free_all(blocks));
        Outcome::new("chains", "one block replaced by another", replaced, elapsed)
    }
}

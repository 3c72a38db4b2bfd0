//! Threads that replace random blocks in an array, hand the array over to a new thread, and end.
//!
//! Models a server whose requests outlive the thread that took them; after Larson and Krishnan (1998). Every
//! thread frees mostly what threads that are gone allocated. Stresses what a thread's end leaves behind: slabs
//! that belong to nobody are adopted late or never, and memory grows with each generation.

use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use clap::Args;

use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args, Clone, Copy)]
pub struct Larson {
    /// Threads that run at the same time
    #[arg(long, default_value_t = 16)]
    threads: usize,
    /// Live blocks of each thread
    #[arg(long, default_value_t = 5_000)]
    live: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 8)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 1_000)]
    largest: usize,
    /// Replacements that a thread does before it hands over
    #[arg(long, default_value_t = 10_000)]
    ops: u64,
    /// Threads that follow each other
    #[arg(long, default_value_t = 50)]
    generations: u64,
}

impl Larson {
    fn sizes(&self, random: &mut Random) -> usize {
        random.between(self.smallest, self.largest.max(self.smallest))
    }

    /// One thread's life. The last generation reports that it is done by sending the blocks back.
    fn live_and_hand_over(self, mut blocks: Vec<Block>, left: u64, seed: u64, done: Sender<Vec<Block>>) {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed.wrapping_mul(1_000) + left);
        for _ in 0..self.ops {
            let at = random.below(blocks.len());
            let size = self.sizes(&mut random);
            heap.replace(&mut blocks[at], size);
        }
        if left > 1 {
            std::thread::spawn(move || self.live_and_hand_over(blocks, left - 1, seed, done));
        } else {
            done.send(blocks).expect("the main thread waits for this");
        }
    }
}

impl Workload for Larson {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let generations = scale.of(self.generations);
        let mut random = Random::new(0);
        let arrays: Vec<Vec<Block>> = (0..self.threads.max(1))
            .map(|_| (0..self.live.max(1)).map(|_| heap.alloc(self.sizes(&mut random))).collect())
            .collect();
        let count = arrays.len() as u64;
        let (done, results) = channel();
        let start = Instant::now();
        for (seed, blocks) in arrays.into_iter().enumerate() {
            let (done, larson) = (done.clone(), *self);
            std::thread::spawn(move || larson.live_and_hand_over(blocks, generations, seed as u64, done));
        }
        drop(done);
        let arrays: Vec<Vec<Block>> = results.iter().collect();
        let elapsed = start.elapsed();
        assert_eq!(arrays.len() as u64, count, "a chain of threads got lost");
        arrays.into_iter().for_each(|blocks| heap.free_all(blocks));
        Outcome::new("larson", "one block replaced by another", generations * count * self.ops, elapsed)
    }
}

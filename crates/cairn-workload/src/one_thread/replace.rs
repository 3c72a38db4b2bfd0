//! Random replacement in 200,000 live blocks.
//!
//! Models a cache, an index, a document in memory: blocks of many sizes whose lives end in no order. The old
//! block is read before it is freed, the new one is written. The blocks don't fit into the near caches, so it
//! stresses how many cold lines an allocator adds to those that the program touches anyway.

use std::hint::black_box;
use std::time::Instant;

use clap::Args;

use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Replace {
    /// Blocks that are live
    #[arg(long, default_value_t = 200_000)]
    live: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 16)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 128)]
    largest: usize,
    /// Number of replacements
    #[arg(long, default_value_t = 20_000_000)]
    ops: u64,
}

impl Workload for Replace {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let mut random = Random::new(1);
        let (smallest, largest) = (self.smallest, self.largest.max(self.smallest));
        let mut blocks: Vec<Block> =
            (0..self.live.max(1)).map(|_| heap.alloc(random.between(smallest, largest))).collect();
        let ops = scale.of(self.ops);
        let mut sum = 0u64;
        let start = Instant::now();
        for _ in 0..ops {
            let at = random.below(blocks.len());
            let slot = &mut blocks[at];
            sum += u64::from(slot.read());
            heap.replace(slot, random.between(smallest, largest));
        }
        let elapsed = start.elapsed();
        black_box(sum);
        heap.free_all(blocks);
        Outcome::new("random", "one block replaced by another", ops, elapsed)
    }
}

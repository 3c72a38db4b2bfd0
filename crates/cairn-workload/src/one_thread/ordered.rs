//! A thousand blocks, freed in the order in which they were allocated, again and again.
//!
//! Models a request or a frame: many small objects appear, then all of them go. Everything stays in the nearest
//! cache, so it stresses the fast path where malloc and free do not wait for each other, and the size of the
//! thread's own store: one that keeps seven blocks, like glibc's, leaves its fast path here.

use std::time::Instant;

use clap::Args;

use crate::heap::{Block, Heap};
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Ordered {
    /// Bytes of each block
    #[arg(long, default_value_t = 48)]
    size: usize,
    /// Blocks that are live at once
    #[arg(long, default_value_t = 1_000)]
    live: usize,
    /// Number of blocks that are allocated and freed, in all
    #[arg(long, default_value_t = 60_000_000)]
    ops: u64,
}

impl Workload for Ordered {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let rounds = scale.of(self.ops / self.live.max(1) as u64);
        let mut blocks: Vec<Block> = Vec::with_capacity(self.live);
        let start = Instant::now();
        for _ in 0..rounds {
            blocks.extend((0..self.live).map(|_| heap.alloc(self.size)));
            for block in blocks.drain(..) {
                heap.free(block);
            }
        }
        let elapsed = start.elapsed();
        Outcome::new("ordered", "a malloc and its free", rounds * self.live as u64, elapsed)
    }
}

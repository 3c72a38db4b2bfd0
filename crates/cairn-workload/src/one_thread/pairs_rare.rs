//! Immediate pairs of sizes of which nothing else is live.
//!
//! Models the temporaries of odd sizes that every program has. Stresses what an allocator does when the only
//! block of a size is freed: one that returns the empty page at once pays its slow path on every pair.

use std::time::Instant;

use clap::Args;

use crate::heap::Heap;
use crate::{Outcome, Scale, Workload};

/// Spread over the classes that small-object allocators have, and unlike those that a start-up leaves live.
const SIZES: [usize; 8] = [88, 208, 336, 720, 1_104, 2_400, 4_700, 9_400];

#[derive(Args)]
pub struct PairsRare {
    /// Number of pairs, over all sizes together
    #[arg(long, default_value_t = 24_000_000)]
    ops: u64,
}

impl Workload for PairsRare {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let ops_per_size = scale.of(self.ops / SIZES.len() as u64);
        let start = Instant::now();
        for size in SIZES {
            for _ in 0..ops_per_size {
                heap.free(heap.alloc(size));
            }
        }
        let elapsed = start.elapsed();
        Outcome::new("pairs-rare", "a malloc and its free", ops_per_size * SIZES.len() as u64, elapsed)
    }
}

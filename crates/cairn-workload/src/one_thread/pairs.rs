//! Immediate pairs: allocate a block, write its first byte, free it, at once, again and again.
//!
//! Models temporaries: a short string, a boxed future, an iterator's buffer. Some other blocks of the size are
//! live, as in a running program. Stresses the bare fast path, whose two halves depend on each other here: what
//! free has just stored, malloc loads.

use std::time::Instant;

use clap::Args;

use crate::heap::Heap;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Pairs {
    /// Bytes of each block
    #[arg(long, default_value_t = 64)]
    size: usize,
    /// Blocks of this size that stay live all the time
    #[arg(long, default_value_t = 64)]
    live: usize,
    /// Number of pairs
    #[arg(long, default_value_t = 80_000_000)]
    ops: u64,
}

impl Workload for Pairs {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let live: Vec<_> = (0..self.live).map(|_| heap.alloc(self.size)).collect();
        let (ops, size) = (scale.of(self.ops), self.size);
        let start = Instant::now();
        for _ in 0..ops {
            heap.free(heap.alloc(size));
        }
        let elapsed = start.elapsed();
        heap.free_all(live);
        Outcome::new("pairs", "a malloc and its free", ops, elapsed)
    }
}

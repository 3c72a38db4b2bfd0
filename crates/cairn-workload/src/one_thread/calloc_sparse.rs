//! calloc of large blocks of which one byte per MiB is touched.
//!
//! Models hash tables, bitmaps and buffers that are asked for generously. A block fresh from the kernel is zero
//! already; stresses whether the allocator knows that, and how it cleans what was used before: by writing all of
//! it, or by giving the few used pages back. Each touched byte is checked to be zero first.

use std::collections::VecDeque;
use std::time::Instant;

use clap::Args;

use crate::heap::{Area, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

const MIB: usize = 1 << 20;

#[derive(Args)]
pub struct CallocSparse {
    /// Largest size in MiB; the smallest is 1
    #[arg(long, default_value_t = 32)]
    largest_mib: usize,
    /// Blocks that are live
    #[arg(long, default_value_t = 4)]
    live: usize,
    /// Number of blocks
    #[arg(long, default_value_t = 400)]
    ops: u64,
}

impl Workload for CallocSparse {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let mut random = Random::new(1);
        let ops = scale.of(self.ops);
        let live = self.live.max(1);
        let mut areas: VecDeque<Area> = VecDeque::with_capacity(live + 1);
        let start = Instant::now();
        for _ in 0..ops {
            if areas.len() == live
                && let Some(oldest) = areas.pop_front()
            {
                heap.free(oldest.into_block());
            }
            let size = random.between(1, self.largest_mib.max(1)) * MIB;
            let mut area = heap.alloc_zeroed(size);
            for at in (0..size).step_by(MIB) {
                assert_eq!(area.get(at), 0, "calloc gave memory that is not zero");
                area.put(at, 0xFF);
            }
            areas.push_back(area);
        }
        let elapsed = start.elapsed();
        areas.into_iter().for_each(|area| heap.free(area.into_block()));
        Outcome::new("calloc-sparse", "one calloc, a byte per MiB, and a free", ops, elapsed)
    }
}

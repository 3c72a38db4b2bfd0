//! Random blocks of 64 KiB to 8 MiB in a working set, every page touched; or of 1 to 100 MiB (malloc-large).
//!
//! Models image and network buffers, tables that are built and dropped. A first touch of a page costs as much
//! as three hundred small allocations, so it stresses what happens to large blocks after they are freed: given
//! back at once they are paid for again, kept for ever they show as memory.

use std::time::Instant;

use clap::Args;

use crate::heap::{Area, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Large {
    /// Smallest size in bytes
    #[arg(long, default_value_t = 64 << 10)]
    smallest: usize,
    /// Largest size in bytes; sizes between are spread evenly by their logarithm
    #[arg(long, default_value_t = 8 << 20)]
    largest: usize,
    /// Blocks that are live
    #[arg(long, default_value_t = 24)]
    live: usize,
    /// Number of replacements
    #[arg(long, default_value_t = 8_000)]
    ops: u64,
}

impl Workload for Large {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let mut random = Random::new(1);
        let ops = scale.of(self.ops);
        let largest = self.largest.max(self.smallest);
        let touched = |random: &mut Random| {
            let mut area = heap.alloc_sized(random.between_log(self.smallest, largest));
            area.touch_pages(0);
            area
        };
        let mut areas: Vec<Option<Area>> =
            (0..self.live.max(1)).map(|_| Some(touched(&mut random))).collect();
        let start = Instant::now();
        for _ in 0..ops {
            let slot = random.below(areas.len());
            if let Some(old) = areas[slot].take() {
                heap.free(old.into_block());
            }
            areas[slot] = Some(touched(&mut random));
        }
        let elapsed = start.elapsed();
        areas.into_iter().flatten().for_each(|area| heap.free(area.into_block()));
        Outcome::new("large", "one block replaced by another, its pages touched", ops, elapsed)
    }
}

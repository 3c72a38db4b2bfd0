//! Vectors that grow by realloc to 256 MiB in all, by a half each time: one alone, or many in turn.
//!
//! Models reading a file or a stream of unknown length. One vector alone stresses growing in place and moving by
//! page tables instead of by copy; sixteen in turn stand in each other's way. Each page is touched once, when it
//! is new: what it costs beyond that is the allocator's.

use std::time::Instant;

use clap::Args;

use crate::heap::{Area, Heap, PAGE};
use crate::{Outcome, Scale, Workload};

/// The capacity that each vector starts with.
const FIRST: usize = 64;

#[derive(Args)]
pub struct Realloc {
    /// Vectors that grow in turn, one step each
    #[arg(long, default_value_t = 1)]
    vectors: usize,
    /// Bytes that all vectors reach together
    #[arg(long, default_value_t = 256 << 20)]
    total: usize,
    /// How often it is repeated
    #[arg(long, default_value_t = 4)]
    rounds: u64,
}

impl Realloc {
    /// One round: every vector grows to `target` bytes, checks its ends, and is freed.
    fn grow_all(&self, heap: Heap, target: usize) {
        let mut areas: Vec<Option<Area>> = (0..self.vectors.max(1))
            .map(|_| {
                let mut area = heap.alloc_sized(FIRST);
                area.put(0, 1);
                Some(area)
            })
            .collect();
        let mut size = FIRST;
        while size < target {
            let larger = (size + size / 2).min(target);
            for slot in &mut areas {
                *slot = slot.take().map(|old| {
                    let mut new = heap.resize(old, larger);
                    new.touch_pages(size.next_multiple_of(PAGE));
                    new.put(larger - 1, 1);
                    new
                });
            }
            size = larger;
        }
        for area in areas.into_iter().flatten() {
            assert_eq!(area.get(0), 1, "realloc lost the contents of a block");
            assert_eq!(
                area.get(size - 1),
                1,
                "realloc gave a block that does not keep what is written to it"
            );
            heap.free(area.into_block());
        }
    }
}

impl Workload for Realloc {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let rounds = scale.of(self.rounds);
        let vectors = self.vectors.max(1);
        let target = (self.total / vectors).max(FIRST);
        let start = Instant::now();
        for _ in 0..rounds {
            self.grow_all(heap, target);
        }
        let pages = rounds * (vectors * target.div_ceil(PAGE)) as u64;
        Outcome::new("realloc", "one page of a vector's final size", pages, start.elapsed())
    }
}

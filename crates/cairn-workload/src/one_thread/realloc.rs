//! Vectors that grow by realloc to 1 GiB in all, by a half each time: one alone, or many in turn.
//!
//! Models reading a file or a stream of unknown length. One vector alone stresses growing in place and moving by
//! page tables instead of by copy; many in turn stand in each other's way. Each page is touched once, when it
//! is new: what it costs beyond that is the allocator's. Resident memory is reported for the moment at which all
//! are grown, and its highest value on the way there: a copy needs the old block and the new one together.

use std::time::Instant;

use clap::Args;

use crate::heap::{Area, Heap, PAGE, resident_kib};
use crate::{Outcome, Point, Scale, Workload};

/// The capacity that each vector starts with.
const FIRST: usize = 64;

#[derive(Args)]
pub struct Realloc {
    /// Vectors that grow in turn, one step each
    #[arg(long, default_value_t = 1)]
    vectors: usize,
    /// Bytes that all vectors reach together
    #[arg(long, default_value_t = 1 << 30)]
    total: usize,
    /// How often it is repeated
    #[arg(long, default_value_t = 1)]
    rounds: u64,
}

impl Realloc {
    /// One round: every vector grows to `target` bytes, checks its ends, and is freed. Gives what was resident when
    /// all were grown, in KiB.
    fn grow_all(&self, heap: Heap, target: usize) -> u64 {
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
        let resident = resident_kib();
        for area in areas.into_iter().flatten() {
            assert_eq!(area.get(0), 1, "realloc lost the contents of a block");
            assert_eq!(
                area.get(size - 1),
                1,
                "realloc gave a block that does not keep what is written to it"
            );
            heap.free(area.into_block());
        }
        resident
    }
}

/// The most that was ever resident in this process, in KiB; 0 where the kernel doesn't tell.
fn highest_resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or(0)
}

impl Workload for Realloc {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let rounds = scale.of(self.rounds);
        let vectors = self.vectors.max(1);
        let target = (self.total / vectors).max(FIRST);
        let start = Instant::now();
        let grown = (0..rounds).map(|_| self.grow_all(heap, target)).max().unwrap_or(0);
        let elapsed = start.elapsed();
        let pages = rounds * (vectors * target.div_ceil(PAGE)) as u64;
        let mut outcome = Outcome::new("realloc", "one page of a vector's final size", pages, elapsed);
        let live_kib = (vectors * target / 1024) as u64;
        let point = |at: &str, resident_kib: u64| Point { at: at.to_owned(), live_kib, resident_kib };
        outcome.points = vec![point("all grown", grown), point("highest", highest_resident_kib())];
        outcome
    }
}

//! calloc of large blocks of which one byte per MiB is touched.
//!
//! Models hash tables, bitmaps and buffers that are asked for generously. A block fresh from the kernel is zero
//! already; stresses whether the allocator knows that, and how it cleans what was used before: by writing all of
//! it, or by giving the few used pages back. Each touched byte is checked to be zero first. Resident memory is reported
//! before the first block and when it exceeded most what the program had touched of its live blocks (whole pages),
//! so the growth between the two points says what the allocator touched beyond.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use clap::Args;

use crate::heap::{Area, Heap, PAGE, resident_kib};
use crate::random::Random;
use crate::{Outcome, Point, Scale, Workload};

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

/// One block: a byte in each MiB is read, which must give zero, and written.
fn touched(heap: Heap, size: usize) -> Area {
    let mut area = heap.alloc_zeroed(size);
    for at in (0..size).step_by(MIB) {
        assert_eq!(area.get(at), 0, "calloc gave memory that is not zero");
        area.put(at, 0xFF);
    }
    area
}

impl Workload for CallocSparse {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let mut random = Random::new(1);
        let ops = scale.of(self.ops);
        let live = self.live.max(1);
        let point =
            |at: &str, live_kib: u64| Point { at: at.to_owned(), live_kib, resident_kib: resident_kib() };
        let mut areas: VecDeque<(Area, usize)> = VecDeque::with_capacity(live + 1);
        let mut elapsed = Duration::ZERO;
        let before = point("before", 0);
        let mut most: Option<Point> = None;
        let beyond = |point: &Point| point.resident_kib as i64 - point.live_kib as i64;
        for _ in 0..ops {
            let size = random.between(1, self.largest_mib.max(1)) * MIB;
            let start = Instant::now();
            if areas.len() == live
                && let Some((oldest, _)) = areas.pop_front()
            {
                heap.free(oldest.into_block());
            }
            areas.push_back((touched(heap, size), size));
            elapsed += start.elapsed();
            let pages: usize = areas.iter().map(|(_, size)| size / MIB).sum();
            let now = point("most beyond what was touched", (pages * PAGE / 1024) as u64);
            if most.as_ref().is_none_or(|most| beyond(&now) > beyond(most)) {
                most = Some(now);
            }
        }
        areas.into_iter().for_each(|(area, _)| heap.free(area.into_block()));
        let mut outcome =
            Outcome::new("calloc-sparse", "one calloc, a byte per MiB, and a free", ops, elapsed);
        outcome.points = std::iter::once(before).chain(most).collect();
        outcome
    }
}

//! Fill memory with small blocks, free most of them at random, go on with other sizes.
//!
//! Models a program that loads, then indexes, then serves. Live data never exceeds 160 MB. Stresses
//! fragmentation: each page of the first phase keeps a few blocks, and an allocator whose pages belong to one
//! size has to find new memory for each phase. Resident memory is reported at each point; time counts the
//! allocator's calls only.

use std::time::{Duration, Instant};

use clap::Args;

use crate::heap::{Block, Heap, resident_kib};
use crate::random::Random;
use crate::{Outcome, Point, Scale, Workload};

/// The sizes of each phase, in bytes. None is larger than a page, so a block that is written at its start has at
/// most one page that is not touched.
const PHASES: [(&str, usize, usize); 3] = [("small", 32, 160), ("middle", 200, 700), ("big", 1_000, 4_000)];

#[derive(Args)]
pub struct Phase {
    /// Bytes that are live at the end of each filling, in MB
    #[arg(long, default_value_t = 160)]
    live_mb: u64,
    /// How many percent of the blocks are freed after each filling
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u64).range(0..=100))]
    free_percent: u64,
    /// How often all phases are repeated
    #[arg(long, default_value_t = 1)]
    rounds: u64,
}

/// Writes the size into the block: a table of sizes would take memory that is not the allocator's.
fn labelled(block: Block, size: usize) -> Block {
    // SAFETY: every block of this workload has at least 32 bytes and malloc's alignment of 16.
    unsafe { block.address().cast::<u64>().write(size as u64) };
    block
}

/// The size that `labelled` wrote.
fn label(block: &Block) -> u64 {
    // SAFETY: as above, and all blocks of this workload are labelled.
    unsafe { block.address().cast::<u64>().read() }
}

/// The blocks that are live, the time that counts, and what was seen.
struct State {
    heap: Heap,
    random: Random,
    blocks: Vec<Block>,
    live: u64,
    operations: u64,
    elapsed: Duration,
    points: Vec<Point>,
}

impl State {
    fn fill(&mut self, smallest: usize, largest: usize, until: u64) {
        let start = Instant::now();
        while self.live < until {
            let size = self.random.between(smallest, largest);
            self.blocks.push(labelled(self.heap.alloc(size), size));
            self.live += size as u64;
            self.operations += 1;
        }
        self.elapsed += start.elapsed();
    }

    fn thin(&mut self, percent: u64) {
        self.random.shuffle(&mut self.blocks);
        let keep = self.blocks.len() - (self.blocks.len() as u64 * percent / 100) as usize;
        let start = Instant::now();
        for block in self.blocks.drain(keep..) {
            self.live -= label(&block);
            self.heap.free(block);
        }
        self.elapsed += start.elapsed();
    }

    fn report(&mut self, at: String) {
        let point = Point { at, live_kib: self.live / 1024, resident_kib: resident_kib() };
        self.points.push(point);
    }
}

impl Workload for Phase {
    fn run(&self, scale: Scale) -> Outcome {
        let until = self.live_mb * 1_000_000;
        let most = (until / PHASES[0].1 as u64) as usize;
        let mut state = State {
            heap: Heap::of_this_process(),
            random: Random::new(1),
            blocks: Vec::with_capacity(most),
            live: 0,
            operations: 0,
            elapsed: Duration::ZERO,
            points: Vec::with_capacity(16),
        };
        for round in 0..scale.of(self.rounds) {
            for (name, smallest, largest) in PHASES {
                state.fill(smallest, largest, until);
                state.report(format!("{name} filled, round {round}"));
                state.thin(self.free_percent);
                state.report(format!("{name} thinned, round {round}"));
            }
        }
        state.thin(100);
        state.report("all freed".to_owned());
        std::thread::sleep(Duration::from_millis(300));
        state.heap.free(state.heap.alloc(64));
        state.report("0.3 s later".to_owned());
        let mut outcome = Outcome::new("phase", "a malloc and its free", state.operations, state.elapsed);
        outcome.points = state.points;
        outcome
    }
}

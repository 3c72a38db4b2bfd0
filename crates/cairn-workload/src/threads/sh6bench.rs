//! Bursts of blocks in phases with different sizes; a part is freed in the order of allocation, a part in reverse, a
//! part stays into the next burst.
//!
//! Models programs that work in steps: a compiler's passes, a page that is laid out; after sh6bench of MicroQuill (about
//! 1998). From phase to phase the largest size grows by a half, up to 1,000 bytes; smaller ones are mixed in by halving, so that
//! they are more frequent. Stresses how memory freed in one phase serves the sizes of the next, and the order of free lists.

use clap::Args;

use super::crew;
use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// The largest size of the last phase in bytes.
const LARGEST: usize = 1_000;
/// One block of five stays into the next burst.
const KEPT: usize = 5;

#[derive(Args)]
pub struct Sh6bench {
    /// Blocks of a burst
    #[arg(long, default_value_t = 10_000)]
    blocks: usize,
    /// Bursts with the sizes of one phase
    #[arg(long, default_value_t = 1)]
    bursts: usize,
    /// How often all phases are gone through
    #[arg(long, default_value_t = 120)]
    rounds: u64,
}

/// One thread's bursts.
pub(super) struct Bursts {
    /// Blocks of a burst.
    pub blocks: usize,
    /// Bursts with the sizes of one phase.
    pub bursts: usize,
    /// How often all phases are gone through.
    pub rounds: u64,
}

impl Bursts {
    /// All of them. `keep` gets the part of each burst that isn't freed at its end, in a vector that it leaves empty; its room
    /// is [`Bursts::kept`].
    pub fn run(&self, seed: u64, mut keep: impl FnMut(&mut Vec<Block>)) {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed);
        let mut fresh = Vec::with_capacity(self.blocks);
        let mut kept = Vec::with_capacity(self.kept());
        let mut window = 0;
        for _ in 0..self.rounds {
            for largest in phases() {
                for _ in 0..self.bursts {
                    let halvings = largest.ilog2() as usize + 1;
                    fresh.extend((0..self.blocks).map(|_| heap.alloc(largest >> random.below(halvings))));
                    self.end(heap, &mut fresh, &mut kept, window);
                    keep(&mut kept);
                    // The part that stays begins where the last one ended.
                    window = (window + 1) % KEPT;
                }
            }
        }
    }

    /// How many blocks of a burst stay.
    pub fn kept(&self) -> usize {
        self.blocks / KEPT
    }

    /// The end of a burst: frees what comes after the part that stays in reverse, what comes before in order.
    fn end(&self, heap: Heap, fresh: &mut Vec<Block>, kept: &mut Vec<Block>, window: usize) {
        let first = window * self.kept();
        while fresh.len() > first + self.kept() {
            heap.free(fresh.pop().expect("it is longer than something"));
        }
        kept.extend(fresh.drain(first..));
        fresh.drain(..).for_each(|block| heap.free(block));
    }

    /// Blocks that it allocates in all.
    pub fn operations(&self) -> u64 {
        self.rounds * (phases().count() * self.bursts * self.blocks) as u64
    }
}

/// The largest size of each phase.
fn phases() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), |size| Some(size * 3 / 2 + 1)).take_while(|&size| size <= LARGEST)
}

impl Workload for Sh6bench {
    fn run(&self, scale: Scale) -> Outcome {
        let bursts = Bursts { blocks: self.blocks, bursts: self.bursts, rounds: scale.of(self.rounds) };
        // Not in the main thread, so that it differs from sh8bench in the number of threads and in nothing else.
        let (elapsed, _) = crew::timed(
            1,
            |_| (),
            |_, ()| {
                let heap = Heap::of_this_process();
                let mut previous = Vec::with_capacity(bursts.kept());
                bursts.run(0, |kept| {
                    std::mem::swap(kept, &mut previous);
                    kept.drain(..).for_each(|block| heap.free(block));
                });
                heap.free_all(previous);
            },
        );
        Outcome::new("sh6bench", "one block allocated and freed", bursts.operations(), elapsed)
    }
}

//! Sizes spread by their logarithm, over a working set of which a fifth gets most of the work; any number of threads.
//!
//! Models the heap of a server in steady state; after alloc-test of node-dev (Ignatchenko, 2018). A step picks a place: a block
//! that is there is read and freed, an empty place gets a new block, written in full; so half of the places are filled at any
//! time. Four picks of five go to a fifth of the places. Stresses the caches as much as the allocator: how densely
//! it packs what is live, and whether a new block is one that is still warm. Threads share nothing, and the working set is
//! divided among them.

use clap::Args;

use super::crew;
use super::sizes::Sizes;
use crate::heap::{Area, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct AllocTest {
    /// Number of threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Places for blocks, all threads together
    #[arg(long, default_value_t = 200_000)]
    places: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 8)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 4_096)]
    largest: usize,
    /// Steps, all threads together
    #[arg(long, default_value_t = 8_000_000)]
    ops: u64,
}

/// One place of five is hot.
const HOT: usize = 5;

fn pick(random: &mut Random, places: usize) -> usize {
    if random.below(HOT) > 0 { random.below(places.div_ceil(HOT)) } else { random.below(places) }
}

fn steps(places: &mut [Option<Area>], steps: u64, sizes: &Sizes, random: &mut Random) {
    let heap = Heap::of_this_process();
    for _ in 0..steps {
        let at = pick(random, places.len());
        match places[at].take() {
            Some(block) => free(heap, block),
            None => {
                let mut block = heap.alloc_sized(sizes.pick(random));
                block.fill(block.size() as u8);
                places[at] = Some(block);
            }
        }
    }
}

fn free(heap: Heap, block: Area) {
    let whole = block.get(0) == block.size() as u8 && block.get(block.size() - 1) == block.size() as u8;
    assert!(whole, "a block of {} bytes was changed by somebody else", block.size());
    heap.free(block.into_block());
}

impl Workload for AllocTest {
    fn run(&self, scale: Scale) -> Outcome {
        let threads = self.threads.max(1);
        let (places, ops) = ((self.places / threads).max(1), scale.of(self.ops / threads as u64));
        let sizes = Sizes::log_uniform(self.smallest, self.largest);
        let prepare = |thread| {
            let places: Vec<Option<Area>> = (0..places).map(|_| None).collect();
            (places, Random::new(thread as u64))
        };
        let (elapsed, rests) = crew::timed(threads, prepare, |_, (mut places, mut random)| {
            steps(&mut places, ops, &sizes, &mut random);
            places
        });
        let heap = Heap::of_this_process();
        rests.into_iter().flatten().flatten().for_each(|block| free(heap, block));
        Outcome::new("alloc-test", "one block allocated or freed", ops * threads as u64, elapsed)
    }
}

//! The bursts of sh6bench in several threads; the part of a burst that stays goes to the next thread, which frees it.
//!
//! Models workers in a pipeline, each of which leaves its results to the next; after sh8bench of MicroQuill (about 2000),
//! in which some objects are freed by other threads and some in reverse. Stresses what sh6bench does, and remote frees
//! in bulk: a fifth of all blocks, two thousand at a time.

use clap::Args;

use super::crew;
use super::post::{Batch, Ring};
use super::sh6bench::Bursts;
use crate::heap::Heap;
use crate::{Outcome, Scale, Workload};

/// Batches between two neighbours.
const ROOM: usize = 4;

#[derive(Args)]
pub struct Sh8bench {
    /// Number of threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Blocks of a burst
    #[arg(long, default_value_t = 10_000)]
    blocks: usize,
    /// Bursts with the sizes of one phase
    #[arg(long, default_value_t = 1)]
    bursts: usize,
    /// How often all phases are gone through, all threads together
    #[arg(long, default_value_t = 160)]
    rounds: u64,
}

impl Workload for Sh8bench {
    fn run(&self, scale: Scale) -> Outcome {
        let threads = self.threads.max(1);
        let rounds = scale.of(self.rounds / threads as u64);
        let bursts = Bursts { blocks: self.blocks, bursts: self.bursts, rounds };
        let ring = Ring::new(threads, ROOM, bursts.kept());
        let work = |thread: usize, mut spare: Batch| {
            let heap = Heap::of_this_process();
            let mut freed = 0;
            let mut free = |batch: &mut Batch| {
                freed += batch.len() as u64;
                batch.drain(..).for_each(|block| heap.free(block));
            };
            bursts.run(thread as u64, |kept| {
                ring.give(thread, kept, &mut spare, &mut free);
                ring.take(thread, &mut spare, &mut free);
            });
            ring.leave(thread, &mut spare, &mut free);
            freed
        };
        let (elapsed, freed) = crew::timed(threads, |_| Batch::with_capacity(bursts.kept()), work);
        let blocks = bursts.operations() * threads as u64;
        let handed_over = blocks / self.blocks.max(1) as u64 * bursts.kept() as u64;
        assert_eq!(freed.iter().sum::<u64>(), handed_over, "blocks got lost between the threads");
        Outcome::new("sh8bench", "one block allocated and freed", blocks, elapsed)
    }
}

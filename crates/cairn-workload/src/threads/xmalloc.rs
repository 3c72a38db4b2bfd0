//! Producers allocate batches, consumers free them, through one pool that all of them share.
//!
//! Models a server in which any worker may finish what any other began; after xmalloc-test of Lever and Boreham (2000). A
//! batch holds 4,096 objects that are written in full, and ends up with whichever consumer comes next: all-to-all, while
//! `producer-consumer` has fixed pairs. Stresses remote frees: blocks come from as many heaps as there are producers, and
//! go back from as many threads as there are consumers, none of which ever allocates. Who waits sleeps.

use std::num::NonZeroUsize;

use clap::Args;

use super::crew;
use super::post::{Batch, Post};
use crate::heap::Heap;
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// Batches that the pool has room for, for each producer.
const ROOM: usize = 2;

#[derive(Args)]
pub struct Xmalloc {
    /// Number of threads; half of them produce, the others consume
    #[arg(long, default_value_t = 4, value_parser = two_at_least)]
    threads: usize,
    /// Objects in a batch
    #[arg(long, default_value = "4096")]
    batch: NonZeroUsize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 64)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 64)]
    largest: usize,
    /// Number of objects, all producers together
    #[arg(long, default_value_t = 20_000_000)]
    ops: u64,
}

fn two_at_least(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number >= 2 => Ok(number),
        _ => Err("must be 2 at least: one thread that produces and one that consumes".to_owned()),
    }
}

impl Xmalloc {
    fn produce(&self, pool: &Post, batches: u64, seed: u64, mut batch: Batch) {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed);
        let largest = self.largest.max(self.smallest);
        for _ in 0..batches {
            for _ in 0..self.batch.get() {
                let size = random.between(self.smallest, largest);
                let mut object = heap.alloc_sized(size);
                object.fill(size as u8);
                batch.push(object.into_block());
            }
            pool.give(&mut batch);
        }
        pool.close();
    }

    /// Returns how many objects this thread freed.
    fn consume(&self, pool: &Post, mut batch: Batch) -> u64 {
        let heap = Heap::of_this_process();
        let mut freed = 0;
        while pool.take(&mut batch) {
            freed += batch.len() as u64;
            for block in batch.drain(..) {
                std::hint::black_box(block.read());
                heap.free(block);
            }
        }
        freed
    }
}

impl Workload for Xmalloc {
    fn run(&self, scale: Scale) -> Outcome {
        let (producers, batch) = (self.threads / 2, self.batch.get());
        let batches = scale.of(self.ops / (producers * batch) as u64);
        let pool = Post::new(ROOM * producers, batch, producers);
        let work = |thread: usize, batch: Batch| {
            if thread < producers {
                self.produce(&pool, batches, thread as u64, batch);
                0
            } else {
                self.consume(&pool, batch)
            }
        };
        let (elapsed, freed) = crew::timed(self.threads, |_| Batch::with_capacity(batch), work);
        let objects = batches * (producers * batch) as u64;
        assert_eq!(freed.iter().sum::<u64>(), objects, "objects got lost between the threads");
        Outcome::new("xmalloc", "one object allocated here and freed there", objects, elapsed)
    }
}

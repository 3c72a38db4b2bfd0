//! One thread allocates, another one frees, through a bounded ring.
//!
//! Models pipelines, loggers, message queues; the same idea as Lever and Boreham's xmalloc-test. Blocks travel
//! in batches, so that the hand-over costs little and the allocator is what is measured: every block is freed by a
//! thread that never allocates, and allocated by one that never frees. A thread that has to wait yields its CPU
//! after a short spin, so CPU time is close to wall time times threads for every allocator.

use std::sync::atomic::{AtomicUsize, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};
use std::sync::{Mutex, PoisonError};

use clap::Args;

use super::crew;
use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

/// Blocks that travel together.
const BATCH: usize = 128;
/// Batches that fit into a ring.
const SLOTS: usize = 32;

#[derive(Args)]
pub struct ProducerConsumer {
    /// Pairs of a producing and a consuming thread
    #[arg(long, default_value_t = 1)]
    pairs: usize,
    /// Smallest size in bytes
    #[arg(long, default_value_t = 16)]
    smallest: usize,
    /// Largest size in bytes
    #[arg(long, default_value_t = 256)]
    largest: usize,
    /// Number of blocks, over all pairs together
    #[arg(long, default_value_t = 16_000_000)]
    ops: u64,
}

/// A ring for one producer and one consumer. `written - read` batches are full; a slot's mutex is never
/// contended, because the two counters already say whose it is, and costs two uncontended atomics a batch.
struct Ring {
    slots: Vec<Mutex<Vec<Block>>>,
    written: Padded,
    read: Padded,
}

/// A counter with a cache line of its own.
#[repr(align(128))]
struct Padded(AtomicUsize);

impl Ring {
    fn new() -> Ring {
        let slots = (0..SLOTS).map(|_| Mutex::new(Vec::with_capacity(BATCH))).collect();
        Ring { slots, written: Padded(AtomicUsize::new(0)), read: Padded(AtomicUsize::new(0)) }
    }

    /// Fills the next free slot, when there is one.
    fn write(&self, fill: impl FnOnce(&mut Vec<Block>)) {
        let written = self.written.0.load(Relaxed);
        wait_until(|| written - self.read.0.load(Acquire) < SLOTS);
        fill(&mut self.slots[written % SLOTS].lock().unwrap_or_else(PoisonError::into_inner));
        self.written.0.store(written + 1, Release);
    }

    /// Empties the next full slot, when there is one.
    fn read(&self, empty: impl FnOnce(&mut Vec<Block>)) {
        let read = self.read.0.load(Relaxed);
        wait_until(|| self.written.0.load(Acquire) > read);
        empty(&mut self.slots[read % SLOTS].lock().unwrap_or_else(PoisonError::into_inner));
        self.read.0.store(read + 1, Release);
    }
}

fn wait_until(ready: impl Fn() -> bool) {
    let mut tries = 0;
    while !ready() {
        if tries < 200 {
            tries += 1;
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}

impl ProducerConsumer {
    fn produce(&self, ring: &Ring, batches: u64, seed: u64) {
        let heap = Heap::of_this_process();
        let mut random = Random::new(seed);
        for _ in 0..batches {
            ring.write(|batch| {
                batch.extend((0..BATCH).map(|_| heap.alloc(random.between(self.smallest, self.largest))));
            });
        }
    }

    fn consume(&self, ring: &Ring, batches: u64) {
        let heap = Heap::of_this_process();
        for _ in 0..batches {
            ring.read(|batch| {
                for block in batch.drain(..) {
                    std::hint::black_box(block.read());
                    heap.free(block);
                }
            });
        }
    }
}

impl Workload for ProducerConsumer {
    fn run(&self, scale: Scale) -> Outcome {
        let pairs = self.pairs.max(1);
        let batches = scale.of(self.ops / (pairs * BATCH) as u64);
        let rings: Vec<Ring> = (0..pairs).map(|_| Ring::new()).collect();
        // Threads of even numbers produce, each for the one after it.
        let work = |thread: usize, ()| match (&rings[thread / 2], thread % 2) {
            (ring, 0) => self.produce(ring, batches, thread as u64 / 2),
            (ring, _) => self.consume(ring, batches),
        };
        let (elapsed, _) = crew::timed(2 * pairs, |_| (), work);
        let blocks = batches * (pairs * BATCH) as u64;
        Outcome::new("producer-consumer", "one block allocated here and freed there", blocks, elapsed)
    }
}

//! Threads that each allocate one small object, write it many times, free it, and begin again.
//!
//! Models per-thread counters and other small state; after cache-thrash of Berger et al., *Hoard* (2000). Stresses *active*
//! false sharing: an allocator that hands pieces of one cache line to several threads makes all of them slow, although
//! they share nothing. The writes are the load; malloc and free are a tiny part of it.

use clap::Args;

use super::crew;
use crate::heap::{Area, Heap};
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct CacheThrash {
    /// Number of threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Size of an object in bytes
    #[arg(long, default_value_t = 8)]
    size: usize,
    /// How often an object is written while it lives, all threads together
    #[arg(long, default_value_t = 100_000)]
    writes: usize,
    /// Objects of each thread
    #[arg(long, default_value_t = 12_000)]
    ops: u64,
}

impl Workload for CacheThrash {
    fn run(&self, scale: Scale) -> Outcome {
        let (threads, ops) = (self.threads.max(1), scale.of(self.ops));
        let writes = (self.writes / threads).max(1);
        let work = |_, ()| objects(Heap::of_this_process(), self.size.max(1), writes, ops);
        let (elapsed, _) = crew::timed(threads, |_| (), work);
        Outcome::new(
            "cache-thrash",
            "one object allocated, written often and freed",
            ops * threads as u64,
            elapsed,
        )
    }
}

/// The life of a thread: `ops` objects, one after the other.
pub(super) fn objects(heap: Heap, size: usize, writes: usize, ops: u64) {
    for _ in 0..ops {
        let mut object = heap.alloc_sized(size);
        write_often(&mut object, writes);
        heap.free(object.into_block());
    }
}

/// Counts in each byte of the object in turn, which reads and writes it; nobody else may have changed it.
pub(super) fn write_often(object: &mut Area, times: usize) {
    object.fill(0);
    let rounds = times.div_ceil(object.size());
    for _ in 0..rounds {
        for at in 0..object.size() {
            let count = object.get(at);
            object.put(at, count.wrapping_add(1));
        }
    }
    assert_eq!(object.get(0), rounds as u8, "an object was changed by somebody else");
}

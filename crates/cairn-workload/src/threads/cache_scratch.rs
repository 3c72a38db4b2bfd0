//! The main thread allocates one small object for each thread and hands it over; each thread writes it, frees it, and
//! goes on with objects of its own.
//!
//! Models work items that a dispatcher allocates; after cache-scratch of Berger et al., *Hoard* (2000). Stresses *passive*
//! false sharing: the first objects lie side by side in the dispatcher's cache lines, which is nobody's fault; an
//! allocator that gives each freed piece to the thread that freed it keeps them shared for good. Compare with cache-thrash,
//! which is the same without the hand-over.

use std::sync::Mutex;

use clap::Args;

use super::cache_thrash::{objects, write_often};
use super::crew;
use crate::heap::{Area, Heap};
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct CacheScratch {
    /// Number of threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Size of an object in bytes
    #[arg(long, default_value_t = 8)]
    size: usize,
    /// How often an object is written while it lives, all threads together
    #[arg(long, default_value_t = 100_000)]
    writes: usize,
    /// Objects of each thread, the one from the main thread included
    #[arg(long, default_value_t = 12_000)]
    ops: u64,
}

impl Workload for CacheScratch {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let (threads, ops, size) = (self.threads.max(1), scale.of(self.ops), self.size.max(1));
        let writes = (self.writes / threads).max(1);
        let mut objects_of_main: Vec<Mutex<Option<Area>>> = Vec::with_capacity(threads);
        objects_of_main.extend((0..threads).map(|_| Mutex::new(None)));
        // In a loop of their own, so that nothing else of the program comes between them.
        for slot in &mut objects_of_main {
            *slot.get_mut().expect("nobody else has it yet") = Some(heap.alloc_sized(size));
        }
        let take = |thread: usize| {
            let object = objects_of_main[thread].lock().expect("nothing panics with the lock held").take();
            object.expect("each thread takes its object once")
        };
        let work = |_, mut object: Area| {
            write_often(&mut object, writes);
            heap.free(object.into_block());
            objects(heap, size, writes, ops - 1);
        };
        let (elapsed, _) = crew::timed(threads, take, work);
        Outcome::new("cache-scratch", "one object written often and freed", ops * threads as u64, elapsed)
    }
}

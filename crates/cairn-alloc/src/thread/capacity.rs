//! How much the bins of a thread may hold.
//!
//! A bin starts with room for one block, doubles at each miss up to a batch, then only when it swings between full
//! and empty, and loses all when it was idle for some looks ([`Heap::housekeeping`]). What all capacities together may hold is bounded per thread and for the process.

use core::ops::Deref;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count::{self, Place};

use super::{Heap, living};
use crate::class::{self, SHAPES};
use crate::transfer::BATCH_MAX;
use crate::{region, settings};

/// Bytes that all bins of all threads may hold, those of each thread as [`in_lumps`].
pub static CAPACITY_BYTES: Apart = Apart(AtomicUsize::new(0));
/// A thread counts in lumps of so many bytes: the sum is everybody's, and a thread that begins has some hundred small steps to go.
pub const LUMP: usize = 8 << 10;
/// Bytes that the bins of all threads may hold together at least;
const PROCESS_BYTES_MIN: usize = 32 << 20;
/// and this part of what is committed.
const PROCESS_SHARE: usize = 16;
/// The bins of one thread may hold this, or this part of what is committed, divided by the number of threads,
const CROWD_BYTES: usize = 6 << 20;
const CROWD_SHARE: usize = 4;
/// and beyond so many threads it falls with the square of their number, since so many can't all be working,
const CROWD_THREADS: usize = 16;
/// but at least this (and at most the setting).
pub const THREAD_BYTES_MIN: usize = 32 << 10;
/// A bin that had to give away more than so many halves of what the largest one holds does not grow.
const SWING_HALVES_MAX: usize = 3;
/// Misses between two attempts to let a bin grow where the thread has as much as it may: to find that out costs more than the rest of a
/// miss.
const MISSES_PER_CHARGE: usize = 16;

/// Alone in its cache lines: beside it other statics would be that each miss reads.
#[repr(align(128))]
pub struct Apart(AtomicUsize);

impl Deref for Apart {
    type Target = AtomicUsize;

    fn deref(&self) -> &AtomicUsize {
        &self.0
    }
}

/// What the bins of a thread count for that may hold so many bytes.
pub fn in_lumps(bytes: usize) -> usize {
    bytes.next_multiple_of(LUMP)
}

/// Why a bin could not do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Miss {
    Empty,
    Full,
}

impl Heap {
    /// A bin missed: lets it grow if that would have helped and there is room; returns its capacity in blocks.
    ///
    /// Up to a batch or two a larger bin saves trips to the center in any case. Beyond that it helps only if
    /// the bin is empty now and was full before: then what it had to give away would have served this request. And if
    /// that was much more than the largest bin holds, a larger one would serve little of it; but its blocks, scattered over all
    /// that was freed, would keep a slab each.
    pub(super) fn adapt(&self, class: usize, miss: Miss) -> usize {
        let (bin, cold, shape) = (&self.bins[class], &self.cold[class], &SHAPES[class]);
        let capacity = bin.capacity(cold);
        let fulls = cold.fulls.get();
        let given_away = usize::from(fulls) * capacity.div_ceil(2).min(BATCH_MAX);
        let was_full = miss == Miss::Empty && fulls > 0;
        let swings = was_full && 2 * given_away <= SWING_HALVES_MAX * usize::from(shape.bin_max);
        if was_full && capacity > 0 {
            cold.swings.set(true);
        }
        cold.fulls.set(if miss == Miss::Full { fulls.saturating_add(1) } else { 0 });
        if (capacity >= BATCH_MAX && !swings) || capacity >= usize::from(shape.bin_max) {
            return capacity;
        }
        // What half of it holds are whole cache lines from the begin: with less, threads that fetch one after the other from a shelf would write
        // to the same line for as long as they live (active false sharing; Berger et al., "Hoard", 2000).
        let least = 2 * usize::from(shape.lines_filled_by) - 1;
        let wanted = (2 * capacity + 1).max(least).min(shape.bin_max.into());
        let bytes = (wanted - capacity) * shape.size as usize;
        let misses = self.misses.load(Relaxed);
        if misses < self.refused_until.load(Relaxed) && bytes >= self.refused_bytes.load(Relaxed) {
            return capacity;
        }
        if !self.charge(bytes) {
            self.refused_bytes.store(bytes, Relaxed);
            self.refused_until.store(misses + MISSES_PER_CHARGE, Relaxed);
            return capacity;
        }
        if !bin.set_capacity(cold, wanted) {
            self.discharge(bytes);
            return capacity;
        }
        wanted
    }

    /// Whether the bins may hold `bytes` more; if so they are counted.
    pub(super) fn charge(&self, bytes: usize) -> bool {
        let before = self.capacity_bytes.load(Relaxed);
        let mine = before + bytes;
        let limit = PROCESS_BYTES_MIN.max(committed_bytes() / PROCESS_SHARE);
        // Relaxed: a bound, not a lock; a race oversteps it by a block or two.
        // The least share is every thread's, or the late ones would pay for those that took theirs early and wait.
        let crowded = mine > THREAD_BYTES_MIN && CAPACITY_BYTES.load(Relaxed) + bytes > limit;
        if crowded || mine > self.capacity_max() {
            return false;
        }
        self.capacity_bytes.store(mine, Relaxed);
        let lumps = in_lumps(mine) - in_lumps(before);
        if lumps > 0 {
            count::atomic(Place::Capacity, &*CAPACITY_BYTES);
            CAPACITY_BYTES.fetch_add(lumps, Relaxed);
        }
        true
    }

    /// What this heap's bins may hold. Many threads are mostly waiting ones, whose bins are lost to the others.
    fn capacity_max(&self) -> usize {
        let most = settings::THREAD_KIB.get() * 1024;
        let threads = living::threads().max(1);
        let bytes = CROWD_BYTES.max(committed_bytes() / CROWD_SHARE);
        let share = bytes / threads * CROWD_THREADS.min(threads) / threads;
        share.clamp(THREAD_BYTES_MIN.min(most), most)
    }

    pub(super) fn discharge(&self, bytes: usize) {
        let before = self.capacity_bytes.load(Relaxed);
        self.capacity_bytes.store(before - bytes, Relaxed);
        self.refused_until.store(0, Relaxed);
        let lumps = in_lumps(before) - in_lumps(before - bytes);
        if lumps > 0 {
            count::atomic(Place::Capacity, &*CAPACITY_BYTES);
            CAPACITY_BYTES.fetch_sub(lumps, Relaxed);
        }
    }
}

/// Bytes of the first region that may be used.
fn committed_bytes() -> usize {
    region::regions().first().map_or(0, |first| first.committed() << class::GRANULE_LOG2)
}

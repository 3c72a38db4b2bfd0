//! Births of threads, one at a time, and how many threads have bins: what a mode that takes the bins away has to know.
//!
//! Invariant: the count is that of the heaps that are taken. It grows under the lock of births only, and so does whatever depends on nobody
//! being born meanwhile: who asks under the lock whether threads may have bins is answered for good.
//!
//! Orderings: all counts are `Relaxed`. A greater one is seen by whoever has the lock next; a smaller one may be seen late, and then a
//! mode is refused that could have been entered.

use cairn_core::count::{self, Place};
use cairn_core::lock::Lock;
use cairn_core::sync::{AtomicUsize, Ordering::Relaxed};
use cairn_core::{planted, shared};

shared! {
    static BIRTH: Lock = Lock::named(Place::Birth);
    /// Heaps that are taken.
    static THREADS: AtomicUsize = AtomicUsize::new(0);
}

/// The lock, for fork.
pub fn lock() -> &'static Lock {
    &BIRTH
}

/// The count itself, which nobody else writes.
pub fn counter() -> &'static AtomicUsize {
    &THREADS
}

/// Threads that have bins.
pub fn threads() -> usize {
    THREADS.load(Relaxed)
}

/// A heap was taken. Under the lock.
pub fn one_more() {
    count::atomic(Place::Threads, counter());
    THREADS.fetch_add(1, Relaxed);
}

/// A heap is about to be left; gives how many were taken, this one included.
pub fn one_less() -> usize {
    count::atomic(Place::Threads, counter());
    THREADS.fetch_sub(1, Relaxed)
}

/// In the child of a fork: so many are there.
pub fn set_threads(threads: usize) {
    THREADS.store(threads, Relaxed);
}

/// Gives the calling thread a heap, if it may have one: it asks under the lock, see [`unless_others`].
pub fn be_born<H>(may: impl FnOnce() -> bool, take: impl FnOnce() -> Option<H>) -> Option<H> {
    let _held = BIRTH.hold();
    if !may() && !planted!("birth-asks-again") { None } else { take() }
}

/// Runs `run` while nobody is born, unless another thread than the calling one, which has bins or not, has some; tells whether it did.
pub fn unless_others(mine: bool, run: impl FnOnce()) -> bool {
    let _held = BIRTH.hold();
    let alone = threads() <= usize::from(mine);
    if alone {
        run();
    }
    alone
}

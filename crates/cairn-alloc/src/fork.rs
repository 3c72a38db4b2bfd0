//! fork in a process with many threads.
//!
//! Before the fork all locks are taken, in the order in which the engine nests them, so that no structure is caught
//! half changed; afterwards both sides let go. In the child only the forking thread exists: what the others had in
//! their bins goes back to the centers ("the child owns what its dead threads owned"). Bins are consistent at every
//! instruction (see `Bin::push`), and the transfer stacks by design; what a thread was just carrying
//! between two places is in its hands (thread/hands.rs), and goes to its slabs too. Lost to the child are only a batch that was right
//! between a transfer stack and a bin, a row that was on its way from a shelf to its slabs, and the block that a thread of the program was just given or about to
//! free.
//! The chunk of 2 MiB that may just have been out to be filled (pages/huge.rs) comes back.
//!
//! A fork in a signal handler, and handlers of the fork that allocate: see inside.rs.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cairn_core::lock::Lock;
use cairn_core::planted;

use crate::{audit, center, guarded, hardened, inside, mode, pages, records, thread};

/// Registers the handlers, once. Under the birth lock.
pub fn register() {
    static DONE: AtomicBool = AtomicBool::new(false);
    if !DONE.load(Relaxed) {
        // SAFETY: the handlers are functions of this library. If there is no memory for them, a fork of a process with many
        // threads is as dangerous as with most allocators, until the next birth of a thread, which tries again.
        let failed =
            unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
        DONE.store(failed == 0, Relaxed);
    }
}

/// All locks in nesting order.
fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
    let inner = [records::lock(), pages::lock(), guarded::lock()];
    [mode::lock(), thread::lock()].into_iter().chain(center::locks()).chain(hardened::locks()).chain(inner)
}

/// Takes all locks: now nothing is half changed. For fork, and for audits by [`under_all_locks`]. The thread has none.
pub fn lock_all() {
    if planted!("fork-order") {
        return locks().rev().for_each(Lock::lock);
    }
    locks().for_each(Lock::lock);
}

/// Lets go of all locks.
///
/// # Safety
/// The thread has them all, by [`lock_all`].
pub unsafe fn unlock_all() {
    // SAFETY: the caller's contract.
    locks().rev().for_each(|lock| unsafe { lock.unlock() });
}

/// Runs something under all locks. The thread has none.
pub fn under_all_locks<T>(run: impl FnOnce() -> T) -> T {
    lock_all();
    let result = run();
    // SAFETY: taken above, by this thread.
    unsafe { unlock_all() };
    result
}

/// The handlers. See [`register`].
///
/// # Safety
/// Called before a fork, in the thread that forks.
pub unsafe extern "C" fn before() {
    inside::before_fork();
}

/// See [`before`].
///
/// # Safety
/// Called after a fork, in the thread that forked, for each call of [`before`].
pub unsafe extern "C" fn after_in_parent() {
    // SAFETY: `before` ran; this is called only if it took all locks, in this thread.
    unsafe { inside::after_fork(|| unlock_all()) };
}

/// See [`before`].
///
/// # Safety
/// The same in the child, which has no other thread.
pub unsafe extern "C" fn after_in_child() {
    audit::forked(false);
    // SAFETY: `before` ran; this is called only if it took all locks. Nobody else exists, and under the locks everything is whole.
    unsafe { inside::after_fork(bury) };
}

/// Makes the child's heap its own.
fn bury() {
    if !planted!("fork-frees") {
        // SAFETY: as the caller says.
        locks().rev().for_each(|lock| unsafe { lock.reset() });
    }
    pages::bury();
    audit::forked(true);
    thread::bury_the_dead();
    hardened::bury_the_dead();
}

//! The lock, also when threads sleep in the kernel's queue: they exclude each other and all get in.

use cairn_core::lock::Lock;
use cairn_model::tool::{self, Arc, Protected};

struct Guarded {
    lock: Lock,
    count: Protected,
}

fn increments(threads: usize, each: usize, preemptions: usize) {
    tool::check(preemptions, move || {
        let shared = Arc::new(Guarded { lock: Lock::new(), count: Protected::new(0) });
        let theirs = shared.clone();
        tool::crowd(threads, move |_| {
            for _ in 0..each {
                let _inside = theirs.lock.hold();
                theirs.count.set(theirs.count.get() + 1);
            }
        });
        let _inside = shared.lock.hold();
        assert_eq!(shared.count.get(), threads * each);
    });
}

#[test]
fn two_threads_exclude_each_other_and_both_get_in() {
    increments(2, 1, 4);
}

#[test]
fn three_threads_exclude_each_other_and_all_get_in() {
    increments(3, 1, 2);
}

#[test]
#[cfg(not(loom))]
fn a_crowd_excludes_each_other_and_all_get_in_again_and_again() {
    increments(if tool::LARGE { 12 } else { 4 }, if tool::LARGE { 8 } else { 3 }, 0);
}

/// A thread that never waits: it goes another way if the lock is held, as the pool of batches does.
#[test]
fn who_only_tries_excludes_too() {
    tool::check(3, || {
        let shared = Arc::new(Guarded { lock: Lock::new(), count: Protected::new(0) });
        let theirs = shared.clone();
        let entered = tool::crowd(2, move |_| {
            if !theirs.lock.try_lock() {
                return false;
            }
            theirs.count.set(theirs.count.get() + 1);
            // SAFETY: entered above.
            unsafe { theirs.lock.unlock() };
            true
        });
        let entered = entered.into_iter().filter(|&entered| entered).count();
        assert!(entered > 0, "a free lock lets somebody in");
        assert_eq!(shared.count.get(), entered);
    });
}

//! The lock under every order of events.
//! `RUSTFLAGS="--cfg loom" cargo test -p cairn-core --release --test lock_model`
#![cfg(loom)]

use cairn_core::lock::Lock;
use cairn_core::sync::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// A count that only the lock protects; the model reports any access that the lock doesn't order.
struct Guarded {
    lock: Lock,
    count: UnsafeCell<u32>,
}

// SAFETY: `count` is touched only inside `lock`.
unsafe impl Sync for Guarded {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Guarded {}

fn increments(threads: u32, preemptions: usize) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(move || {
        let shared = Arc::new(Guarded { lock: Lock::new(), count: UnsafeCell::new(0) });
        let others: Vec<_> = (1..threads)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || add_one(&shared))
            })
            .collect();
        add_one(&shared);
        for other in others {
            other.join().unwrap();
        }
        let _inside = shared.lock.hold();
        // SAFETY: inside the lock.
        assert_eq!(shared.count.with(|count| unsafe { *count }), threads);
    });
}

fn add_one(shared: &Guarded) {
    let _inside = shared.lock.hold();
    // SAFETY: inside the lock.
    shared.count.with_mut(|count| unsafe { *count += 1 });
}

#[test]
fn two_threads_exclude_each_other_and_both_get_in() {
    increments(2, 4);
}

#[test]
fn three_threads_exclude_each_other_and_all_get_in() {
    increments(3, 2);
}

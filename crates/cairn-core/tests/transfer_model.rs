//! The transfer stacks of `cairn-alloc` under every order of events.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p cairn-core --release --test transfer_model`
//!
//! and, with a planted fault that has to be found, `RUSTFLAGS="--cfg loom --cfg mutant_version"` (then only the test
//! that expects the fault is built).
//!
//! The source is that of `cairn-alloc`, taken in by its path: that crate has statics, which can't be built from the
//! model's atomics.
#![cfg(loom)]
#![cfg_attr(mutant_version, allow(dead_code))]

#[path = "../../cairn-alloc/src/transfer.rs"]
#[allow(dead_code)]
mod transfer;

use loom::sync::Arc;
use loom::thread;
use std::cell::RefCell;
use std::ptr;
use transfer::{BATCH_MAX, Batch, BatchId, BatchPool, TransferStack};

thread_local! {
    /// The memory of the pools of one run of the model; all of a model's threads run on one real thread.
    static MEMORY: RefCell<Vec<Vec<u128>>> = const { RefCell::new(Vec::new()) };
}

fn source(bytes: usize) -> *mut u8 {
    let mut piece = vec![0; bytes.div_ceil(16)];
    let address = piece.as_mut_ptr().cast();
    MEMORY.with_borrow_mut(|memory| memory.push(piece));
    address
}

/// A pool and the stack of one class.
struct Shared {
    pool: BatchPool,
    stack: TransferStack,
}

impl Shared {
    fn new() -> Self {
        MEMORY.with_borrow_mut(Vec::clear);
        Self { pool: BatchPool::new(), stack: TransferStack::new() }
    }

    /// A batch that carries the one number; none if another thread is just fetching memory.
    fn take(&self, number: usize) -> Option<BatchId> {
        let id = self.pool.take(source)?;
        self.fill(id, number);
        Some(id)
    }

    fn fill(&self, id: BatchId, number: usize) {
        // SAFETY: the callers have the batch. The model watches the cells that this writes, so it would report
        // a batch that two threads have.
        unsafe { Batch::fill(self.pool.get(id), &[ptr::without_provenance_mut(number)]) };
    }

    fn number(&self, id: BatchId) -> usize {
        let mut out = [ptr::null_mut(); BATCH_MAX];
        // SAFETY: as above.
        assert_eq!(unsafe { Batch::drain(self.pool.get(id), &mut out) }, (1, 0));
        out[0].addr()
    }

    fn push(&self, number: usize) {
        let id = self.take(number).expect("memory was fetched before");
        self.stack.push(&self.pool, id, 9).unwrap();
    }

    /// Takes a batch and gives its memory back to the pool.
    fn pop(&self) -> Option<usize> {
        let id = self.stack.pop(&self.pool)?;
        let number = self.number(id);
        self.pool.give(id);
        Some(number)
    }

    /// All that is left, when the other threads have ended.
    fn drain(&self) -> Vec<usize> {
        self.stack.check(&self.pool).unwrap();
        std::iter::from_fn(|| self.pop()).collect()
    }
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

fn assert_same(mut numbers: Vec<usize>, expected: &[usize]) {
    numbers.sort_unstable();
    assert_eq!(numbers, expected);
}

/// One thread has read the head and what is below it; another pops both, and pushes the first on top of a third. Without
/// the version the head looks the same, and the one that the other thread holds becomes the top.
fn pop_against_a_head_that_returns() {
    model(3, || {
        let shared = Arc::new(Shared::new());
        let third = shared.take(3).unwrap();
        shared.push(2);
        shared.push(1);
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let first = shared.stack.pop(&shared.pool);
                let second = shared.stack.pop(&shared.pool);
                shared.stack.push(&shared.pool, third, 9).unwrap();
                if let Some(first) = first {
                    shared.stack.push(&shared.pool, first, 9).unwrap();
                }
                second
            })
        };
        let mine = shared.stack.pop(&shared.pool);
        let theirs = other.join().unwrap();
        let held: Vec<_> = mine.into_iter().chain(theirs).map(|id| shared.number(id)).collect();
        assert_same(shared.drain().into_iter().chain(held).collect(), &[1, 2, 3]);
    });
}

#[test]
#[cfg(not(mutant_version))]
fn a_head_that_returns_is_told_apart() {
    pop_against_a_head_that_returns();
}

#[test]
#[cfg(mutant_version)]
#[should_panic]
fn without_the_version_the_model_finds_the_fault() {
    pop_against_a_head_that_returns();
}

#[test]
#[cfg(not(mutant_version))]
fn two_threads_push_and_pop() {
    model(3, || {
        let shared = Arc::new(Shared::new());
        shared.push(1);
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let got = shared.pop();
                shared.push(2);
                got
            })
        };
        let mut all: Vec<_> = shared.pop().into_iter().collect();
        shared.push(3);
        all.extend(other.join().unwrap());
        all.extend(shared.drain());
        assert_same(all, &[1, 2, 3]);
    });
}

#[test]
#[cfg(not(mutant_version))]
fn one_thread_pushes_and_two_pop() {
    model(2, || {
        let shared = Arc::new(Shared::new());
        let free = shared.take(0).unwrap();
        shared.pool.give(free);
        let others: Vec<_> = (0..2)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || shared.pop())
            })
            .collect();
        // The second batch may be the memory of the first, popped and given back meanwhile.
        shared.push(1);
        shared.push(2);
        let mut all: Vec<_> = others.into_iter().filter_map(|other| other.join().unwrap()).collect();
        all.extend(shared.drain());
        assert_same(all, &[1, 2]);
    });
}

#[test]
#[cfg(not(mutant_version))]
fn two_threads_push_and_one_pops_what_lies_below() {
    model(2, || {
        let shared = Arc::new(Shared::new());
        let ids = [shared.take(1).unwrap(), shared.take(2).unwrap()];
        let others: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let shared = shared.clone();
                thread::spawn(move || shared.stack.push(&shared.pool, id, 9).unwrap())
            })
            .collect();
        // When both are there, the lower one was pushed by a thread whose write of the head is no longer the last.
        let mut all: Vec<_> = shared.pop().into_iter().chain(shared.pop()).collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        all.extend(shared.drain());
        assert_same(all, &[1, 2]);
    });
}

#[test]
#[cfg(not(mutant_version))]
fn the_limit_of_the_depth_holds() {
    model(3, || {
        let shared = Arc::new(Shared::new());
        let ids = [shared.take(1).unwrap(), shared.take(2).unwrap()];
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.stack.push(&shared.pool, ids[0], 1).is_ok())
        };
        let mine = shared.stack.push(&shared.pool, ids[1], 1).is_ok();
        assert!(mine != other.join().unwrap(), "exactly one of the two finds room");
        assert_eq!(shared.drain(), [if mine { 2 } else { 1 }]);
    });
}

#[test]
#[cfg(not(mutant_version))]
fn two_threads_carve_different_batches() {
    model(3, || {
        let shared = Arc::new(Shared::new());
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                let id = shared.take(1)?;
                Some((id, shared.number(id)))
            })
        };
        let mine = [shared.take(2), shared.take(3)];
        let theirs = other.join().unwrap();
        assert!(theirs.is_none_or(|(_, number)| number == 1));
        let numbers: Vec<_> = mine.into_iter().flatten().map(|id| (id, shared.number(id))).collect();
        for &(id, _) in &numbers {
            assert!(theirs.is_none_or(|(other, _)| other != id), "one batch was given to both");
        }
        assert!(theirs.is_some() || !numbers.is_empty(), "one of them must have found memory");
    });
}

#[test]
#[cfg(not(mutant_version))]
fn a_push_publishes_a_chunk_that_the_popper_never_saw() {
    model(3, || {
        let shared = Arc::new(Shared::new());
        let other = {
            let shared = shared.clone();
            thread::spawn(move || shared.push(7))
        };
        let got = shared.pop();
        assert!(got.is_none_or(|number| number == 7));
        other.join().unwrap();
        assert_eq!(shared.drain().len(), usize::from(got.is_none()));
    });
}

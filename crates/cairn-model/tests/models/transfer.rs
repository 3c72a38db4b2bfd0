//! The transfer stacks: no batch is lost, none is given to two, and who pops sees what was pushed.

use cairn_model::shipped::transfer::{BATCH_MAX, Batch, BatchId, BatchPool, TransferStack};
use cairn_model::tool::{self, Arc, Memory, thread};
use std::ptr;

/// A pool and the stack of one class.
struct Shared {
    pool: BatchPool,
    stack: TransferStack,
    memory: Memory,
}

impl Shared {
    fn new() -> Self {
        Self { pool: BatchPool::new(), stack: TransferStack::new(), memory: Memory::default() }
    }

    /// A batch that carries the one number; none if another thread is just fetching memory.
    fn take(&self, number: usize) -> Option<BatchId> {
        let id = self.pool.take(|bytes| self.memory.take(bytes))?;
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

fn assert_same(mut numbers: Vec<usize>, expected: &[usize]) {
    numbers.sort_unstable();
    assert_eq!(numbers, expected);
}

/// One thread has read the head and what is below it; another pops both, and pushes the first on top of a third. Without
/// the version the head looks the same, and the one that the other thread holds becomes the top.
#[test]
fn a_head_that_returns_is_told_apart() {
    tool::check(3, || {
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
fn two_threads_push_and_pop() {
    tool::check(3, || {
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
fn one_thread_pushes_and_two_pop() {
    tool::check(2, || {
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
fn two_threads_push_and_one_pops_what_lies_below() {
    tool::check(2, || {
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
fn the_limit_of_the_depth_holds() {
    tool::check(3, || {
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
fn two_threads_carve_different_batches() {
    tool::check(3, || {
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
fn a_push_publishes_a_chunk_that_the_popper_never_saw() {
    tool::check(3, || {
        let shared = Arc::new(Shared::new());
        let theirs = shared.clone();
        let popped = tool::crowd(2, move |number| {
            if number == 0 {
                theirs.push(7);
                return None;
            }
            theirs.pop()
        });
        let popped: Vec<_> = popped.into_iter().flatten().collect();
        assert_same(shared.drain().into_iter().chain(popped).collect(), &[7]);
    });
}

/// Statistics walk a stack while the batches that they look at are popped and pushed elsewhere, above batches of a chunk that
/// they never saw.
#[test]
fn a_walk_sees_only_batches_that_exist() {
    tool::check(3, || {
        let shared = Arc::new(Shared::new());
        shared.push(1);
        shared.push(2);
        let theirs = shared.clone();
        let seen = tool::crowd(2, move |number| {
            if number == 0 {
                let elsewhere = TransferStack::new();
                let mine = theirs.stack.pop(&theirs.pool).expect("nobody else pops");
                // Of a further chunk: with the tool's sizes the first one has two batches.
                let fresh = theirs.take(3).expect("nobody else carves");
                elsewhere.push(&theirs.pool, fresh, 9).unwrap();
                elsewhere.push(&theirs.pool, mine, 9).unwrap();
                return elsewhere.blocks(&theirs.pool);
            }
            theirs.stack.blocks(&theirs.pool)
        });
        // The walker counts batches that are in both stacks, or that it can't see yet, but none twice.
        assert!(seen.iter().all(|&blocks| blocks <= 2) && seen.contains(&2), "{seen:?}");
        assert_eq!(shared.stack.blocks(&shared.pool), 1);
    });
}

/// The same where all is new to the walker: the first chunk, and a push.
#[test]
fn a_walk_sees_a_first_batch_whole_or_not_at_all() {
    tool::check(3, || {
        let shared = Arc::new(Shared::new());
        let theirs = shared.clone();
        tool::crowd(2, move |number| {
            if number == 0 {
                theirs.push(7);
            } else {
                assert!(theirs.stack.blocks(&theirs.pool) <= 1);
            }
        });
        assert_same(shared.drain(), &[7]);
    });
}

/// Threads carry numbered batches between three stacks and the pool, at random.
#[test]
#[cfg(not(loom))]
fn a_crowd_carries_batches_between_stacks() {
    const STACKS: usize = 3;
    let (threads, steps) = if tool::LARGE { (8, 40) } else { (3, 8) };
    struct Crowd {
        shared: Shared,
        stacks: [TransferStack; STACKS],
    }
    tool::check(0, move || {
        let crowd = Arc::new(Crowd { shared: Shared::new(), stacks: [(); 3].map(|()| TransferStack::new()) });
        let theirs = crowd.clone();
        let results = tool::crowd(threads, move |thread| {
            let Crowd { shared, stacks } = &*theirs;
            let (mut sent, mut got, mut held) = (Vec::new(), Vec::new(), Vec::new());
            for step in 0..steps {
                // Different for each thread, the same in each round: the tool varies the order.
                let dice = ((thread * 31 + step * 17) * 2_654_435_761) >> 7;
                let stack = &stacks[dice % STACKS];
                match dice / STACKS % 4 {
                    0 | 1 => {
                        let number = thread * 1000 + step;
                        let Some(id) = shared.take(number) else { continue };
                        match stack.push(&shared.pool, id, 4) {
                            Ok(()) => sent.push(number),
                            Err(id) => shared.pool.give(id),
                        }
                    }
                    // Some are kept for a while, and pushed elsewhere as they are: the way in which a head returns.
                    2 => held.extend(stack.pop(&shared.pool)),
                    _ => {
                        let Some(id) = held.pop().or_else(|| stack.pop(&shared.pool)) else { continue };
                        if stacks[step % STACKS].push(&shared.pool, id, 9).is_err() {
                            got.push(shared.number(id));
                            shared.pool.give(id);
                        }
                    }
                }
            }
            got.extend(held.into_iter().map(|id| shared.number(id)));
            (sent, got)
        });
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for (theirs, mine) in results {
            sent.extend(theirs);
            got.extend(mine);
        }
        for stack in &crowd.stacks {
            stack.check(&crowd.shared.pool).unwrap();
            while let Some(id) = stack.pop(&crowd.shared.pool) {
                got.push(crowd.shared.number(id));
            }
        }
        sent.sort_unstable();
        assert_same(got, &sent);
    });
}

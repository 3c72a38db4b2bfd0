//! A box in which batches of blocks go from some threads to others.
//!
//! ```text
//!   giver: a full Vec ──►  full: first in, first out  ──► taker: gets it for its empty one
//!          an empty one ◄── empty ◄─────────────────────
//! ```
//!
//! Vectors are exchanged, never made or dropped: `full` and `empty` together always hold `room` of them, all with the
//! capacity of a batch. So nothing is taken from the heap under measurement while the clock runs, and at most `room`
//! batches are on their way. Who has to wait sleeps, so that CPU time is the work's and not the waiting's.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::heap::Block;

/// Blocks that travel together.
pub(super) type Batch = Vec<Block>;

pub(super) struct Post {
    state: Mutex<State>,
    /// Something was put in, or the box was closed.
    filled: Condvar,
    /// Something was taken out.
    emptied: Condvar,
}

struct State {
    full: VecDeque<Batch>,
    empty: Vec<Batch>,
    /// Threads that may still put something in.
    givers: usize,
}

impl Post {
    /// A box for `room` batches of at most `batch` blocks, open until `givers` threads have called [`Post::close`].
    pub fn new(room: usize, batch: usize, givers: usize) -> Post {
        let empty = (0..room).map(|_| Batch::with_capacity(batch)).collect();
        let state = State { full: VecDeque::with_capacity(room), empty, givers };
        Post { state: Mutex::new(state), filled: Condvar::new(), emptied: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the batch in and leaves an empty one in its place, when there is room.
    pub fn try_give(&self, batch: &mut Batch) -> bool {
        let given = self.state().exchange_full(batch);
        if given {
            self.filled.notify_one();
        }
        given
    }

    /// The same, and waits for room.
    pub fn give(&self, batch: &mut Batch) {
        let mut state = self.state();
        while !state.exchange_full(batch) {
            state = self.emptied.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Takes the oldest batch for an empty one, when there is one.
    pub fn try_take(&self, batch: &mut Batch) -> bool {
        let taken = self.state().exchange_empty(batch);
        if taken {
            self.emptied.notify_one();
        }
        taken
    }

    /// The same, and waits; false when nothing is left and nothing will come any more.
    pub fn take(&self, batch: &mut Batch) -> bool {
        let mut state = self.state();
        while !state.exchange_empty(batch) {
            if state.givers == 0 {
                return false;
            }
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.emptied.notify_one();
        true
    }

    /// One of the givers has nothing more to give.
    pub fn close(&self) {
        self.state().givers -= 1;
        self.filled.notify_all();
    }
}

impl State {
    fn exchange_full(&mut self, batch: &mut Batch) -> bool {
        let Some(empty) = self.empty.pop() else { return false };
        self.full.push_back(std::mem::replace(batch, empty));
        true
    }

    fn exchange_empty(&mut self, batch: &mut Batch) -> bool {
        debug_assert!(batch.is_empty(), "a taker brings an empty batch");
        let Some(full) = self.full.pop_front() else { return false };
        self.empty.push(std::mem::replace(batch, full));
        true
    }
}

/// A ring of threads in which each gives batches to the next one and takes those of the one before.
///
/// While a thread finds its neighbour's box full it empties its own, so the ring can't come to a stand with all of
/// them waiting.
pub(super) struct Ring(Vec<Post>);

impl Ring {
    /// A ring of this many threads, with `room` batches of at most `batch` blocks between two of them.
    pub fn new(threads: usize, room: usize, batch: usize) -> Ring {
        Ring((0..threads).map(|_| Post::new(room, batch, 1)).collect())
    }

    /// Gives `batch` to the next thread and leaves an empty one; `free` gets what arrives in the meantime, in `spare`.
    pub fn give(&self, me: usize, batch: &mut Batch, spare: &mut Batch, mut free: impl FnMut(&mut Batch)) {
        let next = &self.0[(me + 1) % self.0.len()];
        while !next.try_give(batch) {
            if !self.take(me, spare, &mut free) {
                std::thread::yield_now();
            }
        }
    }

    /// Takes what has arrived, one batch at most.
    pub fn take(&self, me: usize, spare: &mut Batch, mut free: impl FnMut(&mut Batch)) -> bool {
        let taken = self.0[me].try_take(spare);
        if taken {
            free(spare);
        }
        taken
    }

    /// This thread gives no more; takes what the one before still sends, until that one has left too.
    pub fn leave(&self, me: usize, spare: &mut Batch, mut free: impl FnMut(&mut Batch)) {
        self.0[(me + 1) % self.0.len()].close();
        while self.0[me].take(spare) {
            free(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heap::Heap;

    fn batch(marks: &[u8]) -> Batch {
        let heap = Heap::of_this_process();
        let mut batch = Batch::with_capacity(4);
        for &mark in marks {
            let mut block = heap.alloc(8);
            block.mark(mark);
            batch.push(block);
        }
        batch
    }

    fn marks(batch: &mut Batch) -> Vec<u8> {
        let heap = Heap::of_this_process();
        let marks = batch.iter().map(Block::read).collect();
        batch.drain(..).for_each(|block| heap.free(block));
        marks
    }

    #[test]
    fn batches_come_out_in_order_and_room_is_bounded() {
        let post = Post::new(2, 4, 1);
        let mut own = batch(&[1, 2]);
        assert!(post.try_give(&mut own) && own.is_empty());
        own.append(&mut batch(&[3]));
        assert!(post.try_give(&mut own));
        own.append(&mut batch(&[4]));
        assert!(!post.try_give(&mut own) && own.len() == 1, "a full box leaves the batch with its giver");
        let mut got = Batch::with_capacity(4);
        assert!(post.try_take(&mut got));
        assert_eq!(marks(&mut got), [1, 2]);
        post.give(&mut own);
        post.close();
        assert!(post.take(&mut got));
        assert_eq!(marks(&mut got), [3]);
        assert!(post.take(&mut got));
        assert_eq!(marks(&mut got), [4]);
        assert!(!post.take(&mut got) && !post.try_take(&mut got));
    }

    #[test]
    fn a_ring_of_full_boxes_moves_on() {
        let heap = Heap::of_this_process();
        let ring = Ring::new(3, 1, 4);
        let counts: Vec<usize> = std::thread::scope(|scope| {
            let one = |me: usize| {
                let ring = &ring;
                scope.spawn(move || {
                    let (mut batch, mut spare) = (Batch::with_capacity(4), Batch::with_capacity(4));
                    let mut count = 0;
                    let mut free = |batch: &mut Batch| {
                        count += batch.len();
                        batch.drain(..).for_each(|block| heap.free(block));
                    };
                    for _ in 0..50 {
                        batch.extend((0..4).map(|_| heap.alloc(8)));
                        ring.give(me, &mut batch, &mut spare, &mut free);
                    }
                    ring.leave(me, &mut spare, &mut free);
                    count
                })
            };
            let running: Vec<_> = (0..3).map(one).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(counts, [200, 200, 200]);
    }
}

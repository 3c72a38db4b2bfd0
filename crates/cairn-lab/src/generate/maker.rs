//! What every shape is made with: it numbers the blocks, counts the requests, and frees what is left.

use crate::trace::Op;

use super::random::Random;

/// A trace in the making.
pub(super) struct Maker {
    ops: Vec<Op>,
    wanted: usize,
    next: u32,
    /// Blocks that nobody freed, in no particular order.
    pub(super) live: Vec<u32>,
    /// Chance.
    pub(super) random: Random,
}

impl Maker {
    pub(super) fn new(wanted: usize, random: Random) -> Maker {
        Maker { ops: Vec::with_capacity(wanted), wanted, next: 0, live: Vec::new(), random }
    }

    /// About so many requests in all.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Whether there is room for more, given that each live block takes one more request.
    pub(super) fn room(&self) -> bool {
        self.room_beside(0)
    }

    /// The same, if the caller frees `held` blocks of its own.
    pub(super) fn room_beside(&self, held: usize) -> bool {
        self.ops.len() + self.live.len() + held < self.wanted
    }

    /// A new block, which isn't in `live`: the caller frees it.
    pub(super) fn own(&mut self, size: usize) -> u32 {
        let id = self.next;
        self.next += 1;
        self.ops.push(Op::Allocate { id, size });
        id
    }

    /// A new block.
    pub(super) fn allocate(&mut self, size: usize) -> u32 {
        let id = self.own(size);
        self.live.push(id);
        id
    }

    /// Changes a block's size.
    pub(super) fn reallocate(&mut self, id: u32, size: usize) {
        self.ops.push(Op::Reallocate { id, size });
    }

    /// Frees a block that isn't in `live`.
    pub(super) fn release(&mut self, id: u32) {
        self.ops.push(Op::Free { id });
    }

    /// Frees a block of `live`, any one.
    pub(super) fn free_any(&mut self) {
        if !self.live.is_empty() {
            let index = self.random.below(self.live.len());
            let id = self.live.swap_remove(index);
            self.release(id);
        }
    }

    /// Brings a list into random order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            list.swap(end, self.random.between(0, end));
        }
    }

    /// Frees what is left in random order, and ends.
    pub(super) fn finish(mut self) -> Vec<Op> {
        while !self.live.is_empty() {
            self.free_any();
        }
        self.ops
    }
}

//! Looking at a heap: its blocks in order, and its free index.

use crate::block::Block;
use crate::config::Config;
use crate::heap::Heap;
use crate::placement::{Place, Placement};
use crate::source::Source;
use crate::space::{Segment, Space};

/// What a block is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It belongs to the program.
    Used,
    /// It is in the free index.
    Free,
    /// It was freed and has not been coalesced yet.
    Waiting,
}

/// A block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockInfo {
    /// Where its payload begins; the header is the word in front of it.
    pub address: usize,
    /// Bytes from here to the next block's payload: the payload's and one header's.
    pub size: usize,
    /// What it is.
    pub state: State,
}

/// A member of the free index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Where the free block's payload would begin.
    pub address: usize,
    /// The block's size in bytes.
    pub size: usize,
    /// The number of its list or bin; 0 where there is one; [`Entry::TOP`] for the heap's top.
    pub list: usize,
    /// The address of its parent, in a tree.
    pub parent: Option<usize>,
    /// Levels below the root, in a tree.
    pub level: usize,
}

impl Entry {
    /// The list of the heap's top, the free block at its end, which is taken when nothing else fits.
    pub const TOP: usize = usize::MAX;
}

/// The blocks of a heap, in the order of their addresses. It ends early where a header has been overwritten;
/// [`Heap::check`] says so.
#[derive(Debug)]
pub struct Blocks<'heap, C: Config> {
    space: &'heap Space<C>,
    segment: Option<Segment>,
    at: usize,
}

impl<C: Config> Iterator for Blocks<'_, C> {
    type Item = BlockInfo;

    fn next(&mut self) -> Option<BlockInfo> {
        while self.at >= self.segment?.stop() {
            self.segment = self.space.next_segment(self.segment?);
            self.at = self.segment?.first::<C>();
        }
        // SAFETY: `at` is where a segment's first block begins or a block of plausible size ended, in front of the segment's `stop`.
        let block = unsafe { Block::at(self.at) };
        let header = block.header();
        let (address, size) = (block.address(), header.size());
        let room = self.segment?.stop() - address;
        if !header.is_of(address) || size == 0 || !size.is_multiple_of(C::ALIGN) || size > room {
            self.segment = None;
            return None;
        }
        self.at += size;
        let state = match (header.is_waiting(), header.is_used()) {
            (true, _) => State::Waiting,
            (false, true) => State::Used,
            (false, false) => State::Free,
        };
        Some(BlockInfo { address, size, state })
    }
}

impl<S: Source, P: Placement, C: Config> Heap<S, P, C> {
    /// The blocks, in the order of their addresses.
    pub fn blocks(&self) -> Blocks<'_, C> {
        let segment = self.space.first_segment();
        let at = segment.map_or(0, Segment::first::<C>);
        Blocks { space: &self.space, segment, at }
    }

    /// Shows each member of the free index, in the policy's order, as far as the index is sound.
    pub fn index(&self, visit: &mut dyn FnMut(Entry)) {
        // What is wrong with the index is for `check` to say.
        let _ = self.policy.audit(&self.space, &mut |block, Place { list, parent, level }| {
            visit(Entry { address: block.address(), size: block.header().size(), list, parent, level });
        });
        if let Some(top) = self.space.top() {
            let (address, size) = (top.address(), self.space.top_size());
            visit(Entry { address, size, list: Entry::TOP, parent: None, level: 0 });
        }
    }
}

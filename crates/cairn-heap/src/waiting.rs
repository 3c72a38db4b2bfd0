//! Deferred coalescing: freed blocks that wait, unjoined, in a list of their exact size.
//!
//! A waiting block is used in the eyes of its neighbours, so neither side joins it. The lists are singly linked, last freed first: the
//! next allocation of the same size takes the warmest block, with two writes.
//!
//! # Invariant
//! A block is in list `size / ALIGN` *iff* its header says that it waits; `blocks` and `bytes` count those in all lists.

use crate::block::Block;
use crate::config::Config;
use crate::header::Header;
use crate::space::Space;

/// Lists: blocks of up to this many alignments, less one, may wait.
const LISTS: usize = 65;

#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    heads: [u32; LISTS],
    blocks: usize,
    bytes: usize,
}

impl Waiting {
    pub(crate) const NEW: Self = Self { heads: [0; LISTS], blocks: 0, bytes: 0 };

    /// Bytes of all blocks that wait.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Takes a block in, which is live; false if its size has no list.
    #[inline]
    pub(crate) fn put<C: Config>(&mut self, space: &Space<C>, block: Block, header: Header) -> bool {
        let size = header.size();
        let Some(head) = self.heads.get_mut(size / C::ALIGN) else { return false };
        block.set_header(header.with_waiting(true));
        block.set_link(0, *head);
        *head = space.link_to(Some(block));
        self.blocks += 1;
        self.bytes += size;
        true
    }

    /// Gives a block of this size, live again.
    #[inline]
    pub(crate) fn take<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        let head = self.heads.get_mut(size / C::ALIGN)?;
        let block = space.follow(*head)?;
        *head = block.link(0);
        block.set_header(block.header().with_waiting(false));
        self.blocks -= 1;
        self.bytes -= size;
        Some(block)
    }

    /// The sizes of which blocks wait, from the smallest up.
    pub(crate) fn sizes<C: Config>() -> impl Iterator<Item = usize> {
        (1..LISTS).map(|list| list * C::ALIGN)
    }

    /// Counts blocks and bytes, or gives the block (none: the lists as a whole) that is wrong.
    pub(crate) fn audit<C: Config>(&self, space: &Space<C>) -> Result<(usize, usize), Option<Block>> {
        let (mut blocks, mut bytes) = (0, 0);
        for (list, &head) in self.heads.iter().enumerate() {
            let mut at = space.follow(head);
            while let Some(block) = at {
                blocks += 1;
                bytes += list * C::ALIGN;
                if blocks > self.blocks || !space.is_waiting_block(block, list * C::ALIGN) {
                    return Err(Some(block));
                }
                at = space.follow(block.link(0));
            }
        }
        if (blocks, bytes) == (self.blocks, self.bytes) { Ok((blocks, bytes)) } else { Err(None) }
    }
}

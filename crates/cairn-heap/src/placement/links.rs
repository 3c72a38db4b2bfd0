//! The links of the core's list and tree, kept in the free blocks.

use cairn_core::{avl, list};

use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// Bytes of the links of a list.
pub(super) const LIST_NODE: usize = 8;
/// Bytes of the links of a tree: left, right, parent, height.
pub(super) const TREE_NODE: usize = 16;

/// The free blocks of a heap as nodes.
pub(super) struct Nodes<'space, C: Config>(pub(super) &'space Space<C>);

impl<C: Config> Nodes<'_, C> {
    #[inline]
    fn get(&self, n: Block, index: usize) -> Option<Block> {
        self.0.follow(n.link(index))
    }

    #[inline]
    fn set(&mut self, n: Block, index: usize, to: Option<Block>) {
        n.set_link(index, self.0.link_to(to));
    }
}

impl<C: Config> list::Links for Nodes<'_, C> {
    type Id = Block;

    #[inline]
    fn next(&self, n: Block) -> Option<Block> {
        self.get(n, 0)
    }
    #[inline]
    fn set_next(&mut self, n: Block, to: Option<Block>) {
        self.set(n, 0, to);
    }
    #[inline]
    fn prev(&self, n: Block) -> Option<Block> {
        self.get(n, 1)
    }
    #[inline]
    fn set_prev(&mut self, n: Block, to: Option<Block>) {
        self.set(n, 1, to);
    }
    fn exists(&self, n: Block) -> bool {
        self.0.is_free_block(n)
    }
}

impl<C: Config> avl::Nodes for Nodes<'_, C> {
    type Id = Block;

    #[inline]
    fn left(&self, n: Block) -> Option<Block> {
        self.get(n, 0)
    }
    #[inline]
    fn set_left(&mut self, n: Block, to: Option<Block>) {
        self.set(n, 0, to);
    }
    #[inline]
    fn right(&self, n: Block) -> Option<Block> {
        self.get(n, 1)
    }
    #[inline]
    fn set_right(&mut self, n: Block, to: Option<Block>) {
        self.set(n, 1, to);
    }
    #[inline]
    fn parent(&self, n: Block) -> Option<Block> {
        self.get(n, 2)
    }
    #[inline]
    fn set_parent(&mut self, n: Block, to: Option<Block>) {
        self.set(n, 2, to);
    }
    #[inline]
    fn height(&self, n: Block) -> u8 {
        n.link(3) as u8
    }
    #[inline]
    fn set_height(&mut self, n: Block, to: u8) {
        n.set_link(3, u32::from(to));
    }
    #[inline]
    fn less(&self, a: Block, b: Block) -> bool {
        (a.header().size(), a) < (b.header().size(), b)
    }
    fn exists(&self, n: Block) -> bool {
        self.0.is_free_block(n)
    }
}

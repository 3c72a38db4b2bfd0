//! First fit in address order.

use cairn_core::list::List;

use super::links::{LIST_NODE, Nodes};
use super::{Place, Placement, one_list};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The lowest block that is large enough: used blocks gather at the low end, and what is free at the high end stays whole.
#[derive(Clone, Debug)]
pub struct FirstFitAddress {
    list: List<Block>,
}

// SAFETY: `find` gives members of the list, whose size it compared; links are those of `LIST_NODE` bytes.
unsafe impl Placement for FirstFitAddress {
    const NEW: Self = Self { list: List::new() };
    const NAME: &'static str = "first-fit-address";
    const ABOUT: &'static str = "the first block that is large enough, lowest address first";
    const NODE: usize = LIST_NODE;

    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        one_list::insert(&mut self.list, space, block, size);
    }

    #[inline]
    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.list.remove(&mut Nodes(space), block);
    }

    #[inline]
    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        one_list::first_fit(&self.list, space, size)
    }

    #[inline]
    fn resize<C: Config>(&mut self, _space: &Space<C>, _block: Block, _old: usize, _new: usize) {}

    #[inline]
    fn replace<C: Config>(
        &mut self,
        space: &Space<C>,
        old: Block,
        _old_size: usize,
        new: Block,
        _size: usize,
    ) {
        let mut nodes = Nodes(space);
        self.list.insert_before(&mut nodes, new, old);
        self.list.remove(&mut nodes, old);
    }

    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        one_list::audit(&self.list, space, true, visit)
    }
}

//! First fit in a list, last freed first.

use cairn_core::list::List;

use super::links::{LIST_NODE, Nodes};
use super::{Place, Placement, one_list};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The first block that is large enough, in a list to whose front each freed block goes: the simplest policy. What was freed
/// last is used first, so it is warm in the cache; but the list gets long and the heap ragged.
#[derive(Clone, Debug)]
pub struct FirstFit {
    list: List<Block>,
}

// SAFETY: `find` gives members of the list, whose size it compared; links are those of `LIST_NODE` bytes.
unsafe impl Placement for FirstFit {
    const NEW: Self = Self { list: List::new() };
    const NAME: &'static str = "first-fit";
    const ABOUT: &'static str = "the first block that is large enough, last freed first";
    const NODE: usize = LIST_NODE;

    #[inline]
    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.list.push_first(&mut Nodes(space), block);
    }

    #[inline]
    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.list.remove(&mut Nodes(space), block);
    }

    #[inline]
    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        one_list::first_fit(&self.list, space, size)
    }

    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        one_list::audit(&self.list, space, false, visit)
    }
}

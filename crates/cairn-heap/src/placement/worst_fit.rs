//! Worst fit by an exhaustive search.

use cairn_core::list::{Links, List};

use super::links::{LIST_NODE, Nodes};
use super::{Place, Placement, one_list};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The largest block, if it is large enough: what is left over stays useful, says the idea. It uses up the large blocks that a large
/// request will want, say the measurements.
#[derive(Clone, Debug)]
pub struct WorstFit {
    list: List<Block>,
}

// SAFETY: `find` gives members of the list, whose size it compared; links are those of `LIST_NODE` bytes.
unsafe impl Placement for WorstFit {
    const NEW: Self = Self { list: List::new() };
    const NAME: &'static str = "worst-fit";
    const ABOUT: &'static str = "the largest block, found by looking at all";
    const NODE: usize = LIST_NODE;

    #[inline]
    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.list.push_first(&mut Nodes(space), block);
    }

    #[inline]
    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.list.remove(&mut Nodes(space), block);
    }

    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        let nodes = Nodes(space);
        let mut best: Option<(usize, Block)> = None;
        let mut at = self.list.first();
        while let Some(block) = at {
            space.step();
            let has = block.header().size();
            if has >= size && best.is_none_or(|(most, _)| has > most) {
                best = Some((has, block));
            }
            at = nodes.next(block);
        }
        best.map(|(_, block)| block)
    }

    #[inline]
    fn resize<C: Config>(&mut self, _space: &Space<C>, _block: Block, _old: usize, _new: usize) {}

    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        one_list::audit(&self.list, space, false, visit)
    }
}

//! Best fit by an exhaustive search.

use cairn_core::list::{Links, List};

use super::links::{LIST_NODE, Nodes};
use super::{Place, Placement, one_list};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The smallest block that is large enough, found by looking at all of them (at fewer only if one fits exactly). The tightest of the
/// simple policies, and the slowest: see [`BestFitTree`](super::BestFitTree) for the same choice in logarithmic time.
#[derive(Clone, Debug)]
pub struct BestFit {
    list: List<Block>,
}

// SAFETY: `find` gives members of the list, whose size it compared; links are those of `LIST_NODE` bytes.
unsafe impl Placement for BestFit {
    const NEW: Self = Self { list: List::new() };
    const NAME: &'static str = "best-fit";
    const ABOUT: &'static str = "the smallest block that is large enough, found by looking at all";
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
            if has == size {
                return at;
            }
            if has > size && best.is_none_or(|(least, _)| has < least) {
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

//! Next fit: first fit that goes on where it stopped.

use cairn_core::list::{Links, List};

use super::links::{LIST_NODE, Nodes};
use super::{Place, Placement, one_list};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The first block that is large enough, in address order and round and round, from where the last search ended (Knuth, The Art
/// of Computer Programming 1, section 2.5, the modification of algorithm A). Short searches, spread over the whole heap;
/// which also spreads what is used, so holes stay small.
#[derive(Clone, Debug)]
pub struct NextFit {
    list: List<Block>,
    /// Where the next search begins: a member of the list; none is its front.
    rover: Option<Block>,
}

// SAFETY: `find` gives members of the list, whose size it compared; the rover leaves a block before the block leaves the list.
// Links are those of `LIST_NODE` bytes.
unsafe impl Placement for NextFit {
    const NEW: Self = Self { list: List::new(), rover: None };
    const NAME: &'static str = "next-fit";
    const ABOUT: &'static str = "as first-fit-address, but each search goes on where the last one ended";
    const NODE: usize = LIST_NODE;

    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        one_list::insert(&mut self.list, space, block, size);
    }

    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        let mut nodes = Nodes(space);
        if self.rover == Some(block) {
            self.rover = nodes.next(block);
        }
        self.list.remove(&mut nodes, block);
    }

    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        let nodes = Nodes(space);
        let start = self.rover.or(self.list.first())?;
        let mut at = start;
        loop {
            space.step();
            if at.header().size() >= size {
                self.rover = Some(at);
                return Some(at);
            }
            at = nodes.next(at).or(self.list.first())?;
            if at == start {
                return None;
            }
        }
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
        if self.rover == Some(old) {
            self.rover = Some(new);
        }
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

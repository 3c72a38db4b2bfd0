//! Best fit by a balanced tree that is kept inside the free blocks.

use cairn_core::avl::Tree;

use super::links::{Nodes, TREE_NODE};
use super::{Place, Placement};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The smallest block that is large enough, the lowest one among equals, by an AVL tree over (size, address): the same tree that the
/// process allocator keeps its free spans in, here with its nodes in the free blocks themselves. A search touches one block per
/// level, at most 1.44 log2(n) of them, each in another place of the heap.
#[derive(Clone, Debug)]
pub struct BestFitTree {
    tree: Tree<Block>,
}

// SAFETY: `find` gives nodes of the tree, whose size it compared; links are those of `TREE_NODE` bytes.
unsafe impl Placement for BestFitTree {
    const NEW: Self = Self { tree: Tree::new() };
    const NAME: &'static str = "best-fit-tree";
    const ABOUT: &'static str =
        "the smallest block that is large enough, lowest address first, in an AVL tree";
    const NODE: usize = TREE_NODE;

    #[inline]
    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.tree.insert(&mut Nodes(space), block);
    }

    #[inline]
    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, _size: usize) {
        self.tree.remove(&mut Nodes(space), block);
    }

    #[inline]
    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        self.tree.first_where(&Nodes(space), |nodes, block| {
            nodes.0.step();
            block.header().size() >= size
        })
    }

    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        use cairn_core::avl::Nodes as _;
        let nodes = Nodes(space);
        self.tree.check(&nodes).map_err(|broken| Violation::of_index(broken, space))?;
        let mut at = self.tree.first(&nodes);
        while let Some(block) = at {
            let parent = nodes.parent(block);
            let level = core::iter::successors(parent, |&up| nodes.parent(up)).count();
            visit(block, Place { list: 0, parent: parent.map(Block::address), level });
            at = self.tree.next(&nodes, block);
        }
        Ok(())
    }
}

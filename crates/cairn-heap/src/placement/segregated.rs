//! Segregated fit: bins by size, and best fit within the bin.

use super::bins::{Bin, Bins};
use super::links::LIST_NODE;
use super::{Place, Placement};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// Blocks looked at in one bin before the search goes on to the next larger one.
const SCAN_MAX: usize = 32;

/// The bin of the size asked for, or the next larger one that has blocks; within it the smallest block that is large enough, by
/// looking at a bounded number of them. Close to best fit in what it wastes, close to [`TwoLevel`](super::TwoLevel) in speed.
///
/// `LEVELS` bounds its own memory, `132 * LEVELS` bytes: sizes from `2^(LEVELS + 4)` alignments up share one bin.
#[derive(Clone, Debug)]
pub struct Segregated<const LEVELS: usize = 28> {
    bins: Bins<LEVELS>,
}

impl<const LEVELS: usize> Segregated<LEVELS> {
    /// The smallest block of a bin that has at least `size` bytes, among the first `most`.
    #[inline]
    fn best_of<C: Config>(&self, space: &Space<C>, bin: Bin, size: usize, most: usize) -> Option<Block> {
        let mut best: Option<(usize, Block)> = None;
        let mut at = self.bins.head(space, bin);
        for _ in 0..most {
            let Some(block) = at else { break };
            space.step();
            let has = block.header().size();
            if has == size {
                return at;
            }
            if has > size && best.is_none_or(|(least, other)| (has, block) < (least, other)) {
                best = Some((has, block));
            }
            at = Bins::<LEVELS>::next(space, block);
        }
        best.map(|(_, block)| block)
    }
}

// SAFETY: `find` gives members of the bins: of an exact bin, whose size is at least the one asked for, or compared ones. Links are
// those of `LIST_NODE` bytes.
unsafe impl<const LEVELS: usize> Placement for Segregated<LEVELS> {
    const NEW: Self = Self { bins: Bins::NEW };
    const NAME: &'static str = "segregated";
    const ABOUT: &'static str = "a list for each range of sizes, and a short search in it";
    const NODE: usize = LIST_NODE;

    #[inline]
    fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        self.bins.insert(space, block, size);
    }

    #[inline]
    fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        self.bins.remove(space, block, size);
    }

    #[inline]
    fn find<C: Config>(&mut self, space: &Space<C>, size: usize) -> Option<Block> {
        let own = Bins::<LEVELS>::bin_of(size / C::ALIGN);
        let bin = self.bins.first_from(own)?;
        if Bins::<LEVELS>::is_exact(bin) {
            space.step();
            return self.bins.head(space, bin);
        }
        if let Some(block) = self.best_of(space, bin, size, SCAN_MAX) {
            return Some(block);
        }
        // Blocks of the request's own bin may be too small; those of the next one are not.
        match Bins::<LEVELS>::after(own).and_then(|next| self.bins.first_from(next)) {
            Some(next) => self.best_of(space, next, size, SCAN_MAX),
            // Rather a long search than none found.
            None => self.best_of(space, own, size, usize::MAX),
        }
    }

    #[inline]
    fn resize<C: Config>(&mut self, space: &Space<C>, block: Block, old: usize, new: usize) {
        self.bins.resize(space, block, old, new);
    }

    #[inline]
    fn replace<C: Config>(&mut self, space: &Space<C>, old: Block, old_size: usize, new: Block, size: usize) {
        self.bins.replace(space, old, old_size, new, size);
    }

    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        self.bins.audit(space, visit)
    }
}

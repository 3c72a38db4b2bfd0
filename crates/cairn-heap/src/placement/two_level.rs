//! Two-level segregated fit: constant time.

use super::bins::Bins;
use super::links::LIST_NODE;
use super::{Place, Placement};
use crate::audit::Violation;
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The first block of the first bin in which every block is large enough: the size is rounded up to the next bin's before it is
/// looked for ("good fit"). A constant number of steps whatever the heap looks like, for real time (Masmano and others, TLSF,
/// 2004). The price is that up to a thirty-second of a block's size may be passed over.
///
/// `LEVELS` bounds its own memory, `132 * LEVELS` bytes: sizes from `2^(LEVELS + 4)` alignments up share one bin.
#[derive(Clone, Debug)]
pub struct TwoLevel<const LEVELS: usize = 28> {
    bins: Bins<LEVELS>,
}

impl<const LEVELS: usize> TwoLevel<LEVELS> {
    /// Where no bin promises a fit, the request's own bin, and the last one, may still hold a block that is large enough: one look at
    /// the first of each.
    #[cold]
    fn find_slow<C: Config>(&self, space: &Space<C>, size: usize) -> Option<Block> {
        let own = Bins::<LEVELS>::bin_of(size / C::ALIGN);
        [own, Bins::<LEVELS>::LAST]
            .into_iter()
            .find_map(|bin| self.bins.head(space, bin).filter(|block| block.header().size() >= size))
    }
}

// SAFETY: `find` gives a member of a bin in which all are large enough, or one that it compared. Links are those of `LIST_NODE`
// bytes.
unsafe impl<const LEVELS: usize> Placement for TwoLevel<LEVELS> {
    const NEW: Self = Self { bins: Bins::NEW };
    const NAME: &'static str = "two-level";
    const ABOUT: &'static str = "a list for each range of sizes, and its first block: constant time (TLSF)";
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
        let units = size / C::ALIGN;
        space.step();
        match self.bins.first_from(Bins::<LEVELS>::bin_of(Bins::<LEVELS>::round_up(units))) {
            Some(bin) if bin < Bins::<LEVELS>::LAST => self.bins.head(space, bin),
            _ => self.find_slow(space, size),
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

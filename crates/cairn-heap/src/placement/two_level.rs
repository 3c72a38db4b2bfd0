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

// SAFETY: `find` gives a member of a bin in which all are large enough, or one that it compared. Links are those of `LIST_NODE`
// bytes.
unsafe impl<const LEVELS: usize> Placement for TwoLevel<LEVELS> {
    const NEW: Self = Self { bins: Bins::NEW };
    const NAME: &'static str = "two-level";
    const ABOUT: &'static str = "two-level segregated fit: any block of the next bin up, in constant time";
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
        let enough = Bins::<LEVELS>::bin_of(Bins::<LEVELS>::round_up(units));
        space.step();
        if enough < Bins::<LEVELS>::LAST
            && let Some(bin) = self.bins.first_from(enough)
        {
            let found = self.bins.head(space, bin);
            if bin < Bins::<LEVELS>::LAST {
                return found;
            }
        }
        // The request's own bin, and the last one, may hold blocks that are large enough: one look at the first of each.
        let own = Bins::<LEVELS>::bin_of(units);
        [own, Bins::<LEVELS>::LAST]
            .into_iter()
            .find_map(|bin| self.bins.head(space, bin).filter(|block| block.header().size() >= size))
    }

    fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        self.bins.audit(space, visit)
    }
}

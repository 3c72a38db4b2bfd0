//! Bins: lists of free blocks sorted by size, found by bitmaps. What the segregated policies share.
//!
//! Sizes are counted in units of the alignment. Two levels: a power of two, and 32 equal steps from it to the next (M. Masmano,
//! I. Ripoll, A. Crespo, J. Real: "TLSF: a new dynamic memory allocator for real-time systems", ECRTS 2004).
//!
//! ```text
//!  level 0: units  0 ..  31, bins of one size          bin of u units, u >= 32, with k = log2(u):
//!  level 1: units 32 ..  63, bins of one size              level = k - 4
//!  level 2: units 64 .. 127, bins of two sizes             step  = the five bits of u behind its highest one
//!  level 3: units 128 .. 255, bins of four sizes
//! ```
//! # Invariants
//! - A free block is in the bin of its size, exactly once; blocks too large for the last level are in the last bin.
//! - Bit s of `steps[l]` is set *iff* the bin of level l and step s has blocks; bit l of `levels` is set *iff* `steps[l]` is not 0.
//! - `next(a) == b` *iff* `prev(b) == a`; the head of a bin has no previous block.

use super::Place;
use crate::audit::{Invariant, Violation};
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// Steps of a level.
const STEPS_LOG2: u32 = 5;
const STEPS: usize = 1 << STEPS_LOG2;

/// Which of the two links is which.
const NEXT: usize = 0;
const PREV: usize = 1;

/// The bins of a heap: `132 * LEVELS + 4` bytes.
#[derive(Clone, Debug)]
pub(super) struct Bins<const LEVELS: usize> {
    levels: u32,
    steps: [u32; LEVELS],
    heads: [[u32; STEPS]; LEVELS],
}

impl<const LEVELS: usize> Bins<LEVELS> {
    /// Bins without blocks.
    pub(super) const NEW: Self = {
        assert!(LEVELS >= 2 && LEVELS <= 28, "bins have 2 to 28 levels");
        Self { levels: 0, steps: [0; LEVELS], heads: [[0; STEPS]; LEVELS] }
    };

    /// The last bin, which holds everything that is too large for it as well.
    pub(super) const LAST: usize = LEVELS * STEPS - 1;

    /// The bin of blocks of `units` units.
    #[inline]
    pub(super) fn bin_of(units: usize) -> usize {
        if units < STEPS {
            return units;
        }
        let power = units.ilog2();
        let level = (power - STEPS_LOG2 + 1) as usize;
        let step = (units >> (power - STEPS_LOG2)) & (STEPS - 1);
        (level * STEPS + step).min(Self::LAST)
    }

    /// The least number of units of which each block in the bin of that many, or in any above, has at least `units`.
    #[inline]
    pub(super) fn round_up(units: usize) -> usize {
        if units < 2 * STEPS { units } else { units + (1 << (units.ilog2() - STEPS_LOG2)) - 1 }
    }

    /// Whether all blocks of a bin have one size.
    #[inline]
    pub(super) fn is_exact(bin: usize) -> bool {
        bin < 2 * STEPS
    }

    /// The first bin that has blocks, from `bin` up.
    #[inline]
    pub(super) fn first_from(&self, bin: usize) -> Option<usize> {
        let (level, step) = (bin / STEPS, bin % STEPS);
        let here = self.steps.get(level)? & (u32::MAX << step);
        if here != 0 {
            return Some(level * STEPS + here.trailing_zeros() as usize);
        }
        // `level` is at most 27.
        let above = self.levels & (u32::MAX << (level + 1));
        if above == 0 {
            return None;
        }
        let level = above.trailing_zeros() as usize;
        Some(level * STEPS + self.steps.get(level)?.trailing_zeros() as usize)
    }

    #[inline]
    fn head_mut(&mut self, bin: usize) -> &mut u32 {
        &mut self.heads[bin / STEPS][bin % STEPS]
    }

    /// The first block of a bin.
    #[inline]
    pub(super) fn head<C: Config>(&self, space: &Space<C>, bin: usize) -> Option<Block> {
        space.follow(self.heads[bin / STEPS][bin % STEPS])
    }

    /// The block after `block` in its bin.
    #[inline]
    pub(super) fn next<C: Config>(space: &Space<C>, block: Block) -> Option<Block> {
        space.follow(block.link(NEXT))
    }

    /// Puts a block at the front of the bin of its size.
    #[inline]
    pub(super) fn insert<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        let bin = Self::bin_of(size / C::ALIGN);
        let link = space.link_to(Some(block));
        let head = core::mem::replace(self.head_mut(bin), link);
        block.set_link(NEXT, head);
        block.set_link(PREV, 0);
        match space.follow(head) {
            Some(second) => second.set_link(PREV, link),
            None => {
                self.steps[bin / STEPS] |= 1 << (bin % STEPS);
                self.levels |= 1 << (bin / STEPS);
            }
        }
    }

    /// Takes a block out of the bin of its size.
    #[inline]
    pub(super) fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        let (next, prev) = (block.link(NEXT), block.link(PREV));
        if let Some(next) = space.follow(next) {
            next.set_link(PREV, prev);
        }
        if let Some(prev) = space.follow(prev) {
            prev.set_link(NEXT, next);
            return;
        }
        let bin = Self::bin_of(size / C::ALIGN);
        *self.head_mut(bin) = next;
        if next == 0 {
            let (level, step) = (bin / STEPS, bin % STEPS);
            self.steps[level] &= !(1 << step);
            if self.steps[level] == 0 {
                self.levels &= !(1 << level);
            }
        }
    }

    /// Audits all bins, from the smallest up, and shows their blocks.
    pub(super) fn audit<C: Config>(
        &self,
        space: &Space<C>,
        visit: &mut dyn FnMut(Block, Place),
    ) -> Result<(), Violation> {
        if self.levels >> LEVELS != 0 {
            return Err(Violation::whole(Invariant::IndexBitmap));
        }
        for bin in 0..=Self::LAST {
            let (level, step) = (bin / STEPS, bin % STEPS);
            let marked = self.steps[level] >> step & 1 == 1;
            let level_marked = self.levels >> level & 1 == 1;
            if marked != (self.heads[level][step] != 0) || level_marked != (self.steps[level] != 0) {
                return Err(Violation::whole(Invariant::IndexBitmap));
            }
            let mut before = 0;
            let mut at = self.head(space, bin);
            while let Some(block) = at {
                if !space.is_free_block(block) {
                    return Err(Violation::link(space.follow(before)));
                }
                if block.link(PREV) != before {
                    return Err(Violation::links(Invariant::IndexLinks, block));
                }
                if Self::bin_of(block.header().size() / C::ALIGN) != bin {
                    return Err(Violation::at(Invariant::IndexBin, block));
                }
                visit(block, Place { list: bin, ..Place::default() });
                before = space.link_to(at);
                at = Self::next(space, block);
            }
        }
        Ok(())
    }
}

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

use core::hint::select_unpredictable;

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

/// A bin, by its number: at most [`Bins::LAST`], because nothing but the bins makes one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Bin(u32);

impl Bin {
    #[inline]
    fn level(self) -> usize {
        self.0 as usize / STEPS
    }

    #[inline]
    fn step(self) -> usize {
        self.0 as usize % STEPS
    }
}

/// The bins of a heap: `132 * LEVELS + 8` bytes.
#[derive(Clone, Debug)]
pub(super) struct Bins<const LEVELS: usize> {
    nowhere: u32,
    levels: u32,
    steps: [u32; LEVELS],
    heads: [[u32; STEPS]; LEVELS],
}

impl<const LEVELS: usize> Bins<LEVELS> {
    /// Bins without blocks.
    pub(super) const NEW: Self = {
        assert!(LEVELS >= 2 && LEVELS <= 28, "bins have 2 to 28 levels");
        Self { nowhere: 0, levels: 0, steps: [0; LEVELS], heads: [[0; STEPS]; LEVELS] }
    };

    /// The last bin, which holds everything that is too large for it as well.
    pub(super) const LAST: Bin = Bin((LEVELS * STEPS - 1) as u32);

    /// The bin of blocks of `units` units.
    ///
    /// Without a branch: `shift` is 0 up to 63 units, where each number has its own bin, and grows by one with each power of two.
    #[inline]
    pub(super) fn bin_of(units: usize) -> Bin {
        let shift = (units | STEPS).ilog2() - STEPS_LOG2;
        let bin = shift as usize * STEPS + (units >> shift);
        Bin(bin.min(LEVELS * STEPS - 1) as u32)
    }

    /// The least number of units of which each block in the bin of that many, or in any above, has at least `units`.
    #[inline]
    pub(super) fn round_up(units: usize) -> usize {
        let shift = (units | STEPS).ilog2() - STEPS_LOG2;
        units + (1 << shift) - 1
    }

    /// The first bin that has blocks, from `bin` up.
    #[inline]
    pub(super) fn first_from(&self, bin: Bin) -> Option<Bin> {
        let level = bin.level();
        // SAFETY: the invariant of `Bin`.
        let here = unsafe { self.steps.get_unchecked(level) } & (u32::MAX << bin.step());
        if here != 0 {
            return Some(Bin((level * STEPS) as u32 + here.trailing_zeros()));
        }
        // `level` is at most 27.
        let above = self.levels & (u32::MAX << (level + 1));
        if above == 0 {
            return None;
        }
        let level = above.trailing_zeros() as usize;
        // SAFETY: bits of `levels` are set for levels that there are.
        let steps = unsafe { self.steps.get_unchecked(level) };
        // A level that is marked has steps that are; `min` keeps a damaged one inside.
        Some(Bin((level * STEPS) as u32 + steps.trailing_zeros().min(STEPS as u32 - 1)))
    }

    /// Whether all blocks of a bin have one size. The last bin's don't, wherever it lies.
    #[inline]
    pub(super) fn is_exact(bin: Bin) -> bool {
        (bin.0 as usize) < 2 * STEPS && bin != Self::LAST
    }

    /// The bin after `bin`, if there is one.
    #[inline]
    pub(super) fn after(bin: Bin) -> Option<Bin> {
        (bin != Self::LAST).then_some(Bin(bin.0 + 1))
    }

    #[inline]
    fn head_mut(&mut self, bin: Bin) -> &mut u32 {
        // SAFETY: the invariant of `Bin`; a step is less than 32.
        unsafe { self.heads.get_unchecked_mut(bin.level()).get_unchecked_mut(bin.step()) }
    }

    /// The first block of a bin.
    #[inline]
    pub(super) fn head<C: Config>(&self, space: &Space<C>, bin: Bin) -> Option<Block> {
        // SAFETY: as for `head_mut`.
        space.follow(unsafe { *self.heads.get_unchecked(bin.level()).get_unchecked(bin.step()) })
    }

    /// The block after `block` in its bin.
    #[inline]
    pub(super) fn next<C: Config>(space: &Space<C>, block: Block) -> Option<Block> {
        space.follow(block.link(NEXT))
    }

    /// Where the link of the block at the other end of a link is to be written; a place that nobody reads, if there is no such block.
    ///
    /// For a block that leaves, whether another follows it can't be predicted, since bins are short: choosing a place and writing there in
    /// any case costs less than a branch. Elsewhere branches did better.
    #[inline]
    fn link_at<C: Config>(&mut self, space: &Space<C>, link: u32, index: usize) -> *mut u32 {
        select_unpredictable(link != 0, space.link_place(link, index), &raw mut self.nowhere)
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
                // SAFETY: the invariant of `Bin`.
                unsafe { *self.steps.get_unchecked_mut(bin.level()) |= 1 << bin.step() };
                self.levels |= 1 << bin.level();
            }
        }
    }

    /// Takes a block out of the bin of its size.
    #[inline]
    pub(super) fn remove<C: Config>(&mut self, space: &Space<C>, block: Block, size: usize) {
        let (next, prev) = (block.link(NEXT), block.link(PREV));
        // SAFETY: the place is the link of a block in this bin, or `nowhere`.
        unsafe { self.link_at(space, next, PREV).write(prev) };
        if let Some(prev) = space.follow(prev) {
            prev.set_link(NEXT, next);
            return;
        }
        let bin = Self::bin_of(size / C::ALIGN);
        *self.head_mut(bin) = next;
        if next == 0 {
            // SAFETY: the invariant of `Bin`.
            let steps = unsafe { self.steps.get_unchecked_mut(bin.level()) };
            *steps &= !(1 << bin.step());
            if *steps == 0 {
                self.levels &= !(1 << bin.level());
            }
        }
    }

    /// Moves a block to the bin of its new size, if that is another one.
    #[inline]
    pub(super) fn resize<C: Config>(&mut self, space: &Space<C>, block: Block, old: usize, new: usize) {
        if Self::bin_of(old / C::ALIGN) != Self::bin_of(new / C::ALIGN) {
            self.remove(space, block, old);
            self.insert(space, block, new);
        }
    }

    /// Puts `new` in the place of `old`, or into the bin of its size, if that is another one.
    #[inline]
    pub(super) fn replace<C: Config>(
        &mut self,
        space: &Space<C>,
        old: Block,
        old_size: usize,
        new: Block,
        size: usize,
    ) {
        let bin = Self::bin_of(size / C::ALIGN);
        if Self::bin_of(old_size / C::ALIGN) != bin {
            self.remove(space, old, old_size);
            self.insert(space, new, size);
            return;
        }
        let (next, prev) = (old.link(NEXT), old.link(PREV));
        let link = space.link_to(Some(new));
        new.set_link(NEXT, next);
        new.set_link(PREV, prev);
        // SAFETY: as in `remove`.
        unsafe { self.link_at(space, next, PREV).write(link) };
        match space.follow(prev) {
            Some(prev) => prev.set_link(NEXT, link),
            None => *self.head_mut(bin) = link,
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
        for bin in (0..=Self::LAST.0).map(Bin) {
            let (level, step) = (bin.level(), bin.step());
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
                visit(block, Place { list: bin.0 as usize, ..Place::default() });
                before = space.link_to(at);
                at = Self::next(space, block);
            }
        }
        Ok(())
    }
}

//! The audit: every invariant of a heap, each with a name.
//!
//! It reads only memory of the heap, follows no link before it looked where it leads, and ends, whatever was written where. The
//! order matters: first each header for itself, then the tiling, then neighbours, then the free index, then the sums; so the
//! first violation named is the cause and not a consequence.

use core::fmt;

use cairn_core::audit::Broken;

use crate::block::Block;
use crate::config::Config;
use crate::header::WORD;
use crate::heap::Heap;
use crate::placement::Placement;
use crate::source::Source;
use crate::space::{Segment, Space};

/// What must hold in a heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Invariant {
    /// Segments lie behind each other, each with a record that is whole and its mark within its memory.
    Segments,
    /// A header carries the check of its address and size.
    HeaderCheck,
    /// A size is a multiple of the alignment and at least the smallest block's.
    Size,
    /// Blocks tile their segment: the last one ends where the segment's blocks end.
    Tiling,
    /// The mark at the end of a segment says: size 0, used.
    EndMark,
    /// The previous-used flag of a header tells whether the block before it is used.
    PreviousUsed,
    /// The footer of a free block repeats its size.
    Footer,
    /// No two free blocks are neighbours.
    FreeNeighbours,
    /// Each link of the free index leads to a free block of the heap.
    IndexLink,
    /// Links to and fro agree.
    IndexLinks,
    /// The free index is in its order: by address, or by size and address.
    IndexOrder,
    /// A block is in the bin of its size.
    IndexBin,
    /// A bin's bit is set if and only if it has blocks.
    IndexBitmap,
    /// A tree is balanced and knows its heights.
    IndexBalance,
    /// Each free block is in the free index exactly once.
    IndexComplete,
    /// The top is the free block at the end of the last segment, and there is none if the last block is used.
    Top,
    /// Each waiting block is in the list of its size exactly once, and nothing else is.
    Waiting,
    /// The counted blocks and bytes add up.
    Totals,
}

impl Invariant {
    /// The invariant as a sentence that says how it is violated.
    pub fn sentence(self) -> &'static str {
        match self {
            Invariant::Segments => {
                "a segment's record has been overwritten, or it does not lie behind the one before"
            }
            Invariant::HeaderCheck => "a header has been overwritten: its check is wrong",
            Invariant::Size => "a size is no multiple of the alignment or less than the smallest block's",
            Invariant::Tiling => "a block reaches beyond the end of its segment",
            Invariant::EndMark => "the mark at the end of a segment has been overwritten",
            Invariant::PreviousUsed => "a header is wrong about whether the block before it is used",
            Invariant::Footer => "the footer of a free block differs from its header",
            Invariant::FreeNeighbours => "two free blocks are neighbours",
            Invariant::IndexLink => "a link of the free index leads to something that is not a free block",
            Invariant::IndexLinks => "the links of the free index don't agree with each other",
            Invariant::IndexOrder => "the free index is out of order",
            Invariant::IndexBin => "a free block is in a bin of another size",
            Invariant::IndexBitmap => "the bitmap is wrong about which bins have blocks",
            Invariant::IndexBalance => "the tree is out of balance, or a height is wrong",
            Invariant::IndexComplete => "a free block is not in the free index",
            Invariant::Top => "the top of the heap is not the free block at its end",
            Invariant::Waiting => {
                "a block that waits to be coalesced is not in the list of its size exactly once"
            }
            Invariant::Totals => "the counted blocks and bytes differ from those that are there",
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sentence())
    }
}

/// The first invariant that does not hold, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// The address of the word that shows it, or 0 if no single word does.
    pub address: usize,
    /// The payload address of the block concerned, or 0.
    pub block: usize,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.invariant.fmt(f)?;
        if self.address != 0 {
            write!(f, ", at {:#x}", self.address)?;
        }
        if self.block != 0 {
            write!(f, ", block {:#x}", self.block)?;
        }
        Ok(())
    }
}

impl core::error::Error for Violation {}

impl Violation {
    /// A violation that shows at a block's header.
    pub(crate) fn at(invariant: Invariant, block: Block) -> Self {
        Self { invariant, address: block.address() - WORD, block: block.address() }
    }

    /// A violation that shows at no single block.
    pub(crate) fn whole(invariant: Invariant) -> Self {
        Self { invariant, address: 0, block: 0 }
    }

    /// A violation that shows in a free block's links, which its payload begins with.
    pub(crate) fn links(invariant: Invariant, block: Block) -> Self {
        Self { invariant, address: block.address(), block: block.address() }
    }

    /// A link of `from`, or of the policy itself, that leads to no free block.
    pub(crate) fn link(from: Option<Block>) -> Self {
        from.map_or(Self::whole(Invariant::IndexLink), |from| Self::links(Invariant::IndexLink, from))
    }

    /// What the core's audit of a list or tree found.
    pub(crate) fn of_index<C: Config>(broken: Broken<Block>, space: &Space<C>) -> Self {
        let invariant = match broken.what {
            "a node is out of balance" | "a height is wrong" | "a child is as high as its parent" => {
                Invariant::IndexBalance
            }
            "a node is not less than its successor" => Invariant::IndexOrder,
            "fewer nodes are linked than the tree claims to have" => Invariant::IndexComplete,
            what if what.starts_with("a link leads out") => Invariant::IndexLink,
            _ => Invariant::IndexLinks,
        };
        // The audit of a list or tree whose very first link is damaged names where that leads, which is no block.
        match broken.node.filter(|&node| space.is_free_block(node)) {
            Some(node) => Self::links(invariant, node),
            None => Self::whole(invariant),
        }
    }
}

/// What a heap holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Bytes taken from the source.
    pub extent: usize,
    /// Blocks of the program.
    pub used_blocks: usize,
    /// Bytes of these blocks, headers included.
    pub used_bytes: usize,
    /// Blocks that are free, and not waiting.
    pub free_blocks: usize,
    /// Bytes of these blocks.
    pub free_bytes: usize,
    /// The largest of them.
    pub largest_free: usize,
    /// Blocks that wait to be coalesced.
    pub waiting_blocks: usize,
    /// Bytes of these blocks.
    pub waiting_bytes: usize,
}

impl<S: Source, P: Placement, C: Config> Heap<S, P, C> {
    /// Audits the whole heap: what it holds, or the first invariant that does not hold. Its time is proportional to the number of
    /// blocks.
    pub fn check(&self) -> Result<Totals, Violation> {
        let mut totals = Totals { extent: self.space.extent, ..Totals::default() };
        let mut extent = 0;
        let mut free_sum = 0;
        let mut last_end = 0;
        let mut last = None;
        for segment in self.space.segments() {
            if segment.start() < last_end
                || segment.stop() > segment.end()
                || segment.stop() < segment.first::<C>()
                || !segment.stop().is_multiple_of(C::ALIGN)
            {
                let address = segment.start();
                return Err(Violation { invariant: Invariant::Segments, address, block: 0 });
            }
            last_end = segment.end();
            last = Some(segment);
            extent += segment.end() - segment.start();
            self.check_segment(segment, &mut totals, &mut free_sum)?;
        }
        if last != self.space.last_segment() {
            let address = self.space.broken_segment(last);
            return Err(Violation { invariant: Invariant::Segments, address, block: 0 });
        }
        self.check_index(&totals, free_sum)?;
        self.check_waiting(&totals)?;
        if self.space.used_bytes != totals.used_bytes || extent != totals.extent {
            return Err(Violation::whole(Invariant::Totals));
        }
        Ok(totals)
    }

    fn check_segment(
        &self,
        segment: Segment,
        totals: &mut Totals,
        free_sum: &mut usize,
    ) -> Result<(), Violation> {
        let mut at = segment.first::<C>();
        let mut before = None;
        while at < segment.stop() {
            // SAFETY: `at` is where the segment's first block begins or the one before ends, and in front of `stop`: a word of the heap
            // is there, and it is judged before anything is done with it.
            let block = unsafe { Block::at(at) };
            let header = block.header();
            let size = header.size();
            if !header.is_of(at) {
                return Err(Violation::at(Invariant::HeaderCheck, block));
            }
            if size < Self::SMALLEST || !size.is_multiple_of(C::ALIGN) {
                return Err(Violation::at(Invariant::Size, block));
            }
            if size > segment.stop() - at {
                return Err(Violation::at(Invariant::Tiling, block));
            }
            // SAFETY: the size was just judged: a block or the mark follows.
            let next = unsafe { block.plus(size) };
            if header.is_waiting() {
                totals.waiting_blocks += 1;
                totals.waiting_bytes += size;
            } else if header.is_used() {
                totals.used_blocks += 1;
                totals.used_bytes += size;
            } else {
                totals.free_blocks += 1;
                totals.free_bytes += size;
                *free_sum = free_sum.wrapping_add(at);
                totals.largest_free = totals.largest_free.max(size);
                if before == Some(false) {
                    return Err(Violation::at(Invariant::FreeNeighbours, block));
                }
                // SAFETY: the block is free, so its last word, in front of the next header, is its footer.
                if unsafe { next.footer_before() } != size {
                    return Err(Violation {
                        address: next.address() - 2 * WORD,
                        ..Violation::at(Invariant::Footer, block)
                    });
                }
            }
            if header.previous_used() != before.unwrap_or(true) {
                return Err(Violation::at(Invariant::PreviousUsed, block));
            }
            before = Some(header.is_used());
            at += size;
        }
        // SAFETY: a segment's blocks are followed by a word, which should be the mark.
        let mark = unsafe { Block::at(segment.stop()) };
        let header = mark.header();
        if !header.is_of(mark.address()) || header.size() != 0 || !header.is_live() {
            return Err(Violation::at(Invariant::EndMark, mark));
        }
        if header.previous_used() != before.unwrap_or(true) {
            return Err(Violation::at(Invariant::PreviousUsed, mark));
        }
        Ok(())
    }

    /// `free_sum` is the sum of all free blocks' addresses.
    fn check_index(&self, totals: &Totals, free_sum: usize) -> Result<(), Violation> {
        let top = self.space.top();
        let top_size = self.space.top_size();
        // The walk over the blocks has been through: the mark is sound, and a free block before it has its footer.
        if let Some(last) = self.space.last_segment() {
            // SAFETY: the mark is there.
            let mark = unsafe { Block::at(last.stop()) };
            let before = if mark.header().previous_used() { None } else { self.previous(mark) };
            if before != top {
                return Err(Violation::at(Invariant::Top, before.unwrap_or(mark)));
            }
        }
        let (mut blocks, mut bytes) = (usize::from(top.is_some()), top_size);
        let mut sum = top.map_or(0, Block::address);
        self.policy.audit(&self.space, &mut |block, _| {
            blocks += 1;
            bytes += block.header().size();
            sum = sum.wrapping_add(block.address());
        })?;
        // None is twice among the members (links agree), so equal numbers mean equal sets, if all members are blocks. One that lies in
        // another block, and only looks like one, is betrayed by the sum.
        if (blocks, bytes, sum) == (totals.free_blocks, totals.free_bytes, free_sum) {
            return Ok(());
        }
        Err(Violation::whole(Invariant::IndexComplete))
    }

    fn check_waiting(&self, totals: &Totals) -> Result<(), Violation> {
        let (blocks, bytes) = self.waiting.audit(&self.space).map_err(|block| match block {
            Some(block) => Violation::at(Invariant::Waiting, block),
            None => Violation::whole(Invariant::Waiting),
        })?;
        if (blocks, bytes) == (totals.waiting_blocks, totals.waiting_bytes) {
            return Ok(());
        }
        Err(Violation::whole(Invariant::Waiting))
    }
}

#[cfg(test)]
mod tests {
    //! What no byte of the heap's memory can break, because it is kept in the heap itself. Everything else: `tests/invariants.rs`.

    use core::alloc::Layout;
    use core::mem::size_of_val;
    use std::vec;

    use super::*;
    use crate::{BestFitTree, Carve, FirstFit, Region, Segregated, TwoLevel};

    /// Blocks lie in the order in which they are asked for.
    #[derive(Debug)]
    struct Low;
    impl Config for Low {
        const CARVE: Carve = Carve::Low;
        type Meter = ();
    }

    /// A heap with used and free blocks of several sizes.
    fn heap<P: Placement>() -> Heap<Region, P, Low> {
        let mut heap = Heap::new(Region::new(vec![0; 20_000].leak()));
        let mut blocks = vec![];
        for size in [24, 100, 24, 600, 1000, 24, 1000, 24, 5000, 24] {
            blocks.push(heap.allocate(Layout::from_size_align(size, 8).unwrap()).unwrap());
        }
        for index in [1, 3, 6, 8] {
            // SAFETY: each of the blocks is freed once, and nobody uses them.
            unsafe { heap.deallocate(blocks[index]) }.unwrap();
        }
        assert_eq!(heap.check().unwrap().free_blocks, 5);
        heap
    }

    /// Flips each bit of the policy's own memory, and puts it back: what the audit finds each time.
    fn flipped<P: Placement>() -> vec::Vec<Result<Totals, Violation>> {
        let mut heap = heap::<P>();
        let bytes = size_of_val(&heap.policy);
        let mut found = vec![];
        // Miri looks at some of them.
        for bit in (0..8 * bytes).step_by(if cfg!(miri) { 501 } else { 1 }) {
            let flip = |policy: &mut P| {
                // SAFETY: the byte is one of the policy's, of integers without forbidden values.
                unsafe { *(&raw mut *policy).cast::<u8>().add(bit / 8) ^= 1 << (bit % 8) };
            };
            flip(&mut heap.policy);
            found.push(heap.check());
            flip(&mut heap.policy);
        }
        assert!(heap.check().is_ok());
        found
    }

    #[test]
    fn index_bitmap() {
        for found in [flipped::<Segregated>(), flipped::<TwoLevel<4>>()] {
            let (mut bitmap, mut unread) = (0, 0);
            for result in found {
                // Links of 32 bits have some to spare on 32 bits: they lead to the same block.
                if cfg!(target_pointer_width = "32") && result.is_ok() {
                    continue;
                }
                let Err(violation) = result else {
                    unread += 1;
                    continue;
                };
                match violation.invariant {
                    Invariant::IndexBitmap => bitmap += 1,
                    // The head of a bin leads to no free block, or to another one.
                    Invariant::IndexLink => assert_eq!((violation.address, violation.block), (0, 0)),
                    Invariant::IndexLinks | Invariant::IndexBin => assert_ne!(violation.block, 0),
                    other => panic!("{other:?}: {violation}"),
                }
            }
            assert!(unread <= 32, "all but one word, which is written and never read, are needed: {unread}");
            assert!(bitmap > if cfg!(miri) { 1 } else { 32 * 4 }, "{bitmap}");
        }
    }

    #[test]
    fn totals() {
        let mut heap = heap::<FirstFit>();
        let expected = Err(Violation::whole(Invariant::Totals));
        heap.space.used_bytes -= 16;
        assert_eq!(heap.check(), expected);
        heap.space.used_bytes += 16;
        heap.space.extent -= 4096;
        assert_eq!(heap.check(), expected);
        heap.space.extent += 4096;
        assert!(heap.check().is_ok());
    }

    #[test]
    fn top() {
        let mut heap = heap::<BestFitTree>();
        let top = heap.space.top().unwrap();
        heap.space.clear_top();
        assert_eq!(heap.check(), Err(Violation::at(Invariant::Top, top)));
        heap.space.set_top(top.address() - 32);
        assert_eq!(heap.check(), Err(Violation::at(Invariant::Top, top)));
        heap.space.set_top(top.address());
        assert!(heap.check().is_ok());
    }

    #[test]
    fn every_invariant_has_a_sentence_of_its_own() {
        use Invariant::{
            EndMark, Footer, FreeNeighbours, HeaderCheck, IndexBalance, IndexBin, IndexBitmap, IndexComplete,
            IndexLink, IndexLinks, IndexOrder, PreviousUsed, Segments, Size, Tiling, Top, Waiting,
        };
        let all = [
            Segments,
            HeaderCheck,
            Size,
            Tiling,
            EndMark,
            PreviousUsed,
            Footer,
            FreeNeighbours,
            IndexLink,
            IndexLinks,
            IndexOrder,
            IndexBin,
            IndexBitmap,
            IndexBalance,
            IndexComplete,
            Top,
            Waiting,
            Invariant::Totals,
        ];
        let sentences: std::collections::BTreeSet<_> =
            all.iter().map(|invariant| invariant.sentence()).collect();
        assert_eq!(sentences.len(), all.len());
    }
}

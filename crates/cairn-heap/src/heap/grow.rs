//! The heap's upper end: taking memory from the source, and giving it back.

use crate::block::{Block, round_up};
use crate::config::Config;
use crate::fault::Error;
use crate::heap::Heap;
use crate::meter::Meter;
use crate::placement::Placement;
use crate::source::Source;
use crate::space::{Segment, Space};

impl<S: Source, P: Placement, C: Config> Heap<S, P, C> {
    /// A free block of at least `need` bytes, which no block of the index has, from the source.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]. The heap may have grown nevertheless: the pieces that came stay in it as free blocks.
    #[cold]
    pub(super) fn grow_slow(&mut self, need: usize) -> Result<Block, Error> {
        // Each turn the source gives something, or the loop ends.
        loop {
            // A policy with constant time may have passed over the last block though it is large enough.
            if let Some((tail, _)) = self.tail().filter(|&(_, size)| size >= need) {
                return Ok(tail);
            }
            let least = self.missing(need);
            let step = C::GROW_MIN.max(self.space.extent >> C::GROW_SHIFT);
            self.take_piece(least, round_up(least.max(step), C::ALIGN))?;
        }
    }

    /// Lets the last block grow in place: true if `block`, the last one, now has `need` bytes behind it as one free block and
    /// itself. No block of the index is touched if not.
    pub(super) fn extend_last(&mut self, missing: usize) -> bool {
        let contiguous = |heap: &mut Self| {
            let position = heap.source.position();
            heap.space.last_segment().is_some_and(|last| position == Some(last.end()))
        };
        // A piece may be smaller than what is missing; the next one then follows it.
        while contiguous(self) {
            let tail = self.tail();
            let has = tail.map_or(0, |(_, size)| size);
            if has >= missing && has > 0 {
                return true;
            }
            let least = (missing - has).max(if has == 0 { Self::SMALLEST } else { C::ALIGN });
            let step = C::GROW_MIN.max(self.space.extent >> C::GROW_SHIFT);
            let wish = round_up(least.max(step), C::ALIGN);
            if self.take_piece(least, wish).is_err() {
                return false;
            }
        }
        false
    }

    /// The free block at the end of the last segment, if the last block is free.
    pub(super) fn tail(&self) -> Option<(Block, usize)> {
        let last = self.space.last_segment()?;
        // SAFETY: the mark is there.
        let mark = unsafe { Block::at(last.stop()) };
        if mark.header().previous_used() {
            return None;
        }
        let block = self.previous(mark)?;
        Some((block, last.stop() - block.address()))
    }

    /// Bytes to ask of the source so that the last free block has `need` bytes: only what is missing, if the next piece will
    /// touch it.
    fn missing(&mut self, need: usize) -> usize {
        let position = self.source.position();
        match self.space.last_segment() {
            Some(last) if position == Some(last.end()) => {
                let tail = self.tail().map_or(0, |(_, size)| size);
                // Up to the alignment less one of the bytes behind the mark are there already.
                let missing = if tail == 0 { need } else { need - tail.min(need - C::ALIGN) };
                round_up(missing, C::ALIGN)
            }
            _ => need + Space::<C>::SEGMENT_COST,
        }
    }

    /// Takes one piece of memory into the heap: as a free block at its end, or as part of the one that is there.
    fn take_piece(&mut self, least: usize, wish: usize) -> Result<(), Error> {
        let lowest = self.source.lowest().ok_or(Error::OutOfMemory)?;
        let piece = self.source.grow(least, wish).ok_or(Error::OutOfMemory)?;
        if !self.space.reaches(lowest, piece.end) {
            // SAFETY: the piece came this moment, and nothing has been written to it.
            unsafe { self.source.shrink(piece.end, piece.len()) };
            return Err(Error::OutOfMemory);
        }
        self.space.meter().grow();
        if let Some(last) = self.space.last_segment().filter(|last| last.end() == piece.start) {
            self.extend(last, piece.end);
            return Ok(());
        }
        let Some((first, stop)) = self.space.add_segment(lowest, piece.start, piece.end, Self::SMALLEST)
        else {
            return Ok(());
        };
        // SAFETY: the range is the new segment's, behind its record and in front of its mark.
        let block = unsafe { Block::at(first) };
        // SAFETY: as above; it has at least the smallest block's size.
        unsafe { block.set_free(stop - first) };
        self.tell_next(block, stop - first, false);
        self.policy.insert(&self.space, block, stop - first);
        Ok(())
    }

    /// Extends the last segment to `end`: what is new becomes a free block, or part of the last one if that is free.
    fn extend(&mut self, last: Segment, end: usize) {
        let old_stop = last.stop();
        let stop = end & !(C::ALIGN - 1);
        self.space.move_end(last, end);
        let tail = self.tail();
        let start = tail.map_or(old_stop, |(block, _)| block.address());
        if stop == old_stop || stop - start < Self::SMALLEST {
            return;
        }
        if let Some((block, size)) = tail {
            self.policy.remove(&self.space, block, size);
            // SAFETY: the mark is there. It comes to lie inside of the free block, and must not look like one itself.
            let mark = unsafe { Block::at(old_stop) };
            mark.set_header(mark.header().stale());
        }
        self.space.move_stop(last, stop, false);
        // SAFETY: from the last free block, or where the mark was, to where it is now.
        let block = unsafe { Block::at(start) };
        // SAFETY: as above.
        unsafe { block.set_free(stop - start) };
        self.policy.insert(&self.space, block, stop - start);
    }

    /// Gives the top of the heap back to the source if `block`, which is free and in the index, is the last one and large enough.
    #[inline]
    pub(super) fn trim(&mut self, block: Block, size: usize) {
        let enough = size >= C::TRIM_MIN && (C::TRIM_MIN == 0 || size >= self.space.extent / 8);
        if enough && self.space.ends_at(block.address() + size) {
            self.trim_slow(block, size);
        }
    }

    #[cold]
    fn trim_slow(&mut self, block: Block, size: usize) {
        let Some(last) = self.space.last_segment() else { return };
        let (start, end) = (block.address(), last.end());
        self.policy.remove(&self.space, block, size);
        // A segment without blocks goes back with its record.
        let whole = start == last.first::<C>();
        let from = if whole { last.start() } else { start };
        // SAFETY: the mark is there.
        let mark = unsafe { Block::at(last.stop()) };
        let header = mark.header();
        // What the source gives again one day must not look like a block.
        mark.set_header(header.stale());
        // SAFETY: behind `from` there is the free block, the mark, and bytes that nobody uses.
        let taken = unsafe { self.source.shrink(end, end - from) };
        if !taken {
            mark.set_header(header);
            self.policy.insert(&self.space, block, size);
            return;
        }
        self.space.meter().shrink();
        if whole {
            self.space.drop_last(end - from);
        } else {
            self.space.move_end(last, start);
            self.space.move_stop(last, start, true);
        }
    }
}

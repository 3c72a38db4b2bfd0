//! The heap's upper end: taking memory from the source, and giving it back.

use crate::block::{Block, round_down, round_up};
use crate::config::Config;
use crate::fault::Error;
use crate::header::Header;
use crate::heap::Heap;
use crate::meter::Meter;
use crate::placement::Placement;
use crate::source::Source;
use crate::space::{Segment, Space};

impl<S: Source, P: Placement, C: Config> Heap<S, P, C> {
    /// Makes the top at least `need` bytes large.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`]. The heap may have grown nevertheless: the pieces that came stay in it as free blocks.
    #[cold]
    pub(super) fn grow_slow(&mut self, need: usize) -> Result<(), Error> {
        // Each turn the source gives something, or the loop ends.
        while self.space.top_size() < need {
            let missing =
                if self.is_contiguous() { self.missing(need) } else { need + Space::<C>::SEGMENT_COST };
            self.take_piece(missing)?;
        }
        Ok(())
    }

    /// Lets the last block grow in place: true if behind it there now is a top of at least `need` bytes.
    pub(super) fn extend_last(&mut self, need: usize) -> bool {
        let last = self.space.last_segment();
        // A piece may be smaller than what is missing; the next one then follows it.
        while self.space.top_size() < need {
            if !self.is_contiguous() || self.take_piece(self.missing(need)).is_err() {
                return false;
            }
            // Somebody else moved the program break in this very moment: the piece began a new segment, and the top is there.
            if self.space.last_segment() != last {
                return false;
            }
        }
        true
    }

    /// Whether the next piece will touch the last segment, as far as one can know.
    fn is_contiguous(&mut self) -> bool {
        let position = self.source.position();
        self.space.last_segment().is_some_and(|last| position == Some(last.end()))
    }

    /// What the top lacks of `need` bytes, if the next piece touches it. Up to the alignment less one of it may be there already.
    fn missing(&self, need: usize) -> usize {
        let least =
            if self.space.top_size() == 0 { need.max(Self::SMALLEST) } else { need - self.space.top_size() };
        round_up(least, C::ALIGN)
    }

    /// Takes one piece of memory into the heap, at least `least` bytes if the source has them: as its top, or as part of the top that
    /// is there.
    fn take_piece(&mut self, least: usize) -> Result<(), Error> {
        // A new segment would be linked to the last one's record, and make it look whole again.
        if self.space.last_segment().is_some_and(|last| !last.is_whole()) {
            return Err(Error::OutOfMemory);
        }
        let step = C::GROW_MIN.max(self.space.extent.checked_shr(C::GROW_SHIFT).unwrap_or(0));
        // No wish is larger than half of the greatest heap: so `GROW_MIN` may be the largest number, for "all there is".
        let wish = round_up(least.max(step.min(Space::<C>::BLOCK_LIMIT / 2)), C::ALIGN);
        let lowest = self.source.lowest().ok_or(Error::OutOfMemory)?;
        let piece = self.source.grow(least, wish).ok_or(Error::OutOfMemory)?;
        if !self.space.reaches(lowest, piece.end) {
            // SAFETY: the piece came this moment, and nothing has been written to it.
            unsafe { self.source.shrink(piece.end, piece.len()) };
            return Err(Error::OutOfMemory);
        }
        self.space.meter().grow();
        match self.space.last_segment().filter(|last| last.end() == piece.start) {
            Some(last) => self.extend(last, piece.end),
            None => self.begin_segment(lowest, piece.start, piece.end),
        }
        Ok(())
    }

    /// Makes a segment of `start..end`, and its blocks the top. The old top goes into the index.
    fn begin_segment(&mut self, lowest: usize, start: usize, end: usize) {
        let old_top = self.space.top().map(|top| (top, self.space.top_size()));
        let Some((first, stop)) = self.space.add_segment(lowest, start, end, Self::SMALLEST) else {
            return;
        };
        if let Some((top, size)) = old_top {
            self.policy.insert(&self.space, top, size);
        }
        self.make_top(first, stop);
    }

    /// Extends the last segment to `end`: what is new becomes the top, or part of it.
    fn extend(&mut self, last: Segment, end: usize) {
        let old_stop = last.stop();
        let stop = round_down(end, C::ALIGN);
        self.space.move_end(last, end);
        let start = self.space.top().map_or(old_stop, Block::address);
        if stop == old_stop || stop - start < Self::SMALLEST {
            return;
        }
        if start != old_stop {
            // SAFETY: the mark is there. It comes to lie inside of the top, and must not look like a block itself.
            let mark = unsafe { Block::at(old_stop) };
            mark.set_header(Header::GONE);
        }
        self.space.move_stop(last, stop, false);
        self.make_top(start, stop);
    }

    /// Makes `start..stop` the top: memory of the last segment in front of its mark, without blocks.
    fn make_top(&mut self, start: usize, stop: usize) {
        // SAFETY: the range is the last segment's, behind its record or a used block.
        let top = unsafe { Block::at(start) };
        // SAFETY: as above; it has at least the smallest block's size.
        unsafe { top.set_free(stop - start) };
        self.tell_next(top, stop - start, false);
        self.space.set_top(start);
    }

    /// Gives the top back to the source if it is large enough.
    #[inline]
    pub(super) fn trim(&mut self) {
        let size = self.space.top_size();
        if size >= C::TRIM_MIN.max(1) && (C::TRIM_MIN == 0 || size >= self.space.extent / 8) {
            self.trim_slow();
        }
    }

    #[cold]
    fn trim_slow(&mut self) {
        let (Some(last), Some(top)) = (self.space.last_segment(), self.space.top()) else { return };
        // A record that was overwritten says nothing true about what may go back, or about what stays.
        if self.space.segments().last() != Some(last) {
            return;
        }
        let (start, end) = (top.address(), last.end());
        // A segment without blocks goes back with its record.
        let whole = start == last.first::<C>();
        let from = if whole { last.start() } else { start };
        // SAFETY: the mark is there.
        let mark = unsafe { Block::at(last.stop()) };
        let header = mark.header();
        // What the source gives again one day must not look like a block.
        mark.set_header(Header::GONE);
        // SAFETY: behind `from` there is the top, the mark, and bytes that nobody uses.
        let taken = unsafe { self.source.shrink(end, end - from) };
        if !taken {
            mark.set_header(header);
            return;
        }
        self.space.meter().shrink();
        if whole {
            self.space.drop_last(end - from);
            self.adopt_top();
        } else {
            self.space.move_end(last, start);
            self.space.move_stop(last, start, true);
        }
    }

    /// The last segment is gone: if the one before ends with a free block, that is the top now.
    fn adopt_top(&mut self) {
        let Some(last) = self.space.last_segment() else { return };
        // SAFETY: the mark is there.
        let mark = unsafe { Block::at(last.stop()) };
        if mark.header().previous_used() {
            return;
        }
        // A damaged footer leaves the block in the index, which the audit will name.
        if let Some(block) = self.previous(mark) {
            self.policy.remove(&self.space, block, last.stop() - block.address());
            self.space.set_top(block.address());
        }
    }
}

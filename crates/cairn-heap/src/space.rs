//! The memory of a heap: its segments, and the way from a number to a block.
//!
//! ```text
//!  a segment: memory that the source gave in one piece or in pieces that touch
//!  │ record: next, stop, end │  │ block │ block │ block ......... │ block │ mark │ (less than the alignment) │
//!  ▲ segment                    ▲ first                                    ▲ stop                            ▲ end
//! ```
//! # Invariants
//! - Blocks tile a segment: the first begins at `first`, each next one where the one before ends, the last ends at `stop`, and the
//!   header of `stop` is the mark (size 0, used).
//! - A free block's neighbours are used (unless the heap defers coalescing: then they may wait, which counts as used).
//! - Segments are linked in the order in which they came, which is that of their addresses.
//! - The top is the free block at the end of the last segment, if the last block is free. It is in no policy's index: it is taken when
//!   nothing else fits, so that the heap's upper end stays free to grow, and to be given back.
//! - `base <= p < base + WINDOW` for each address of the heap, so a link of 32 bits reaches every block. Link 0 is none: at `base` lies a
//!   segment's record.

use core::marker::PhantomData;
use core::num::NonZeroUsize;

use crate::block::{Block, round_down, round_up, word};
use crate::config::Config;
use crate::fault::Fault;
use crate::header::{Header, SIZE_BITS, WORD};
use crate::meter::Meter;

/// The memory of a heap, as its policy sees it.
#[derive(Debug)]
pub struct Space<C: Config> {
    /// What links count from.
    base: usize,
    /// Where the first segment's blocks begin and the last one's end.
    low: usize,
    high: usize,
    /// Where the top begins, the free block at the end of the last segment; `high`, if there is none.
    top: usize,
    first: Option<Segment>,
    last: Option<Segment>,
    pub(crate) extent: usize,
    pub(crate) used_bytes: usize,
    meter: C::Meter,
    config: PhantomData<fn() -> C>,
}

/// A segment, by the address of its record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Segment(NonZeroUsize);

/// Words of a segment's record: the way to the next segment, `stop`, `end`.
const RECORD: usize = 3 * WORD;

impl Segment {
    fn get(self, index: usize) -> usize {
        // SAFETY: a `Segment` is made only for memory that begins with a record (`Space::add_segment`).
        unsafe { word(self.start() + index * WORD).read() }
    }

    /// The first word has the form of a header, whose size is the distance to the next segment, or 0. Its check covers the whole
    /// record, so no way leads out of the heap by a record that was overwritten.
    fn way(self) -> Header {
        // SAFETY: as for `get`; a `Header` is a word, of which every value is valid.
        unsafe { word(self.start()).cast::<Header>().read() }
    }

    /// What stands for this record in the check.
    fn key(self) -> usize {
        self.start() ^ self.stop().wrapping_mul(3) ^ self.end().wrapping_mul(5)
    }

    /// Writes the record.
    fn set(self, next: Option<Segment>, stop: usize, end: usize) {
        // SAFETY: as for `get`.
        unsafe {
            word(self.start() + WORD).write(stop);
            word(self.start() + 2 * WORD).write(end);
            let distance = next.map_or(0, |next| next.start() - self.start());
            word(self.start()).cast::<Header>().write(Header::used(self.key(), distance, true));
        }
    }

    /// Whether the record is as it was written: on 64 bits with a certainty of `1 - 2^-24`.
    pub(crate) fn is_whole(self) -> bool {
        self.way().is_of(self.key())
    }

    /// The segment that came after this one.
    fn next(self) -> Option<Segment> {
        let distance = self.way().size();
        self.0.checked_add(distance).filter(|_| distance != 0).map(Segment)
    }

    /// Where the blocks end: the payload address of the mark.
    pub(crate) fn stop(self) -> usize {
        self.get(1)
    }

    /// Where the source's memory ends.
    pub(crate) fn end(self) -> usize {
        self.get(2)
    }

    /// Where the source's memory begins, or up to the alignment less one behind.
    pub(crate) fn start(self) -> usize {
        self.0.get()
    }

    /// Where the blocks begin.
    pub(crate) fn first<C: Config>(self) -> usize {
        round_up(self.start() + RECORD + WORD, C::ALIGN)
    }
}

impl<C: Config> Space<C> {
    /// Bytes that a new segment needs beside its blocks, at most.
    pub(crate) const SEGMENT_COST: usize = RECORD + WORD + 3 * C::ALIGN;

    const ALIGN_SHIFT: u32 = C::ALIGN.trailing_zeros();

    /// The greatest distance from `base` that a link, and a header's size, can express, in bytes.
    pub(crate) const WINDOW: usize = {
        let links = 32 + Self::ALIGN_SHIFT;
        let bits = if links < SIZE_BITS { links } else { SIZE_BITS };
        if bits < usize::BITS { 1usize.wrapping_shl(bits) } else { usize::MAX }
    };

    /// No block is so large: a little is left for what a segment costs, and Rust has no objects larger than half of the address space.
    pub(crate) const BLOCK_LIMIT: usize =
        if Self::WINDOW < isize::MAX as usize { Self::WINDOW } else { isize::MAX as usize };

    pub(crate) const fn new() -> Self {
        Self {
            base: 0,
            low: 0,
            high: 0,
            top: 0,
            first: None,
            last: None,
            extent: 0,
            used_bytes: 0,
            meter: C::Meter::NEW,
            config: PhantomData,
        }
    }

    /// What counts the heap's work.
    #[inline]
    pub fn meter(&self) -> &C::Meter {
        &self.meter
    }

    /// Tells the meter that a search looks at a block.
    #[inline]
    pub fn step(&self) {
        self.meter.step();
    }

    /// The block that a link leads to.
    #[inline]
    pub(crate) fn follow(&self, link: u32) -> Option<Block> {
        let address = self.base.wrapping_add((link as usize) << Self::ALIGN_SHIFT);
        // SAFETY: links that are not 0 are written by `link_to`, for blocks of the free index. The audit also follows links that are
        // damaged, and asks whether a block is there; on 32 bits one may come round to address 0.
        (link != 0 && (usize::BITS > 32 || address != 0)).then(|| unsafe { Block::at(address) })
    }

    /// Where link `index` of the block lies to which `link` leads; for link 0 an address that must not be used.
    #[inline]
    pub(crate) fn link_place(&self, link: u32, index: usize) -> *mut u32 {
        let block = self.base.wrapping_add((link as usize) << Self::ALIGN_SHIFT);
        word(block).cast::<u32>().wrapping_add(index)
    }

    /// The link that leads to a block.
    #[inline]
    pub(crate) fn link_to(&self, block: Option<Block>) -> u32 {
        block.map_or(0, |block| ((block.address() - self.base) >> Self::ALIGN_SHIFT) as u32)
    }

    /// The segments, in order, as far as their records are whole.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Segment> {
        core::iter::successors(self.first_segment(), |&segment| self.next_segment(segment))
    }

    /// The first segment, if its record is whole.
    pub(crate) fn first_segment(&self) -> Option<Segment> {
        self.first.filter(|first| first.is_whole())
    }

    /// The segment behind one whose record is whole, if its own is.
    pub(crate) fn next_segment(&self, segment: Segment) -> Option<Segment> {
        // On 32 bits there is no check. Then at least the way leads upwards and not beyond the last one.
        let last = self.last?;
        segment.next().filter(|next| {
            next.start().is_multiple_of(C::ALIGN) && next.start() <= last.start() && next.is_whole()
        })
    }

    /// Where the record is that is not whole, behind the last one that is.
    pub(crate) fn broken_segment(&self, whole: Option<Segment>) -> usize {
        match whole {
            None => self.first.map_or(0, Segment::start),
            Some(whole) => whole.next().map_or(whole.start(), Segment::start),
        }
    }

    /// The segment that can grow.
    pub(crate) fn last_segment(&self) -> Option<Segment> {
        self.last
    }

    /// Where the last segment's blocks end.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.high
    }

    /// The size of the top in bytes; 0, if there is none.
    #[inline]
    pub(crate) fn top_size(&self) -> usize {
        self.high - self.top
    }

    /// The top, if there is one.
    #[inline]
    pub(crate) fn top(&self) -> Option<Block> {
        // SAFETY: the top is a block whenever its size is not 0.
        (self.top != self.high).then(|| unsafe { Block::at(self.top) })
    }

    /// The top now begins at `address`: at a free block that ends at the last segment's mark, or at that mark.
    #[inline]
    pub(crate) fn set_top(&mut self, address: usize) {
        self.top = address;
    }

    /// There is no top.
    #[inline]
    pub(crate) fn clear_top(&mut self) {
        self.top = self.high;
    }

    /// Whether the last segment's blocks end at `address`.
    #[inline]
    pub(crate) fn ends_at(&self, address: usize) -> bool {
        address == self.high
    }

    /// Whether a block can begin at an address: it is aligned, and lies where blocks are, so there is a word of the heap in front
    /// of it.
    #[inline]
    pub(crate) fn may_hold(&self, address: usize) -> bool {
        // `low` is aligned: an address that is not has low bits, which the rotation makes the highest.
        let distance = address.wrapping_sub(self.low).rotate_right(Self::ALIGN_SHIFT);
        distance < (self.high - self.low) >> Self::ALIGN_SHIFT
            && (self.first == self.last || self.segment_of(address).is_some())
    }

    /// The segment in whose range of blocks an address lies.
    fn segment_of(&self, address: usize) -> Option<Segment> {
        self.segments().find(|segment| (segment.first::<C>()..segment.stop()).contains(&address))
    }

    /// Whether a free block's header and footer stand where `block` says: the check for links that may be damaged.
    pub fn is_free_block(&self, block: Block) -> bool {
        let address = block.address();
        if !address.is_multiple_of(C::ALIGN) {
            return false;
        }
        let Some(segment) = self.segment_of(address) else { return false };
        let header = block.header();
        let size = header.size();
        if !header.is_of(address)
            || !header.is_free()
            || size < 2 * WORD + 8
            || size > segment.stop() - address
        {
            return false;
        }
        // SAFETY: the size was just judged, so this is a word of the segment.
        size.is_multiple_of(C::ALIGN) && unsafe { block.plus(size).footer_before() } == size
    }

    /// Whether `block` is a block of `size` bytes that waits to be coalesced.
    pub(crate) fn is_waiting_block(&self, block: Block, size: usize) -> bool {
        let address = block.address();
        if !address.is_multiple_of(C::ALIGN) || self.segment_of(address).is_none() {
            return false;
        }
        let header = block.header();
        header.is_of(address) && header.is_waiting() && header.size() == size
    }

    /// The live block whose payload begins at `address`, and its header.
    ///
    /// This is the only way from an address of the program to a block. Everything before the check of the header is there to
    /// read no memory that is not the heap's.
    #[inline]
    pub(crate) fn live_block(&self, address: usize) -> Option<(Block, Header)> {
        if self.may_hold(address) {
            // SAFETY: there is a word of the heap in front of the address. Whether it is a header is asked next.
            let block = unsafe { Block::at(address) };
            let header = block.header();
            if header.is_live_of(address) && self.is_size(address, header.size()) {
                return Some((block, header));
            }
        }
        None
    }

    /// Whether a block at `address`, where one [can be](Self::may_hold), can have this size: what follows it is memory of the heap. On 64
    /// bits the header's check says more, but on 32 bits it is all there is.
    #[inline]
    fn is_size(&self, address: usize, size: usize) -> bool {
        usize::BITS > 32 || (size != 0 && size.is_multiple_of(C::ALIGN) && size <= self.high - address)
    }

    /// What is wrong with an address that is not a live block: the heap is walked from the segment's beginning.
    #[cold]
    pub(crate) fn diagnose_slow(&self, address: usize) -> Fault {
        let Some(segment) = self.segment_of(address) else { return Fault::Foreign { address } };
        let mut at = segment.first::<C>();
        while at < segment.stop() {
            // SAFETY: `at` is where a block begins, as long as the headers so far are whole; it is not behind `stop`.
            let header = unsafe { Block::at(at) }.header();
            let size = header.size();
            if !header.is_of(at) || size == 0 || !size.is_multiple_of(C::ALIGN) || size > segment.stop() - at
            {
                return Fault::Corrupted { address, word: at - WORD };
            }
            if address < at + size {
                return match (address == at, header.is_live()) {
                    (true, true) => Fault::Corrupted { address, word: at - WORD },
                    // SAFETY: `at` is where a block begins.
                    (true, false) if header.is_waiting() || self.is_free_block(unsafe { Block::at(at) }) => {
                        Fault::DoubleFree { address }
                    }
                    // Neither live nor free: its flags are not what they were.
                    (true, false) => Fault::Corrupted { address, word: at - WORD },
                    _ if !address.is_multiple_of(C::ALIGN) => {
                        if header.is_live() {
                            Fault::Interior { address, block: at, size }
                        } else {
                            Fault::Misaligned { address, align: C::ALIGN }
                        }
                    }
                    (false, true) => Fault::Interior { address, block: at, size },
                    // Within a free block: it was joined with its neighbours, or the address never was a block.
                    (false, false) => Fault::DoubleFree { address },
                };
            }
            at += size;
        }
        Fault::Foreign { address }
    }

    /// Whether the memory `start..end` can belong to this heap: links must reach it.
    pub(crate) fn reaches(&self, lowest: usize, end: usize) -> bool {
        let base = if self.first.is_none() { round_down(lowest, C::ALIGN) } else { self.base };
        end.checked_sub(base).is_some_and(|distance| distance < Self::WINDOW)
    }

    /// Makes a segment of fresh memory and gives its range of blocks, which holds none yet: its mark is written, what is before
    /// it is for the caller to make a free block of. None if it is too small for a block of `smallest` bytes.
    pub(crate) fn add_segment(
        &mut self,
        lowest: usize,
        start: usize,
        end: usize,
        smallest: usize,
    ) -> Option<(usize, usize)> {
        let segment = Segment(NonZeroUsize::new(round_up(start, C::ALIGN))?);
        let stop = round_down(end, C::ALIGN);
        let first = segment.first::<C>();
        if stop < first + smallest {
            return None;
        }
        segment.set(None, stop, end);
        match self.last {
            None => {
                self.base = round_down(lowest, C::ALIGN);
                self.low = first;
                self.first = Some(segment);
            }
            Some(last) => last.set(Some(segment), last.stop(), last.end()),
        }
        self.last = Some(segment);
        // Without what lies in front of an unaligned segment: a source may take that back unasked, but not from here.
        self.extent += end - segment.start();
        self.move_stop(segment, stop, true);
        Some((first, stop))
    }

    /// The last segment now ends at `end`; its blocks end where they did.
    pub(crate) fn move_end(&mut self, segment: Segment, end: usize) {
        self.extent = self.extent + end - segment.end();
        segment.set(None, segment.stop(), end);
    }

    /// The last segment's blocks now end at `stop`; writes the mark. There is no top, until the caller makes one.
    pub(crate) fn move_stop(&mut self, segment: Segment, stop: usize, previous_used: bool) {
        segment.set(None, stop, segment.end());
        self.high = stop;
        self.top = stop;
        // SAFETY: the word in front of `stop` is the segment's, behind all its blocks.
        unsafe { Block::at(stop) }.set_header(Header::end(stop, previous_used));
    }

    /// Forgets the last segment, of `bytes` bytes, whose memory went back to the source whole.
    pub(crate) fn drop_last(&mut self, bytes: usize) {
        let mut before = None;
        let mut at = self.first;
        // The last one's record must not be read any more.
        while let Some(segment) = at.filter(|_| at != self.last) {
            before = at;
            at = segment.next();
        }
        self.extent -= bytes;
        self.last = before;
        match before {
            None => {
                self.first = None;
                (self.low, self.high, self.top) = (0, 0, 0);
            }
            Some(before) => {
                before.set(None, before.stop(), before.end());
                self.high = before.stop();
                self.top = self.high;
            }
        }
    }
}

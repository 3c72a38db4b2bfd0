//! The heap: allocate and free.
//!
//! ```text
//!  allocate   waiting list of the size? ──► policy.find ──► cut ──► used
//!                                             │ none
//!                                             ├─► join what waits, find again        (deferred coalescing)
//!                                             └─► grow: the last free block by what is missing    (grow)
//!  free       check the header ──► join with both neighbours ──► policy.insert ──► top free? give it back  (grow)
//!  realloc    (reallocate)
//! ```
//! Nothing is changed before everything that could fail has been asked: an error leaves the heap as it was.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::block::{Block, round_up};
use crate::config::{Carve, Coalesce, Config, Standard};
use crate::fault::{Error, Fault, Refusal};
use crate::header::{Header, WORD};
use crate::meter::Meter;
use crate::placement::Placement;
use crate::source::Source;
use crate::space::Space;
use crate::waiting::Waiting;

mod grow;
mod reallocate;

/// The mean forgets with a half-life of 0.7 times 2 to this power requests.
const MEAN_SHIFT: u32 = 7;

/// A heap over one source of memory, with one placement policy.
///
/// It needs `&mut self` for everything that changes it; to share it between threads, put it behind a lock
/// (`Locked`, by the feature `lock`). Dropping a heap frees no blocks: they go with the memory.
#[derive(Debug)]
pub struct Heap<S: Source, P: Placement, C: Config = Standard> {
    pub(crate) source: S,
    pub(crate) space: Space<C>,
    pub(crate) policy: P,
    pub(crate) waiting: Waiting,
    /// The running mean of block sizes asked for, in bytes times `2^MEAN_SHIFT`: what is larger is cut from the high end.
    mean: u64,
}

impl<S: Source, P: Placement, C: Config> Heap<S, P, C> {
    /// The smallest block in bytes: header, links and footer.
    pub(crate) const SMALLEST: usize = {
        assert!(
            C::ALIGN.is_power_of_two() && C::ALIGN >= 8,
            "the alignment is a power of two and at least 8"
        );
        assert!(C::ALIGN <= 4096, "blocks of their own alignment are what large alignments are for");
        assert!(P::NODE <= 16 && P::NODE.is_multiple_of(4), "a free block has up to four links");
        round_up(2 * WORD + P::NODE, C::ALIGN)
    };

    /// The least remainder that becomes a block.
    const SPLIT_MIN: usize =
        if C::SPLIT_MIN > Self::SMALLEST { round_up(C::SPLIT_MIN, C::ALIGN) } else { Self::SMALLEST };

    /// A heap that has taken nothing from its source yet.
    pub const fn new(source: S) -> Self {
        Self { source, space: Space::new(), policy: P::NEW, waiting: Waiting::NEW, mean: 0 }
    }

    /// The policy's name.
    pub const fn policy_name() -> &'static str {
        P::NAME
    }

    /// Bytes taken from the source now, from the first multiple of the alignment in each segment.
    pub fn extent(&self) -> usize {
        self.space.extent
    }

    /// What counted the heap's work.
    pub fn meter(&self) -> &C::Meter {
        self.space.meter()
    }

    /// The size of the block that a request of `bytes` bytes needs, header and rounding included. None if no heap of this
    /// configuration can be so large.
    #[inline]
    pub const fn block_size(bytes: usize) -> Option<usize> {
        if bytes >= Space::<C>::BLOCK_LIMIT - WORD - 2 * C::ALIGN {
            return None;
        }
        let size = round_up(bytes + WORD, C::ALIGN);
        Some(if size < Self::SMALLEST { Self::SMALLEST } else { size })
    }

    /// A block of at least `layout.size()` bytes at a multiple of `layout.align()`. Its contents are undefined. Size 0 gets a
    /// block of its own.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`]; the heap is as it was.
    #[inline]
    pub fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, Error> {
        let need = Self::block_size(layout.size()).ok_or(Error::TooLarge)?;
        if layout.align() > C::ALIGN {
            return self.allocate_aligned_slow(need, layout.align());
        }
        self.place(need).map(Block::payload).ok_or(Error::OutOfMemory)
    }

    /// The same, with `layout.size()` bytes of zeroes.
    ///
    /// # Errors
    /// As [`allocate`](Self::allocate).
    pub fn allocate_zeroed(&mut self, layout: Layout) -> Result<NonNull<u8>, Error> {
        let payload = self.allocate(layout)?;
        // SAFETY: the block was just given and has at least so many bytes.
        unsafe { payload.write_bytes(0, layout.size()) };
        Ok(payload)
    }

    /// Frees a block.
    ///
    /// # Errors
    /// The [`Fault`], if `payload` is not a live block of this heap; the heap is as it was. What can be told is told: on 64 bits
    /// with a certainty of `1 - 2^-24`. A block that was freed and handed out again is live: to free it for its former owner is a fault
    /// that no heap can see.
    ///
    /// # Safety
    /// If `payload` is a live block of this heap, nobody uses it any more.
    #[inline]
    pub unsafe fn deallocate(&mut self, payload: NonNull<u8>) -> Result<(), Fault> {
        let address = payload.addr().get();
        self.free(address).map_err(|refusal| self.fault_slow(address, refusal))
    }

    /// Bytes from `payload` to the end of its block: at least what was asked for, and all of them may be used.
    ///
    /// # Errors
    /// The [`Fault`], if `payload` is not a live block of this heap.
    pub fn usable_size(&self, payload: NonNull<u8>) -> Result<usize, Fault> {
        let address = payload.addr().get();
        let live = self.space.live_block(address);
        let (_, header) = live.ok_or_else(|| self.fault_slow(address, Refusal::NOT_LIVE))?;
        Ok(header.size() - WORD)
    }

    /// The fault behind a refusal.
    #[cold]
    pub(crate) fn fault_slow(&self, address: usize, refusal: Refusal) -> Fault {
        match refusal.word() {
            Some(word) => Fault::Corrupted { address, word },
            None => self.space.diagnose_slow(address),
        }
    }

    /// Frees the live block at `address`.
    fn free(&mut self, address: usize) -> Result<(), Refusal> {
        let (block, header) = self.space.live_block(address).ok_or(Refusal::NOT_LIVE)?;
        let size = header.size();
        if C::COALESCE == Coalesce::Deferred && self.waiting.put(&self.space, block, header) {
            self.space.used_bytes -= size;
            return Ok(());
        }
        self.release(block, header)?;
        self.space.used_bytes -= size;
        Ok(())
    }

    /// A used block of `need` bytes, or a little more.
    fn place(&mut self, need: usize) -> Option<Block> {
        if C::COALESCE == Coalesce::Deferred
            && let Some(block) = self.waiting.take(&self.space, need)
        {
            self.space.used_bytes += need;
            return Some(block);
        }
        match self.find(need) {
            Some(found) => Some(self.cut(found, need)),
            None if self.space.top_size() >= need => Some(self.cut_top(need)),
            None => self.place_slow(need),
        }
    }

    /// The same for a request that found nothing.
    #[cold]
    fn place_slow(&mut self, need: usize) -> Option<Block> {
        match self.make_room_slow(need).ok()? {
            Some(found) => Some(self.cut(found, need)),
            None => Some(self.cut_top(need)),
        }
    }

    #[inline]
    fn find(&mut self, need: usize) -> Option<Block> {
        self.space.meter().search();
        self.policy.find(&self.space, need)
    }

    /// Takes a free block, of at least `need` bytes, out of the index, makes `need` bytes of it a used block, and what is left a
    /// free one if it is large enough. Gives the used block.
    #[inline]
    fn cut(&mut self, found: Block, need: usize) -> Block {
        let size = found.header().size();
        let rest = size - need;
        let is_large = self.is_large(need);
        if rest < Self::SPLIT_MIN {
            self.policy.remove(&self.space, found, size);
            found.set_header(Header::used(found.address(), size, true));
            self.tell_next(found, size, true);
            self.space.used_bytes += size;
            return found;
        }
        self.space.meter().split();
        self.space.used_bytes += need;
        if is_large {
            // SAFETY: both parts lie in the block that was found, and each is large enough for a block.
            let taken = unsafe {
                found.set_free(rest);
                found.plus(rest)
            };
            taken.set_header(Header::used(taken.address(), need, false));
            self.tell_next(taken, need, true);
            self.policy.resize(&self.space, found, size, rest);
            taken
        } else {
            // SAFETY: as above.
            let left = unsafe { found.plus(need) };
            // SAFETY: as above.
            unsafe { left.set_free(rest) };
            self.policy.replace(&self.space, found, size, left, rest);
            found.set_header(Header::used(found.address(), need, true));
            found
        }
    }

    /// The same from the top, which has at least `need` bytes and is in no index.
    #[inline]
    fn cut_top(&mut self, need: usize) -> Block {
        let size = self.space.top_size();
        let rest = size - need;
        let is_large = self.is_large(need);
        // SAFETY: its size is not 0, so the top is a block.
        let top = unsafe { Block::at(self.space.end() - size) };
        if rest < Self::SPLIT_MIN {
            top.set_header(Header::used(top.address(), size, true));
            self.tell_next(top, size, true);
            self.space.clear_top();
            self.space.used_bytes += size;
            return top;
        }
        self.space.meter().split();
        self.space.used_bytes += need;
        if is_large {
            // SAFETY: both parts lie in the top, and each is large enough for a block.
            let taken = unsafe {
                top.set_free(rest);
                top.plus(rest)
            };
            taken.set_header(Header::used(taken.address(), need, false));
            self.tell_next(taken, need, true);
            self.space.clear_top();
            self.policy.insert(&self.space, top, rest);
            taken
        } else {
            top.set_header(Header::used(top.address(), need, true));
            // SAFETY: as above.
            let left = unsafe { top.plus(need) };
            // SAFETY: as above.
            unsafe { left.set_free(rest) };
            self.space.set_top(left.address());
            top
        }
    }

    /// Whether a block of `need` bytes is cut from the high end. Asked once for each request: the mean learns from it.
    #[inline]
    fn is_large(&mut self, need: usize) -> bool {
        if C::CARVE == Carve::Low {
            return false;
        }
        let need = need as u64;
        if self.mean == 0 {
            self.mean = need << MEAN_SHIFT;
        }
        self.mean = self.mean - (self.mean >> MEAN_SHIFT) + need;
        need > self.mean >> MEAN_SHIFT
    }

    /// Puts a free block where it belongs: it is the top, or it goes into the index.
    #[inline]
    fn index_insert(&mut self, block: Block, size: usize) {
        if self.space.ends_at(block.address() + size) {
            self.new_top(block);
        } else {
            self.policy.insert(&self.space, block, size);
        }
    }

    /// The free block at the heap's end is the top from now on, and goes back to the source if it is large enough.
    #[inline]
    fn new_top(&mut self, block: Block) {
        self.space.set_top(block.address());
        self.trim();
    }

    /// Takes a free block from where it is: it is the top, or in the index.
    #[inline]
    fn index_remove(&mut self, block: Block, size: usize) {
        if self.space.ends_at(block.address() + size) {
            self.space.clear_top();
        } else {
            self.policy.remove(&self.space, block, size);
        }
    }

    /// Tells the block behind `block` whether this one is used.
    #[inline]
    fn tell_next(&self, block: Block, size: usize, used: bool) {
        // SAFETY: behind a block of the heap there is another one, or the mark.
        let next = unsafe { block.plus(size) };
        next.set_header(next.header().with_previous_used(used));
    }

    /// Makes a used block free and joins it with its free neighbours. Does not count.
    ///
    /// # Errors
    /// A neighbour's header or footer is not what it was; nothing has been changed.
    #[inline]
    fn release(&mut self, block: Block, header: Header) -> Result<(), Refusal> {
        let mut size = header.size();
        // SAFETY: behind a block of the heap there is another one, or the mark.
        let next = unsafe { block.plus(size) };
        let next_header = next.header();
        if !next_header.is_sound(next.address()) {
            return Err(Refusal::damaged(next.address() - WORD));
        }
        let previous = match header.previous_used() {
            true => None,
            false => Some(self.previous(block).ok_or(Refusal::damaged(block.address() - 2 * WORD))?),
        };
        if next_header.is_used() {
            next.set_header(next_header.with_previous_used(false));
        } else {
            let next_size = next_header.size();
            self.space.meter().coalesce();
            self.index_remove(next, next_size);
            next.set_header(Header::GONE);
            size += next_size;
        }
        let Some(previous) = previous else {
            // SAFETY: the range consists of blocks that are no more.
            unsafe { block.set_free(size) };
            self.index_insert(block, size);
            return Ok(());
        };
        let previous_size = block.address() - previous.address();
        self.space.meter().coalesce();
        block.set_header(Header::GONE);
        // SAFETY: as above.
        unsafe { previous.set_free(previous_size + size) };
        if self.space.ends_at(block.address() + size) {
            self.policy.remove(&self.space, previous, previous_size);
            self.new_top(previous);
        } else {
            self.policy.resize(&self.space, previous, previous_size, previous_size + size);
        }
        Ok(())
    }

    /// The free block before a block whose header says that there is one; none if footer and header there don't agree.
    #[inline]
    pub(crate) fn previous(&self, block: Block) -> Option<Block> {
        // SAFETY: the header says that the block before is free.
        let size = unsafe { block.footer_before() };
        let address = block.address().wrapping_sub(size);
        if !self.space.may_hold(address) {
            return None;
        }
        // SAFETY: in front of each address of the heap there is a word; whether it is a header is asked at once.
        let previous = unsafe { Block::at(address) };
        // A free block's header is known to the last bit. On 32 bits, where there is no check, the size may be nonsense.
        (previous.header() == Header::free(address, size) && size >= Self::SMALLEST).then_some(previous)
    }

    /// Joins all blocks that wait to be coalesced with their free neighbours, as a search that finds nothing does. Of use with
    /// [`Coalesce::Deferred`] only: for instance when a program is idle, so that the top can go back to the source.
    #[cold]
    pub fn coalesce(&mut self) {
        for size in Waiting::sizes::<C>() {
            while let Some(block) = self.waiting.take(&self.space, size) {
                // A block whose own header is damaged, or one next to it, stays used for ever: the free that meets the damage itself
                // reports it.
                let header = block.header();
                if header.is_of(block.address()) && header.size() == size {
                    let _ = self.release(block, header);
                }
            }
        }
    }

    /// Room for a request that found none: a block of the index, or (none) the top, which now is large enough.
    #[cold]
    fn make_room_slow(&mut self, need: usize) -> Result<Option<Block>, Error> {
        if C::COALESCE == Coalesce::Deferred && self.waiting.bytes() > 0 {
            self.coalesce();
            let found = self.find(need);
            if found.is_some() || self.space.top_size() >= need {
                return Ok(found);
            }
        }
        self.grow_slow(need).map(|()| None)
    }

    /// A block at a multiple of `align`, which is greater than the heap's own alignment.
    #[cold]
    fn allocate_aligned_slow(&mut self, need: usize, align: usize) -> Result<NonNull<u8>, Error> {
        // Wherever the free block begins, within so many bytes there is a multiple of `align` in front of which either nothing or a
        // whole block remains.
        let most = need.checked_add(align + Self::SMALLEST).filter(|&most| most < Space::<C>::BLOCK_LIMIT);
        let most = most.ok_or(Error::TooLarge)?;
        let mut found = self.find(most);
        if found.is_none() && self.space.top_size() < most {
            found = self.make_room_slow(most)?;
        }
        let found = found.or(self.space.top()).ok_or(Error::OutOfMemory)?;
        let size = found.header().size();
        let mut address = round_up(found.address(), align);
        while address != found.address() && address - found.address() < Self::SMALLEST {
            address += align;
        }
        let front = address - found.address();
        self.index_remove(found, size);
        if front == 0 {
            self.space.used_bytes += self.settle(found, size, need, true);
            return Ok(found.payload());
        }
        self.space.meter().split();
        // SAFETY: `front` is at least the smallest block's size, and what follows has at least `need` bytes.
        let block = unsafe {
            found.set_free(front);
            Block::at(address)
        };
        let taken = self.settle(block, size - front, need, false);
        self.policy.insert(&self.space, found, front);
        self.space.used_bytes += taken;
        Ok(block.payload())
    }

    /// Makes a used block of `need` bytes at the beginning of a range of `size` bytes that is in no index, and a free one of the
    /// rest. What follows the range is used. Gives the used block's size.
    fn settle(&mut self, block: Block, size: usize, need: usize, previous_used: bool) -> usize {
        let rest = size - need;
        if rest < Self::SPLIT_MIN {
            block.set_header(Header::used(block.address(), size, previous_used));
            self.tell_next(block, size, true);
            return size;
        }
        self.space.meter().split();
        block.set_header(Header::used(block.address(), need, previous_used));
        // SAFETY: the rest lies in the range and is large enough for a block.
        let left = unsafe { block.plus(need) };
        // SAFETY: as above.
        unsafe { left.set_free(rest) };
        self.tell_next(left, rest, false);
        self.index_insert(left, rest);
        need
    }
}

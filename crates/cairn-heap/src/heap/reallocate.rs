//! Reallocation: in place where it can be, then by moving within the neighbourhood, then by a new block.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use crate::block::Block;
use crate::config::Config;
use crate::fault::{Error, Refusal};
use crate::header::{Header, WORD};
use crate::heap::Heap;
use crate::meter::Meter;
use crate::placement::Placement;
use crate::source::Source;

impl<S: Source, P: Placement, C: Config> Heap<S, P, C> {
    /// Changes a block's size to `size` bytes; `layout` is what it was allocated with. The contents are kept up to the lesser of
    /// both sizes. In this order: the block is large enough (what is left over becomes free); the next block is free and large
    /// enough; the block is the last one, and the heap grows by what is missing; the block before is free and large enough,
    /// together with the next one, and the contents move down; a new block.
    ///
    /// # Errors
    /// As [`allocate`](Self::allocate), and the [`Fault`](crate::Fault) if `payload` is not a live block. The old block is intact and
    /// still the caller's.
    ///
    /// # Safety
    /// If `payload` is a live block of this heap, it was allocated with `layout`'s alignment, and nobody refers to its contents. If the
    /// result is a block, the old one is gone.
    pub unsafe fn reallocate(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Result<NonNull<u8>, Error> {
        let need = Self::block_size(size).ok_or(Error::TooLarge)?;
        let address = payload.addr().get();
        let refused = |heap: &Self, refusal| Error::Fault(heap.fault_slow(address, refusal));
        let Some((block, header)) = self.space.live_block(address) else {
            return Err(refused(self, Refusal::NOT_LIVE));
        };
        let has = header.size();
        if need <= has {
            let shrunk = self.shrink_in_place(block, header, need);
            return shrunk.map(|()| payload).map_err(|refusal| refused(self, refusal));
        }
        // SAFETY: behind a block of the heap there is another one, or the mark.
        let next = unsafe { block.plus(has) };
        let next_header = next.header();
        if !next_header.is_sound(next.address()) {
            return Err(refused(self, Refusal::damaged(next.address() - WORD)));
        }
        let next_free = if next_header.is_used() { 0 } else { next_header.size() };
        if has + next_free >= need {
            self.take_next(block, header, next, next_free, need);
            return Ok(payload);
        }
        let previous = if header.previous_used() {
            None
        } else {
            let damaged = Refusal::damaged(block.address() - 2 * WORD);
            Some(self.previous(block).ok_or_else(|| refused(self, damaged))?)
        };
        let mut next_free = next_free;
        if self.space.ends_at(next.address() + next_free) {
            let extended = self.extend_last(need - has);
            // A little may have come even if not enough did; or it came elsewhere, and the old top is a block of the index.
            let next_header = next.header();
            next_free = if next_header.is_used() { 0 } else { next_header.size() };
            if extended {
                self.take_next(block, header, next, next_free, need);
                return Ok(payload);
            }
        }
        if layout.align() <= C::ALIGN
            && let Some(previous) = previous
            && block.address() - previous.address() + has + next_free >= need
        {
            self.move_down(previous, block, header, next_free, need);
            return Ok(previous.payload());
        }
        let layout = Layout::from_size_align(size, layout.align()).map_err(|_| Error::TooLarge)?;
        let fresh = self.allocate(layout)?;
        // SAFETY: both blocks have at least the old one's bytes, and are different blocks.
        unsafe { ptr::copy_nonoverlapping(payload.as_ptr(), fresh.as_ptr(), has - WORD) };
        // The header may have changed: the new block may be a neighbour. It is no fault: the words around were looked at.
        // SAFETY: the old block is live, and the caller gives it up.
        unsafe { self.deallocate(payload) }?;
        Ok(fresh)
    }

    /// Cuts what a block has beyond `need` bytes off and frees it, if it is enough for a block.
    fn shrink_in_place(&mut self, block: Block, header: Header, need: usize) -> Result<(), Refusal> {
        let rest = header.size() - need;
        if rest < Self::SPLIT_MIN {
            return Ok(());
        }
        // SAFETY: the rest lies in the block and is large enough for one. Its header is not written yet: should a fault be found, the
        // program's bytes are still there.
        let left = unsafe { block.plus(need) };
        self.release(left, Header::used(left.address(), rest, true))?;
        self.space.meter().split();
        block.set_header(Header::used(block.address(), need, header.previous_used()));
        self.space.used_bytes -= rest;
        Ok(())
    }

    /// Grows a block into the free one of `next_free` bytes behind it.
    fn take_next(&mut self, block: Block, header: Header, next: Block, next_free: usize, need: usize) {
        self.index_remove(next, next_free);
        next.set_header(Header::GONE);
        let has = header.size();
        let size = self.settle(block, has + next_free, need, header.previous_used());
        self.space.used_bytes += size - has;
    }

    /// Moves a block's contents down into the free block before it, and grows it into the free one of `next_free` bytes
    /// behind it.
    fn move_down(&mut self, previous: Block, block: Block, header: Header, next_free: usize, need: usize) {
        let has = header.size();
        let front = block.address() - previous.address();
        self.policy.remove(&self.space, previous, front);
        if next_free != 0 {
            // SAFETY: behind the block there is the free one.
            let next = unsafe { block.plus(has) };
            self.index_remove(next, next_free);
            next.set_header(Header::GONE);
        }
        block.set_header(Header::GONE);
        // SAFETY: both ranges lie in the blocks that are joined here.
        unsafe { ptr::copy(block.payload().as_ptr(), previous.payload().as_ptr(), has - WORD) };
        let size = self.settle(previous, front + has + next_free, need, true);
        self.space.used_bytes += size - has;
    }
}

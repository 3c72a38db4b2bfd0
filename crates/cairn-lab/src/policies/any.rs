//! A heap whose policy is known only at run time.

use std::alloc::Layout;
use std::ptr::NonNull;

use cairn_heap::{
    BlockInfo, Config, Entry, Error, Fault, Heap, Meter, Placement, Source, Tally, Totals, Violation,
};
use serde::Serialize;

use crate::replay::{Slots, race};
use crate::trace::Op;

/// How often a heap did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Searches of the free index.
    pub searches: u64,
    /// Free blocks looked at in all searches.
    pub steps: u64,
    /// Free blocks cut in two.
    pub splits: u64,
    /// Neighbours joined.
    pub coalesces: u64,
    /// Times that the heap took memory from its source.
    pub grows: u64,
    /// Times that it gave memory back.
    pub shrinks: u64,
}

/// A meter whose counts can be asked for.
pub(super) trait Count: Meter + 'static {
    /// The counts so far; zero if nothing is counted.
    fn counts(&self) -> Counts {
        Counts::default()
    }
}

impl Count for () {}

impl Count for Tally {
    fn counts(&self) -> Counts {
        Counts {
            searches: self.searches(),
            steps: self.steps(),
            splits: self.splits(),
            coalesces: self.coalesces(),
            grows: self.grows(),
            shrinks: self.shrinks(),
        }
    }
}

/// A heap of any policy and configuration.
pub trait AnyHeap {
    /// A block; see [`Heap::allocate`].
    ///
    /// # Errors
    /// If it can't be had.
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, Error>;

    /// Frees a block; see [`Heap::deallocate`].
    ///
    /// # Errors
    /// The fault, if it is no live block.
    ///
    /// # Safety
    /// Nobody uses the block any more.
    unsafe fn free(&mut self, block: NonNull<u8>) -> Result<(), Fault>;

    /// Changes a block's size; `layout` is what it was given for. See [`Heap::reallocate`].
    ///
    /// # Errors
    /// If it can't be done; the block is as it was.
    ///
    /// # Safety
    /// Nobody uses the old block any more if this succeeds.
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Result<NonNull<u8>, Error>;

    /// Bytes from a live block's payload to its end.
    ///
    /// # Errors
    /// The fault, if it is no live block.
    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, Fault>;

    /// Audits the whole heap.
    ///
    /// # Errors
    /// The first invariant that doesn't hold.
    fn check(&self) -> Result<Totals, Violation>;

    /// Shows all blocks in the order of their addresses.
    fn blocks(&self, visit: &mut dyn FnMut(BlockInfo));

    /// Shows the free index in the policy's order.
    fn index(&self, visit: &mut dyn FnMut(Entry));

    /// Bytes taken from the source now.
    fn extent(&self) -> usize;

    /// What was counted; all zero in a heap that doesn't count.
    fn counts(&self) -> Counts;

    /// Runs requests without looking at anything; stops at the first that fails. In this body the heap's type is
    /// known, so each request is a direct call.
    ///
    /// # Errors
    /// The number of the request and what the heap said.
    fn race(&mut self, ops: &[Op], slots: &mut Slots) -> Result<(), (usize, Error)> {
        race(self, ops, slots)
    }
}

impl<S: Source, P: Placement, C: Config<Meter: Count>> AnyHeap for Heap<S, P, C> {
    #[inline]
    fn allocate(&mut self, layout: Layout) -> Result<NonNull<u8>, Error> {
        Heap::allocate(self, layout)
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) -> Result<(), Fault> {
        // SAFETY: the same contract.
        unsafe { self.deallocate(block) }
    }

    #[inline]
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Result<NonNull<u8>, Error> {
        // SAFETY: the same contract.
        unsafe { Heap::reallocate(self, block, layout, size) }
    }

    fn usable_size(&self, block: NonNull<u8>) -> Result<usize, Fault> {
        Heap::usable_size(self, block)
    }

    fn check(&self) -> Result<Totals, Violation> {
        Heap::check(self)
    }

    fn blocks(&self, visit: &mut dyn FnMut(BlockInfo)) {
        Heap::blocks(self).for_each(visit);
    }

    fn index(&self, visit: &mut dyn FnMut(Entry)) {
        Heap::index(self, visit);
    }

    fn extent(&self) -> usize {
        Heap::extent(self)
    }

    fn counts(&self) -> Counts {
        self.meter().counts()
    }
}

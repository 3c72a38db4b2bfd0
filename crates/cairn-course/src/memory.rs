//! Where the memory of `mm_malloc` comes from: the driver's `mem_sbrk` if the program has one, else the program break.
//!
//! A driver's `mem_sbrk` gives the next bytes of a model of the break, upwards, and can't be asked to take any back. The heap wants to
//! know the lowest address before it takes its first piece; so the first few bytes are taken early and handed out with what comes next:
//! they are `pending`.

use core::ops::Range;

use cairn_core::os::KeepErrno;
use cairn_heap::Source;

use crate::brk::{Brk, Run};
use crate::driver::{self, MemSbrk};

/// Bytes that are taken to learn where the driver's heap begins. Less than any first request, so none is taken in vain.
const FIRST: usize = 32;

/// The most that is asked of the driver at once: its argument may be an `int`.
const PIECE_MAX: usize = 1 << 30;

/// The source of `mm_malloc`.
pub struct Memory {
    driver: Driver,
    brk: Brk,
}

impl Memory {
    /// Nothing taken yet.
    pub const fn new(run: &'static Run) -> Self {
        Self { driver: Driver { lowest: 0, pending: 0..0 }, brk: Brk::new(isize::MAX as usize, run) }
    }
}

// SAFETY: each method passes on to one of two sources, always the same: whether the program has a `mem_sbrk` doesn't change.
unsafe impl Source for Memory {
    fn lowest(&mut self) -> Option<usize> {
        match driver::mem_sbrk() {
            Some(mem_sbrk) => self.driver.lowest(mem_sbrk),
            None => self.brk.lowest(),
        }
    }

    fn position(&mut self) -> Option<usize> {
        match driver::mem_sbrk() {
            Some(_) => self.driver.position(),
            None => self.brk.position(),
        }
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        match driver::mem_sbrk() {
            Some(mem_sbrk) => self.driver.grow(mem_sbrk, least, wish),
            None => self.brk.grow(least, wish),
        }
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        match driver::mem_sbrk() {
            Some(_) => false,
            // SAFETY: passed on to the caller.
            None => unsafe { self.brk.shrink(end, bytes) },
        }
    }
}

/// The driver's model of the break.
struct Driver {
    /// Where its first piece began, 0 before.
    lowest: usize,
    /// Taken from the driver and not handed out yet; its end is the end of all pieces so far.
    pending: Range<usize>,
}

impl Driver {
    fn lowest(&mut self, mem_sbrk: MemSbrk) -> Option<usize> {
        if self.lowest == 0 {
            self.pending = self.take(mem_sbrk, FIRST)?;
            self.lowest = self.pending.start;
        }
        Some(self.lowest)
    }

    fn position(&mut self) -> Option<usize> {
        if self.pending.is_empty()
            && let Some(mem_heap_hi) = driver::mem_heap_hi()
        {
            // SAFETY: a function of the driver without arguments.
            let last = unsafe { mem_heap_hi() }.addr();
            // Somebody else may have asked for memory; then the next piece will not touch ours.
            return (last.wrapping_add(1) == self.pending.end).then_some(self.pending.end);
        }
        Some(self.pending.start)
    }

    fn grow(&mut self, mem_sbrk: MemSbrk, least: usize, wish: usize) -> Option<Range<usize>> {
        let has = self.pending.len();
        if has < least {
            // A wish that fails is not the end: the driver may have a little less.
            let fresh = self
                .take(mem_sbrk, wish - has)
                .or_else(|| if wish > least { self.take(mem_sbrk, least - has) } else { None })?;
            if fresh.start != self.pending.end && has > 0 {
                let before = core::mem::replace(&mut self.pending, fresh);
                return Some(before);
            }
            self.pending = fresh.start - has..fresh.end;
        }
        let piece = self.pending.clone();
        self.pending.start = self.pending.end;
        Some(piece)
    }

    /// Asks the driver for up to `bytes` bytes.
    fn take(&self, mem_sbrk: MemSbrk, bytes: usize) -> Option<Range<usize>> {
        let _errno = KeepErrno::new();
        let bytes = bytes.min(PIECE_MAX);
        // SAFETY: the driver's function, which takes any positive number; it fits an `int`.
        let start = unsafe { mem_sbrk(bytes as isize) }.expose_provenance();
        // Failure is (void *)-1. A piece below the end of those before means that the driver reset its break and did not call
        // mm_init: the blocks up there are gone, and nothing good can come of the heap.
        let sound = start != usize::MAX && start != 0 && start >= self.pending.end;
        sound.then(|| start..start + bytes)
    }
}

//! The memory under a heap of the laboratory: one reservation that outlives the heaps on it.
//!
//! As in the courses' own drivers, growing moves a mark up and giving back moves it down; nothing goes to the kernel. So heaps
//! on it have exact extents, a second heap on the same memory finds its pages in place (a timed run measures the policy
//! and not page faults), and the pages that a first run touched can be counted afterwards.

use std::cell::Cell;
use std::ops::Range;
use std::ptr::NonNull;
use std::rc::Rc;

use cairn_core::os;
use cairn_heap::Source;

/// Made usable at a time, in bytes.
const STEP: usize = 1 << 20;

/// Memory for one heap after the other.
#[derive(Clone, Debug)]
pub struct Memory(Rc<Reservation>);

#[derive(Debug)]
struct Reservation {
    at: NonNull<u8>,
    bytes: usize,
    usable: Cell<usize>,
    /// Whether a heap is on it.
    taken: Cell<bool>,
}

impl Memory {
    /// Reserves so much address space, rounded up; memory is used only where it is touched. None, if there isn't so much.
    pub fn new(bytes: usize) -> Option<Memory> {
        let bytes = bytes.checked_next_multiple_of(STEP)?.max(STEP);
        let at = os::reserve(bytes)?;
        at.as_ptr().expose_provenance();
        // SAFETY: the range was just reserved. A huge page would count as 512 touched pages; if the kernel doesn't
        // know the advice, it has none.
        unsafe { libc::madvise(at.as_ptr().cast(), bytes, libc::MADV_NOHUGEPAGE) };
        Some(Memory(Rc::new(Reservation { at, bytes, usable: Cell::new(0), taken: Cell::new(false) })))
    }

    /// The addresses.
    pub fn range(&self) -> Range<usize> {
        let start = self.0.at.as_ptr().addr();
        start..start + self.0.bytes
    }

    /// How many pages have been touched so far.
    pub fn pages_touched(&self) -> usize {
        let mut pages = vec![0u8; self.0.usable.get() / os::page_size()];
        // SAFETY: the range is part of the reservation, and there is a byte for each page.
        let known = unsafe { os::resident(self.0.at.as_ptr(), &mut pages) };
        if known { pages.iter().filter(|page| **page & 1 != 0).count() } else { 0 }
    }

    /// A source that begins at the bottom.
    ///
    /// # Panics
    /// If there is a heap on the memory already.
    pub(super) fn pool(&self) -> Pool {
        assert!(!self.0.taken.replace(true), "the memory has a heap already");
        Pool { memory: Rc::clone(&self.0), given: 0 }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: `new` reserved it, and no heap is left: each holds a reference to this.
        let _ = unsafe { os::unmap(self.at.as_ptr(), self.bytes) };
    }
}

/// The source of one heap.
#[derive(Debug)]
pub(super) struct Pool {
    memory: Rc<Reservation>,
    given: usize,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.memory.taken.set(false);
    }
}

// SAFETY: pieces follow each other within one reservation, made usable before they are given; its provenance was exposed; `taken`
// sees to it that there is one user, and the reservation lives as long as the source.
unsafe impl Source for Pool {
    fn lowest(&mut self) -> Option<usize> {
        Some(self.memory.at.as_ptr().addr())
    }

    fn position(&mut self) -> Option<usize> {
        Some(self.memory.at.as_ptr().addr() + self.given)
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        let left = self.memory.bytes - self.given;
        if least > left {
            return None;
        }
        let end = self.given + wish.clamp(least, left);
        let usable = self.memory.usable.get();
        if end > usable {
            let wanted = end.next_multiple_of(STEP) - usable;
            // SAFETY: whole steps inside of the reservation, which is a multiple of a step itself.
            if !unsafe { os::commit(self.memory.at.as_ptr().add(usable), wanted) } {
                return None;
            }
            self.memory.usable.set(usable + wanted);
        }
        let start = self.position()?;
        let bytes = end - self.given;
        self.given = end;
        Some(start..start + bytes)
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        debug_assert_eq!(Some(end), self.position());
        self.given -= bytes;
        true
    }
}

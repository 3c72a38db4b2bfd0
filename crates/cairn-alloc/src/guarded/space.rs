//! The pages of guarded blocks: one reservation of address space, all of it inaccessible except for what is open.
//!
//! ```text
//!   │ guard │ run, guard │ run, guard │ ..   not carved yet   .. │ guard, large run │ guard, large run │ guard │
//!             small runs: up ──►                                       ◄── down: large runs
//! ```
//! A *run* is a number of pages that belong to one block at a time, and a page behind them that is never open. Runs have
//! classes by their length, so that a run can be used again for another block.
//!
//! Two ways to close pages. *Marks* in the page tables ([`os::install_guard`], Linux 6.13) take no mapping, so millions of blocks
//! can be open; small runs use them where the kernel has them. *Protection* splits mappings, two for each open run, of which a
//! process has 65,530 unless the administrator said otherwise: so no more than a quarter of that is open at a time.

use core::ptr;

use cairn_core::os::{self, Guard, page_size};

/// Classes of run lengths: 1, 2, 4 .. 64 pages,
const SMALL_CLASSES: usize = 7;
/// then four a doubling.
const STEPS: usize = 4;
pub const CLASSES: usize = SMALL_CLASSES + STEPS * 18;
/// Pages that become usable for small runs at a time.
const READY_STEP: usize = 256;

/// The class of the shortest run that has `pages` pages; None if there is none.
pub fn class_for(pages: usize) -> Option<usize> {
    let class = (0..CLASSES).find(|&class| class_pages(class) >= pages);
    debug_assert!(class.is_none_or(|class| class == 0 || class_pages(class - 1) < pages));
    class
}

/// Pages of a run of a class.
pub fn class_pages(class: usize) -> usize {
    if class < SMALL_CLASSES {
        return 1 << class;
    }
    let above = class - SMALL_CLASSES + 1;
    let base = 1 << (SMALL_CLASSES - 1 + above / STEPS);
    base + base / STEPS * (above % STEPS)
}

/// How open pages will be closed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Marks,
    Protection,
}

pub struct Space {
    base: *mut u8,
    pub(super) pages: usize,
    /// The first page that no small run has,
    pub(super) low: usize,
    /// the first that isn't ready to be marked,
    pub(super) ready: usize,
    /// and the first that a large run has.
    pub(super) high: usize,
    /// Whether the kernel has marks.
    marks: bool,
    /// Runs opened by protection, and how many may be.
    pub(super) protected: usize,
    pub(super) protected_max: usize,
}

impl Space {
    /// No space at all.
    pub const fn none() -> Space {
        Space {
            base: ptr::null_mut(),
            pages: 0,
            low: 0,
            ready: 0,
            high: 0,
            marks: false,
            protected: 0,
            protected_max: 0,
        }
    }

    /// A reservation of so many pages, if there is address space.
    pub fn reserve(pages: usize) -> Option<Space> {
        let base = os::reserve(pages.checked_mul(page_size())?)?.as_ptr();
        let protected_max = os::mappings_max() / 4;
        // The first and the last page are guards.
        Some(Space {
            base,
            pages,
            low: 1,
            ready: 1,
            high: pages - 1,
            marks: true,
            protected: 0,
            protected_max,
        })
    }

    pub fn base(&self) -> usize {
        self.base.addr()
    }

    pub fn bytes(&self) -> usize {
        self.pages * page_size()
    }

    pub fn address_of(&self, page: usize) -> *mut u8 {
        self.base.wrapping_add(page * page_size())
    }

    /// A new run of a class: its first page. None if the address space is at its end.
    pub fn carve(&mut self, class: usize) -> Option<usize> {
        let pages = class_pages(class) + 1;
        if self.high - self.low < pages {
            return None;
        }
        if class >= SMALL_CLASSES {
            // What is ready is marked, and this run is opened by protection or by marks, not by both.
            if self.high - self.low.max(self.ready) < pages {
                return None;
            }
            self.high -= pages;
            return Some(self.high);
        }
        while self.marks && self.ready < self.low + pages {
            self.marks = self.make_ready();
        }
        if self.low < self.ready && self.ready < self.low + pages {
            // The kernel refused: what is ready is too short for this run, and no run is half of it.
            self.low = self.ready;
            if self.high - self.low < pages {
                return None;
            }
        }
        let first = self.low;
        self.low += pages;
        Some(first)
    }

    /// Makes further pages usable for marks, marked. False if the kernel can't do that.
    fn make_ready(&mut self) -> bool {
        let pages = READY_STEP.min(self.high - self.ready);
        let (at, bytes) = (self.address_of(self.ready), pages * page_size());
        // SAFETY: nobody uses these pages yet.
        if pages == 0 || !unsafe { os::commit(at, bytes) } {
            return false;
        }
        // SAFETY: as above.
        match unsafe { mark(at, bytes) } {
            Closed::ByMarks => {
                self.ready += pages;
                true
            }
            Closed::ByProtection => false,
            // No block gets these pages, nor those before them, so that runs never have pages that can be accessed behind them.
            Closed::PerhapsNot => {
                self.ready += pages;
                self.low = self.ready;
                false
            }
        }
    }

    /// Opens pages of a run: they read as zero. None if the kernel refuses, or too many are open.
    pub fn open(&mut self, first: usize, pages: usize) -> Option<Way> {
        let (at, bytes) = (self.address_of(first), pages * page_size());
        if first < self.ready {
            // SAFETY: the pages are in the reservation and marked, and the run's owner asks.
            let done = unsafe { os::remove_guard(at, bytes, Guard::Pages) };
            return done.then_some(Way::Marks);
        }
        // SAFETY: as above.
        if self.protected == self.protected_max || !unsafe { os::commit(at, bytes) } {
            return None;
        }
        self.protected += 1;
        Some(Way::Protection)
    }

    /// Closes pages that [`Space::open`] opened; what they held is gone. False if the run can't be used again.
    pub fn close(&mut self, first: usize, pages: usize, way: Way) -> bool {
        let (at, bytes) = (self.address_of(first), pages * page_size());
        match way {
            // SAFETY: the block was freed.
            Way::Marks => unsafe { mark(at, bytes) == Closed::ByMarks },
            Way::Protection => {
                // SAFETY: as above; protection left the pages accessible.
                let closed = unsafe { os::decommit(at, bytes) };
                self.protected -= usize::from(closed);
                closed
            }
        }
    }
}

/// How pages are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    ByMarks,
    /// They can't be opened by taking marks away.
    ByProtection,
    /// The kernel refused all that was asked of it.
    PerhapsNot,
}

/// Closes open pages, by marks if the kernel has them. What they held is gone, or never looked at again.
///
/// # Safety
/// The pages are open, in the reservation, and nobody uses them.
unsafe fn mark(at: *mut u8, bytes: usize) -> Closed {
    // SAFETY: the caller's contract.
    unsafe {
        let guard = os::install_guard(at, bytes);
        if guard == Guard::Pages {
            return Closed::ByMarks;
        }
        if os::remove_guard(at, bytes, guard) && os::decommit(at, bytes) {
            return Closed::ByProtection;
        }
        os::drop_pages(at, bytes);
    }
    Closed::PerhapsNot
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refuse::{Refused, refuse};

    const GUARD_INSTALL: u32 = 102;

    /// Whether the program can read a page: what it can't, the kernel can't either.
    fn is_open(at: *mut u8) -> bool {
        let mut ends = [0; 2];
        // SAFETY: a pipe takes a byte, or refuses it if that can't be read.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            let written = libc::write(ends[1], at.cast(), 1);
            ends.into_iter().for_each(|end| {
                libc::close(end);
            });
            written == 1
        }
    }

    /// Carves runs from a space of which the kernel refuses to close what is made ready; how many there were.
    fn runs_behind_refusals(calls: [Refused; 3]) -> usize {
        let mut space = Space::reserve(2000).expect("address space");
        if !refuse(calls) {
            std::println!("skipped: no filter of system calls here");
            return 1;
        }
        let mut runs = 0;
        while let Some(first) = space.carve(1) {
            assert!(
                (first..=first + class_pages(1)).all(|page| !is_open(space.address_of(page))),
                "run {runs}"
            );
            assert_eq!(space.open(first, 2), Some(Way::Protection));
            assert!([true, true, false] == [0, 1, 2].map(|page| is_open(space.address_of(first + page))));
            runs += 1;
        }
        runs
    }

    #[test]
    fn pages_that_the_kernel_did_not_close_are_no_run_s() {
        let no_marks = Refused(libc::SYS_madvise, 2, GUARD_INSTALL);
        let no_protection = Refused(libc::SYS_mprotect, 2, libc::PROT_NONE as u32);
        let no_mapping = Refused(libc::SYS_mmap, 2, libc::PROT_NONE as u32);
        // Filters end with their threads.
        for refused in [[no_marks; 3], [no_marks, no_protection, no_mapping]] {
            let runs = std::thread::spawn(move || runs_behind_refusals(refused)).join().expect("no failure");
            assert!(runs > 0);
        }
    }

    #[test]
    fn classes_rise_and_hold_what_is_asked() {
        assert!((1..CLASSES).all(|class| class_pages(class - 1) < class_pages(class)));
        assert_eq!((0..9).map(class_pages).collect::<std::vec::Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 80, 96]);
        for pages in 1..5000 {
            let class = class_for(pages).expect("small enough");
            assert!(class_pages(class) >= pages);
            assert!(class == 0 || class_pages(class - 1) < pages);
        }
        assert_eq!(class_for(usize::MAX), None);
    }
}

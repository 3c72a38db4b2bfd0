//! Where in its run a block lies, and the bytes around it.
//!
//! ```text
//!   behind:   │ .. closed .. │ canary, block │ guard        the end at a guard, as far as the alignment permits
//!   before:   guard │ block, canary │ .. closed .. │        the begin at a guard
//! ```
//! The bytes of open pages that are not the block's hold a pattern, which is looked at when the block is freed.

use core::ops::Range;

use cairn_core::os::page_size;

use crate::settings;

/// What stands in the bytes around a block.
const PATTERN: u8 = 0xC5;

/// Pages that a run must have for a block; None if that is no number.
pub fn pages_for(size: usize, align: usize) -> Option<usize> {
    let page = page_size();
    // Within a page any alignment can be had by the page's own.
    size.max(1).checked_add(align.max(page) - page).map(|bytes| bytes.div_ceil(page))
}

/// Where a block lies in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub begin: usize,
    pub size: usize,
    /// The addresses of the pages that it touches.
    pub open_begin: usize,
    pub open_end: usize,
}

impl Place {
    /// The place of a block in a run of [`pages_for`] pages or more.
    pub fn new(run_begin: usize, run_end: usize, size: usize, align: usize) -> Place {
        let before = settings::GUARD.get() == 1;
        let begin =
            if before { run_begin.next_multiple_of(align) } else { (run_end - size.max(1)) & !(align - 1) };
        let page = page_size();
        // A block without bytes has an address and nothing that may be touched.
        let (open_begin, open_end) = if size == 0 {
            (begin, begin)
        } else {
            (begin & !(page - 1), (begin + size).next_multiple_of(page))
        };
        Place { begin, size, open_begin, open_end }
    }

    /// Fills the bytes around the block.
    ///
    /// # Safety
    /// The pages are open and belong to this block.
    pub unsafe fn paint(self) {
        for (begin, end) in self.margins() {
            // SAFETY: the caller's contract.
            unsafe { pointer(begin).cast_mut().write_bytes(PATTERN, end - begin) };
        }
    }

    /// The byte around the block that was written to and is nearest to it, if any.
    ///
    /// # Safety
    /// As for [`Place::paint`], and they were painted.
    pub unsafe fn spoilt(self) -> Option<usize> {
        // SAFETY: the caller's contract.
        let is_spoilt = |&address: &usize| unsafe { pointer(address).read_volatile() } != PATTERN;
        let [before, behind] = self.margins().map(|(begin, end)| begin..end);
        // SAFETY: as above.
        if unsafe { is_painted(behind.clone()) && is_painted(before.clone()) } {
            return None;
        }
        behind.clone().find(is_spoilt).or_else(|| before.rev().find(is_spoilt))
    }

    fn margins(self) -> [(usize, usize); 2] {
        [(self.open_begin, self.begin), (self.begin + self.size, self.open_end.max(self.begin + self.size))]
    }
}

/// Whether no byte of a margin was written to, looked at in words as far as that goes.
///
/// # Safety
/// The bytes can be read.
unsafe fn is_painted(margin: Range<usize>) -> bool {
    let bytes = margin.end - margin.start;
    // SAFETY: the caller's contract.
    let (head, words, tail) =
        unsafe { core::slice::from_raw_parts(pointer(margin.start), bytes).align_to::<u64>() };
    let right = |&byte: &u8| byte == PATTERN;
    head.iter().all(right)
        && tail.iter().all(right)
        && words.iter().all(|&word| word == u64::from_ne_bytes([PATTERN; 8]))
}

fn pointer(address: usize) -> *const u8 {
    core::ptr::with_exposed_provenance(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_touches_the_guard_as_far_as_the_alignment_permits() {
        let page = page_size();
        let run = 64 * page;
        for align in [1, 2, 8, 16, 64, page, 4 * page] {
            for size in [1, 7, 16, 100, page - 1, page, page + 1, 3 * page] {
                let pages = pages_for(size, align).expect("a small number");
                let place = Place::new(run, run + pages * page, size, align);
                assert!(place.begin.is_multiple_of(align) && place.begin >= run, "{size} {align}");
                assert!(place.begin + size <= run + pages * page);
                assert!(place.open_begin <= place.begin && place.open_end >= place.begin + size);
                // What is behind the block in its last page is less than the alignment.
                assert!(place.open_end - place.begin - size < align.min(page), "{size} {align} {place:?}");
            }
        }
    }

    #[test]
    fn a_block_without_bytes_opens_nothing() {
        let page = page_size();
        let place = Place::new(page, 2 * page, 0, 16);
        assert_eq!(place.open_begin, place.open_end);
        assert!(place.begin >= page && place.begin < 2 * page);
    }
}

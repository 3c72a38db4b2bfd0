//! A reservation of address space by `mmap`, of which pages are made usable as the heap grows.

use core::ops::Range;
use core::ptr::NonNull;

use cairn_core::os;

use super::Source;

/// Pages that are made usable at a time, at least, in bytes: fewer system calls.
const COMMIT_STEP: usize = 64 << 10;

/// Memory from `mmap`, up to a greatest number of bytes, in one piece. The address space is reserved at the first use and given back
/// when the source is dropped, with whatever lives in it.
#[derive(Debug)]
pub struct Map {
    limit: usize,
    at: Option<NonNull<u8>>,
    given: usize,
    committed: usize,
}

// SAFETY: the reservation has one user, whichever thread that is.
unsafe impl Send for Map {}

impl Map {
    /// At most `limit` bytes, rounded up to whole pages.
    pub const fn new(limit: usize) -> Self {
        Self { limit, at: None, given: 0, committed: 0 }
    }

    /// The reservation, made at the first call.
    fn start(&mut self) -> Option<NonNull<u8>> {
        if self.at.is_none() {
            self.limit = self.limit.checked_next_multiple_of(os::page_size())?;
            self.at = os::reserve(self.limit);
            if let Some(at) = self.at {
                at.as_ptr().expose_provenance();
            }
        }
        self.at
    }

    /// Makes the first `bytes` bytes usable.
    fn commit(&mut self, bytes: usize) -> bool {
        let Some(start) = self.start() else { return false };
        let Some(wanted) = bytes.checked_sub(self.committed).filter(|&wanted| wanted > 0) else {
            return true;
        };
        let exact = wanted.next_multiple_of(os::page_size());
        let step = exact.max(COMMIT_STEP).min(self.limit - self.committed);
        // SAFETY: both ranges are whole pages of the reservation.
        let done = unsafe { os::commit(start.as_ptr().add(self.committed), step) };
        self.committed += if done { step } else { 0 };
        done
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        if let Some(at) = self.at {
            // SAFETY: the reservation was made by `start`, and the contract of `Source` ends the use of it here.
            let _ = unsafe { os::unmap(at.as_ptr(), self.limit) };
        }
    }
}

// SAFETY: pieces follow each other within one reservation, committed before they are given; its provenance is exposed.
unsafe impl Source for Map {
    fn lowest(&mut self) -> Option<usize> {
        Some(self.start()?.as_ptr().addr())
    }

    fn position(&mut self) -> Option<usize> {
        Some(self.start()?.as_ptr().addr() + self.given)
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        let position = self.position()?;
        let left = self.limit - self.given;
        for bytes in [wish.min(left), least] {
            if bytes == 0 || bytes < least || bytes > left {
                continue;
            }
            if self.commit(self.given + bytes) {
                self.given += bytes;
                return Some(position..position + bytes);
            }
        }
        None
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        debug_assert_eq!(Some(end), self.position());
        let (Some(start), Some(given)) = (self.at, self.given.checked_sub(bytes)) else { return false };
        self.given = given;
        let from = given.next_multiple_of(os::page_size());
        if from < self.committed {
            // SAFETY: whole pages above what is given, committed, and not needed, says the caller. If the kernel keeps them, nothing
            // is lost but memory.
            unsafe { os::purge(start.as_ptr().add(from), self.committed - from) };
        }
        true
    }
}

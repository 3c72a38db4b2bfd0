//! A fixed region that the caller owns.

use core::ops::Range;

use super::Source;

/// One region of memory, handed to the heap piece by piece, so that a heap's extent says how much of it was ever needed.
///
/// ```
/// use cairn_heap::{Heap, Region, Standard, TwoLevel};
/// use core::alloc::Layout;
///
/// let memory = Box::leak(vec![0; 65_536].into_boxed_slice());
/// let mut heap = Heap::<_, TwoLevel, Standard>::new(Region::new(memory));
/// let block = heap.allocate(Layout::new::<[u64; 10]>()).unwrap();
/// // SAFETY: the block comes from this heap and is freed once.
/// unsafe { heap.deallocate(block) }.unwrap();
/// ```
#[derive(Debug)]
pub struct Region {
    at: *mut u8,
    bytes: usize,
    given: usize,
}

// SAFETY: the region has one user, whichever thread that is.
unsafe impl Send for Region {}

impl Region {
    /// The memory of a slice, for ever.
    pub const fn new(memory: &'static mut [u8]) -> Self {
        let bytes = memory.len();
        // SAFETY: the slice was the only way to its memory, and it is given up for ever.
        unsafe { Self::from_raw(memory.as_mut_ptr(), bytes) }
    }

    /// `bytes` bytes at `at`; none is allowed.
    ///
    /// # Safety
    /// The memory is valid for reads and writes and nobody else uses it, as long as the region or a heap on it exists.
    pub const unsafe fn from_raw(at: *mut u8, bytes: usize) -> Self {
        Self { at, bytes, given: 0 }
    }

    /// Bytes that no heap took yet.
    pub(super) fn left(&self) -> usize {
        self.bytes - self.given
    }

    /// Whether there never was anything to give.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Where the region begins.
    pub(super) fn start(&self) -> usize {
        self.at.expose_provenance()
    }
}

// SAFETY: pieces follow each other within the region, which is as `from_raw` demands; `start` exposes its provenance.
unsafe impl Source for Region {
    fn lowest(&mut self) -> Option<usize> {
        Some(self.start())
    }

    fn position(&mut self) -> Option<usize> {
        Some(self.start() + self.given)
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        let bytes = wish.min(self.left());
        if bytes == 0 || bytes < least {
            return None;
        }
        let start = self.start() + self.given;
        self.given += bytes;
        Some(start..start + bytes)
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        debug_assert_eq!(end, self.start() + self.given);
        let Some(given) = self.given.checked_sub(bytes) else { return false };
        self.given = given;
        true
    }
}

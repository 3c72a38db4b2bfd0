//! The program break: the end of the classic heap of a Unix process.

use core::ops::Range;

use cairn_core::os;

use super::Source;

/// Memory from `sbrk`, up to a greatest number of bytes. The break rises as the heap grows and falls when its top is free.
///
/// Others may move the break too (the C library's malloc does): the heap then begins a new segment behind them. There is one program
/// break, so two heaps on it get in each other's way, but into no trouble.
#[derive(Debug)]
pub struct Break {
    limit: usize,
    taken: usize,
    lowest: Option<usize>,
}

impl Break {
    /// At most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { limit, taken: 0, lowest: None }
    }
}

// SAFETY: the kernel gives fresh, readable and writable memory at the break, above all it gave before; the pointer it comes by
// exposes its provenance. Between the look at the break and its rise another thread may move it, so what counts is
// what the rise says.
unsafe impl Source for Break {
    fn lowest(&mut self) -> Option<usize> {
        // Without memory of ours nothing keeps the break from falling below where it once was.
        if self.lowest.is_none() || self.taken == 0 {
            self.lowest = Some(os::program_break());
        }
        self.lowest
    }

    fn position(&mut self) -> Option<usize> {
        Some(os::program_break())
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        let left = self.limit - self.taken;
        self.lowest()?;
        for bytes in [wish.min(left), least] {
            if bytes == 0 || bytes < least || bytes > left {
                continue;
            }
            if let Some(start) = os::raise_break(bytes) {
                let start = start.as_ptr().expose_provenance();
                if self.lowest > Some(start) {
                    // Another thread lowered the break after we had looked at it: not now.
                    // SAFETY: these bytes came this moment, and nobody has seen them.
                    unsafe { os::lower_break(bytes) };
                    return None;
                }
                self.taken += bytes;
                return Some(start..start + bytes);
            }
        }
        None
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        // SAFETY: the bytes below the break are ours (it is where our last piece ended) and not needed, says the caller. A
        // thread that moves the break at this very moment without a lock would lose its memory: `sbrk` has no other way.
        let lowered = os::program_break() == end && unsafe { os::lower_break(bytes) };
        self.taken -= if lowered { bytes } else { 0 };
        lowered
    }
}

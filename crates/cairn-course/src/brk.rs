//! The program break as a source that gives back all it took, to the last byte.
//!
//! ```text
//!   the break before        the heap's segment                       the break now
//!        │ (up to 15 bytes)  │ record │ block │ block │ ... │ mark │ │
//!        ▲ run.start                                                 ▲ run.end
//! ```
//! A heap aligns its first block, so it never gives back the few bytes below its segment: this source does, when all the
//! others of the run are gone.
//!
//! The heaps of this library have a lock each, but one program break: whoever moves it is inside [`BREAK`]. (What other libraries
//! do to the break at the same time can't be helped: the C library's malloc does it under a lock of its own.)

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::lock::Lock;
use cairn_core::os;
use cairn_heap::{Break, Source};

/// The alignment of the heaps that give all back: fewer bytes than this stay below a segment. (`dmalloc` with a word of 32 or 64 bytes may
/// leave more; they are lost. A larger number here would mistake a segment with one small block for an empty one.)
const ALIGN_MAX: usize = 16;

/// Held while a heap of this library looks at the break and moves it; taken inside the heap's own lock.
static BREAK: Lock = Lock::new();

/// The pieces that touch each other, below the break as this source left it. In a static, so that it outlives the heap; changed
/// only under the heap's lock, so the atomics are but a way to say that in safe code.
pub struct Run {
    start: AtomicUsize,
    end: AtomicUsize,
}

impl Run {
    /// No piece.
    pub const fn new() -> Self {
        Self { start: AtomicUsize::new(0), end: AtomicUsize::new(0) }
    }

    fn set(&self, start: usize, end: usize) {
        self.start.store(start, Relaxed);
        self.end.store(end, Relaxed);
    }

    /// Gives all pieces back, if the break is where they end; if not, they are lost.
    ///
    /// # Safety
    /// The heap on them, and all its blocks, are forgotten.
    pub unsafe fn give_back(&self) {
        let (start, end) = (self.start.load(Relaxed), self.end.load(Relaxed));
        let _alone = BREAK.hold();
        if start != end && os::program_break() == end {
            // SAFETY: these bytes came from the break, and nobody needs them, says the caller.
            unsafe { os::lower_break(end - start) };
        }
        self.set(0, 0);
    }
}

/// Memory from `sbrk`, up to a greatest number of bytes.
pub struct Brk {
    inner: Break,
    run: &'static Run,
}

impl Brk {
    /// At most `limit` bytes, whose extent is written into `run`, which no other source uses.
    pub const fn new(limit: usize, run: &'static Run) -> Self {
        Self { inner: Break::new(limit), run }
    }
}

// SAFETY: as `Break`, whose pieces these are. After all of a run went back, the next piece may begin up to 15 bytes below what
// the heap gave back: not below `lowest`, and not below the end of any piece that the heap still has.
unsafe impl Source for Brk {
    fn lowest(&mut self) -> Option<usize> {
        self.inner.lowest()
    }

    fn position(&mut self) -> Option<usize> {
        self.inner.position()
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        let _alone = BREAK.hold();
        let piece = self.inner.grow(least, wish)?;
        let touches = self.run.end.load(Relaxed) == piece.start;
        self.run.set(if touches { self.run.start.load(Relaxed) } else { piece.start }, piece.end);
        Some(piece)
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        let _alone = BREAK.hold();
        let start = self.run.start.load(Relaxed);
        let stays = (end - bytes).wrapping_sub(start);
        let bytes = if stays < ALIGN_MAX { bytes + stays } else { bytes };
        // SAFETY: passed on to the caller; the few bytes more lie below the heap's segment, and nothing is in them.
        let taken = unsafe { self.inner.shrink(end, bytes) };
        if taken {
            self.run.set(start, end - bytes);
        }
        taken
    }
}

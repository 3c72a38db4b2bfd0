//! What a thread has in its hands: free blocks on their way between its bins and the places that all threads share.
//!
//! It may have to wait for a lock with them, and if the process forks meanwhile, its child finds them here and gives them back to
//! their slabs. So none may ever be here and elsewhere at once *for a fork to see*: they come into the hands and leave them under the
//! lock of the other place, which a fork waits for. Where there is no lock (a bin, a transfer stack) they are out of one before they are in
//! the other: a fork right between two instructions loses them, to the child only.

use core::cell::UnsafeCell;

use cairn_core::ord;
#[cfg(not(any(loom, shuttle)))]
use cairn_core::os;
use cairn_core::sync::{AtomicUsize, Ordering::Relaxed, compiler_fence};

use crate::transfer::BATCH_MAX;

/// Blocks of one class. All zeroes is none.
pub struct Hands {
    class: AtomicUsize,
    count: AtomicUsize,
    blocks: UnsafeCell<[*mut u8; BATCH_MAX]>,
}

// SAFETY: used by the heap's thread only, or by a fork's child if that thread no longer exists. (Who looks for a block reads the count, and slots
// that their thread may be writing; what it finds there counts only if the block can't have left, see `has`.)
unsafe impl Sync for Hands {}
// SAFETY: blocks belong to no thread.
unsafe impl Send for Hands {}

impl Hands {
    /// Hands with nothing in them.
    #[cfg(any(loom, shuttle))]
    pub fn empty() -> Hands {
        Hands {
            class: AtomicUsize::new(0),
            count: AtomicUsize::new(0),
            blocks: UnsafeCell::new([core::ptr::null_mut(); BATCH_MAX]),
        }
    }

    /// The blocks.
    pub fn blocks(&self) -> &[*mut u8] {
        // SAFETY: one thread uses them, and `add` lends only what lies behind the first `count`.
        unsafe { core::slice::from_raw_parts(self.blocks.get().cast(), self.count.load(Relaxed)) }
    }

    /// Whether a block is among them, for another thread too. A block that had left them before it came to the caller is not found: the count
    /// that the caller reads is that of the time, or a later one.
    #[cfg(not(any(loom, shuttle)))]
    pub fn has(&self, block: usize) -> bool {
        let count = self.count.load(Relaxed).min(BATCH_MAX);
        // What lies behind a count that was seen was written before it.
        if count == 0 || !os::barrier_everywhere() {
            return false;
        }
        let blocks = self.blocks.get().cast::<*mut u8>();
        // SAFETY: there are so many slots; volatile, since their thread may write there.
        (0..count).any(|slot| unsafe { blocks.add(slot).read_volatile() }.addr() == block)
    }

    /// Their class.
    pub fn class(&self) -> usize {
        self.class.load(Relaxed)
    }

    /// Adds up to `most` blocks of `class`, as many as there is room for. `source` gets the slots and a function to be called with the
    /// number of blocks that it wrote, under the lock of the place where they were; it returns that number.
    pub fn add(
        &self,
        class: usize,
        most: usize,
        source: impl FnOnce(&mut [*mut u8], &dyn Fn(usize)) -> usize,
    ) -> usize {
        let before = self.count.load(Relaxed);
        debug_assert!(before == 0 || self.class() == class);
        let most = most.min(BATCH_MAX - before);
        // SAFETY: the slots behind the blocks are nobody's, and one thread uses them.
        let slots =
            unsafe { core::slice::from_raw_parts_mut(self.blocks.get().cast::<*mut u8>().add(before), most) };
        self.class.store(class, Relaxed);
        source(slots, &|count| self.keep(before + count))
    }

    /// All but the first `count` blocks are elsewhere now.
    pub fn keep(&self, count: usize) {
        compiler_fence(ord!("hands-before", SeqCst));
        // Relaxed: who finds the thread stopped sees its memory in the order that the fences keep.
        self.count.store(count, Relaxed);
        compiler_fence(ord!("hands-after", SeqCst));
    }
}

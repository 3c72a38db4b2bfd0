//! What the heap holds, counted exactly when asked: nothing is counted on the fast path.

use crate::class::CLASS_COUNT;

/// One size class.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClassStatistics {
    /// Block size in bytes.
    pub block_size: usize,
    /// Blocks that the program holds.
    pub live_blocks: usize,
    /// Free blocks in the bins of threads.
    pub bin_blocks: usize,
    /// Free blocks between threads: in the transfer stack and on the shelves of CPUs.
    pub stack_blocks: usize,
    /// Free blocks in slabs that were handed out before.
    pub slab_free_blocks: usize,
    /// Blocks in slabs that were never handed out.
    pub uncarved_blocks: usize,
    /// Bytes of all slabs.
    pub slab_bytes: usize,
}

/// The whole heap. All sizes are in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Statistics {
    /// By size class; index 0 is unused.
    pub classes: [ClassStatistics; CLASS_COUNT],
    /// Blocks in spans of their own that the program holds: all above `MEDIUM_MAX`, and some smaller ones, for their alignment, because
    /// they are to read as zero, or because they grew or shrank.
    pub large_blocks: usize,
    /// Their usable bytes.
    pub large_bytes: usize,
    /// Free spans whose pages may be in memory.
    pub free_dirty_bytes: usize,
    /// Free spans whose pages were never touched or were given back.
    pub free_clean_bytes: usize,
    /// Memory for Cairn's own records (descriptors, bitmaps, bins).
    pub metadata_bytes: usize,
    /// Address space reserved from the kernel.
    pub reserved_bytes: usize,
    /// Part of it that may be read and written.
    pub committed_bytes: usize,
    /// Bytes given back to the kernel since the start, all times together.
    pub purged_bytes: usize,
    /// Threads that have bins now.
    pub threads: usize,
}

impl Default for Statistics {
    fn default() -> Self {
        Statistics {
            classes: [ClassStatistics::default(); CLASS_COUNT],
            large_blocks: 0,
            large_bytes: 0,
            free_dirty_bytes: 0,
            free_clean_bytes: 0,
            metadata_bytes: 0,
            reserved_bytes: 0,
            committed_bytes: 0,
            purged_bytes: 0,
            threads: 0,
        }
    }
}

impl Statistics {
    /// Bytes in blocks that the program holds, rounding included.
    pub fn live_bytes(&self) -> usize {
        self.large_bytes + self.classes.iter().map(|c| c.live_blocks * c.block_size).sum::<usize>()
    }

    /// Bytes in blocks of size classes that are free: in bins, stacks, shelves and slabs.
    pub fn small_free_bytes(&self) -> usize {
        let free = |c: &ClassStatistics| (c.bin_blocks + c.stack_blocks + c.slab_free_blocks) * c.block_size;
        self.classes.iter().map(free).sum()
    }
}

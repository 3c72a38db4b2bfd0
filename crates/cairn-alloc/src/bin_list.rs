//! A bin as a list through the free blocks.

use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

use crate::transfer::BATCH_MAX;

/// The part that the fast path uses.
#[repr(C)]
pub struct Bin {
    head: AtomicPtr<u8>,
    room: AtomicUsize,
}

/// The rest of a bin.
pub struct Cold {
    capacity: usize,
    /// Whether the bin was full since it last grew or was empty.
    pub overflowed: bool,
    seen: usize,
    idle: u8,
}

impl Bin {
    /// Empty and full at once.
    pub const fn nothing() -> Bin {
        Bin { head: AtomicPtr::new(ptr::null_mut()), room: AtomicUsize::new(0) }
    }

    /// Takes the newest block; null if the bin is empty.
    #[inline(always)]
    pub fn pop(&self) -> *mut u8 {
        let block = self.head.load(Relaxed);
        if !block.is_null() {
            // SAFETY: a free block's first word is the link.
            self.head.store(unsafe { *block.cast() }, Relaxed);
            self.room.store(self.room.load(Relaxed) + 1, Relaxed);
        }
        block
    }

    /// Puts a block in; false if the bin is full.
    #[inline(always)]
    pub fn push(&self, block: *mut u8) -> bool {
        let room = self.room.load(Relaxed);
        if room == 0 {
            return false;
        }
        // SAFETY: the block is free and at least a word long.
        unsafe { *block.cast() = self.head.load(Relaxed) };
        self.head.store(block, Relaxed);
        self.room.store(room - 1, Relaxed);
        true
    }

    /// Blocks that it holds.
    pub fn len(&self, cold: &Cold) -> usize {
        cold.capacity - self.room.load(Relaxed)
    }

    /// How many blocks another thread's bin holds.
    ///
    /// # Safety
    /// `cold` belongs to this bin.
    pub unsafe fn peek(&self, cold: *const Cold, most: usize) -> usize {
        // SAFETY: a race gives a wrong number.
        let len = unsafe { (*cold).capacity }.wrapping_sub(self.room.load(Relaxed));
        if len <= most { len } else { 0 }
    }

    /// Blocks that it may hold.
    pub fn capacity(&self, cold: &Cold) -> usize {
        cold.capacity
    }

    /// Changes how many blocks it may hold, at least as many as it does.
    pub fn set_capacity(&self, cold: &mut Cold, capacity: usize) -> bool {
        let len = self.len(cold);
        cold.capacity = capacity;
        self.room.store(capacity - len, Relaxed);
        true
    }

    /// Fills the empty bin with up to `want` blocks from `source`.
    pub fn fill(&self, _: &Cold, want: usize, source: impl FnOnce(&mut [*mut u8]) -> usize) -> usize {
        let mut blocks = [ptr::null_mut(); BATCH_MAX];
        let count = source(&mut blocks[..want.min(BATCH_MAX)]);
        for &block in blocks[..count].iter().rev() {
            self.push(block);
        }
        count
    }

    /// Takes the newest blocks out.
    pub fn drain(&self, _: &Cold, out: &mut [*mut u8]) -> usize {
        for (count, slot) in out.iter_mut().enumerate() {
            *slot = self.pop();
            if slot.is_null() {
                return count;
            }
        }
        out.len()
    }

    /// How many calls in a row found the bin as the call before did.
    pub fn idle_looks(&self, cold: &mut Cold) -> u8 {
        let now = self.room.load(Relaxed);
        let idle = core::mem::replace(&mut cold.seen, now) == now;
        cold.idle = if idle { cold.idle.saturating_add(1) } else { 0 };
        cold.idle
    }
}

impl Cold {
    /// For an empty bin.
    pub const fn nothing() -> Cold {
        Cold { capacity: 0, overflowed: false, seen: 0, idle: 0 }
    }
}

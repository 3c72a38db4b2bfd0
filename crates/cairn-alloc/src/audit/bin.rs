//! Of the audit: looking into a bin.
//!
//! The bin of a thread that runs changes while it is read. While the lock of the records is held, though, no array is given back, so
//! what is read is an array of this bin, now or a moment ago; and the order of its thread's stores (see `push` and
//! `change_array`) makes sure that a top which was seen together with the same base before and after it belongs to
//! that array, and that each slot below it held a block that was in the bin at that moment or came into it later.

use core::sync::atomic::Ordering::{Acquire, Relaxed};

use cairn_core::os;

use super::{Bin, Cold, NULL_END, Slot};

/// A bin's array, as far as it was filled at some moment.
#[derive(Clone, Copy)]
pub struct Filled {
    base: *mut Slot,
    /// Slots from the base to the top, which may be anything in a damaged heap.
    pub len: usize,
}

impl Bin {
    /// How far the bin is filled; None if it has no array or is just changing it.
    pub fn look(&self, cold: &Cold) -> Option<Filled> {
        let base = cold.base.load(Acquire);
        if base == NULL_END || !os::barrier_everywhere() {
            return None;
        }
        let top = self.top.load(Acquire);
        if top == NULL_END || !os::barrier_everywhere() || cold.base.load(Relaxed) != base {
            return None;
        }
        Some(Filled::until(base, top))
    }

    /// The same for its own thread, or if nobody uses it.
    pub fn look_own(&self, cold: &Cold) -> Option<Filled> {
        let base = cold.base.load(Relaxed);
        (base != NULL_END).then(|| Filled::until(base, self.top.load(Relaxed)))
    }

    /// Whether the bin is one without an array. For its own thread, or if none has it.
    pub fn is_nothing(&self, cold: Option<&Cold>) -> bool {
        let cold_too = |cold: &Cold| cold.base.load(Relaxed) == NULL_END && cold.slots.get() == 0;
        self.top.load(Relaxed) == NULL_END && self.limit.get() == NULL_END && cold.is_none_or(cold_too)
    }

    /// Slots that may be filled and slots that there are. For its own thread, or if none has it.
    pub fn extent(&self, cold: &Cold) -> (usize, usize) {
        let base = cold.base.load(Relaxed).addr();
        (self.limit.get().addr().wrapping_sub(base) / size_of::<Slot>(), cold.slots.get().into())
    }

    /// Whether the block is in this slot now.
    pub fn has(&self, cold: &Cold, slot: usize, block: usize) -> bool {
        self.look(cold).is_some_and(|now| slot < now.len && now.block(slot) == block)
    }
}

impl Filled {
    fn until(base: *mut Slot, top: *mut Slot) -> Filled {
        let bytes = top.addr().wrapping_sub(base.addr());
        // An odd number of bytes is as wrong as a length that is too great.
        let len =
            if bytes.is_multiple_of(size_of::<Slot>()) { bytes / size_of::<Slot>() } else { usize::MAX };
        Filled { base, len }
    }

    /// Where the array begins: one slot before the base.
    pub fn array(self) -> usize {
        self.base.addr() - size_of::<Slot>()
    }

    /// Whether null still stands below the oldest block.
    pub fn has_null_below(self) -> bool {
        // SAFETY: the array begins there, says the caller, who has seen that it lies in records.
        unsafe { self.base.sub(1).read_volatile() }.is_null()
    }

    /// The block in a slot below the length, of which the caller has seen that it is within bounds.
    pub fn block(self, slot: usize) -> usize {
        // SAFETY: the array has that many slots, and is not given back as long as the records are locked. Volatile: its thread
        // may be writing there.
        unsafe { self.base.add(slot).read_volatile() }.addr()
    }
}

/// The null that bins without an array point behind is still there.
pub fn null_is_null() -> bool {
    super::NULL.load(Relaxed) == 0
}

/// Ways to damage a bin, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// The address of the top, of the limit and of the base.
    pub fn fields(bin: &Bin, cold: &Cold) -> [*mut *mut Slot; 3] {
        [bin.top.as_ptr(), bin.limit.as_ptr(), cold.base.as_ptr()]
    }
}

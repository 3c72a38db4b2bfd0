//! A bin: the free blocks of one class that one thread keeps at hand, as an array of pointers (docs/decisions/bins.md).
//!
//! ```text
//!   array:  │ null │ oldest │ ...    │ newest │        │        │  up to the limit, then spare
//!                   ^ base                     ^ top             ^ limit
//! ```
//! `top[-1]` is the newest block; below the oldest one stands a null, so that an empty bin yields null without a
//! comparison. The bin is empty iff `top == base`, full iff `top == limit`. A bin without an array points at a shared null
//! and is empty and full at once.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed, compiler_fence};

use crate::records;

type Slot = *mut u8;

/// The part that the fast path uses. Written by its thread only; `top` may be read by others, for statistics.
#[repr(C)]
pub struct Bin {
    top: AtomicPtr<Slot>,
    limit: Cell<*mut Slot>,
}

// SAFETY: `limit` is used by the bin's thread only; others read nothing but `top`. (A fork's child uses the bins of threads
// that no longer exist.)
unsafe impl Sync for Bin {}

/// The rest of a bin.
#[repr(C)]
pub struct Cold {
    /// The slot behind the null.
    base: AtomicPtr<Slot>,
    /// Slots of the array, the null not counted; 0 without an array.
    slots: u16,
    /// Whether the bin was full since it last grew or was empty.
    pub overflowed: bool,
    /// The length when the bin was last looked at, to see whether it is in use,
    seen: u16,
    /// and for how many looks it has not changed.
    idle: u8,
}

/// What a bin without an array points at.
static NULL: AtomicUsize = AtomicUsize::new(0);
const NULL_END: *mut Slot = (&raw const NULL).wrapping_add(1).cast_mut().cast();

impl Bin {
    /// A bin without an array: empty and full at once.
    pub const fn nothing() -> Bin {
        Bin { top: AtomicPtr::new(NULL_END), limit: Cell::new(NULL_END) }
    }

    /// `top`, for the bin's own thread: it alone writes it, so a plain read races with nothing, and the compiler may fold it
    /// into another instruction.
    #[inline(always)]
    fn own_top(&self) -> *mut Slot {
        // SAFETY: see above; the pointer is valid as long as the bin.
        unsafe { *self.top.as_ptr() }
    }

    /// Takes the newest block; null if the bin is empty.
    #[inline(always)]
    pub fn pop(&self) -> *mut u8 {
        let top = self.own_top();
        // SAFETY: below `top` is a block or the null.
        let block = unsafe { *top.sub(1) };
        if !block.is_null() {
            self.top.store(top.wrapping_sub(1), Relaxed);
        }
        block
    }

    /// Puts a block in; false if the bin is full.
    #[inline(always)]
    pub fn push(&self, block: *mut u8) -> bool {
        let top = self.own_top();
        if top == self.limit.get() {
            return false;
        }
        // SAFETY: below the limit all slots are ours.
        unsafe { *top = block };
        // A fork's child finds the block in its slot whenever it finds `top` above it.
        compiler_fence(core::sync::atomic::Ordering::Release);
        self.top.store(top.wrapping_add(1), Relaxed);
        true
    }

    /// Blocks that it holds.
    #[inline]
    pub fn len(&self, cold: &Cold) -> usize {
        (self.top.load(Relaxed).addr().wrapping_sub(cold.base.load(Relaxed).addr())) / size_of::<Slot>()
    }

    /// How many blocks another thread's bin holds, at most `most`; 0 if it changes its array at this moment.
    ///
    /// # Safety
    /// `cold` belongs to this bin.
    pub unsafe fn peek(&self, cold: *const Cold, most: usize) -> usize {
        // SAFETY: only the atomic field is touched.
        let base = unsafe { (*cold).base.load(Relaxed) };
        let len = self.top.load(Relaxed).addr().wrapping_sub(base.addr()) / size_of::<Slot>();
        if len <= most { len } else { 0 }
    }

    /// Blocks that it may hold.
    #[inline]
    pub fn capacity(&self, cold: &Cold) -> usize {
        (self.limit.get().addr() - cold.base.load(Relaxed).addr()) / size_of::<Slot>()
    }

    /// Changes how many blocks it may hold, at least as many as it does; false, and no change, if memory is short.
    pub fn set_capacity(&self, cold: &mut Cold, capacity: usize) -> bool {
        let len = self.len(cold);
        debug_assert!(len <= capacity);
        if capacity > usize::from(cold.slots) || capacity == 0 {
            let fresh = if capacity == 0 { NULL_END } else { array(capacity) };
            if fresh.is_null() {
                return false;
            }
            let (old, slots) = (cold.base.load(Relaxed), cold.slots);
            // SAFETY: the old array holds `len` blocks and the new one has room for them; then the old one is ours alone.
            unsafe {
                ptr::copy_nonoverlapping(old, fresh, len);
                self.top.store(fresh.add(len), Relaxed);
                give_array(old, slots);
            }
            cold.base.store(fresh, Relaxed);
            cold.slots = if capacity == 0 { 0 } else { slots_for(capacity) as u16 };
        }
        self.limit.set(cold.base.load(Relaxed).wrapping_add(capacity));
        true
    }

    /// Fills the empty bin with up to `want` blocks from `source`, which gets the slots to fill, lowest address first.
    pub fn fill(&self, cold: &Cold, want: usize, source: impl FnOnce(&mut [Slot]) -> usize) -> usize {
        debug_assert!(self.len(cold) == 0 && want <= self.capacity(cold));
        let base = cold.base.load(Relaxed);
        // SAFETY: `want` slots from the base are ours.
        let slots = unsafe { core::slice::from_raw_parts_mut(base, want) };
        let count = source(slots);
        // The lowest address goes out first.
        slots[..count].reverse();
        compiler_fence(core::sync::atomic::Ordering::Release);
        self.top.store(base.wrapping_add(count), Relaxed);
        count
    }

    /// Takes the newest blocks out, as many as `out` holds or there are; returns how many.
    pub fn drain(&self, cold: &Cold, out: &mut [*mut u8]) -> usize {
        let count = out.len().min(self.len(cold));
        let top = self.own_top().wrapping_sub(count);
        // SAFETY: the `count` slots below the old top hold blocks of ours.
        unsafe { ptr::copy_nonoverlapping(top, out.as_mut_ptr(), count) };
        self.top.store(top, Relaxed);
        count
    }

    /// How many calls in a row found the bin as the call before did: how long it has been idle.
    pub fn idle_looks(&self, cold: &mut Cold) -> u8 {
        let now = self.len(cold) as u16;
        let idle = core::mem::replace(&mut cold.seen, now) == now;
        cold.idle = if idle { cold.idle.saturating_add(1) } else { 0 };
        cold.idle
    }
}

impl Cold {
    /// For a bin without an array.
    pub const fn nothing() -> Cold {
        Cold { base: AtomicPtr::new(NULL_END), slots: 0, overflowed: false, seen: 0, idle: 0 }
    }
}

/// Slots in the array that is taken for a capacity: the piece of records is a power of two, less the null.
fn slots_for(capacity: usize) -> usize {
    ((capacity + 1) * size_of::<Slot>()).next_power_of_two().max(records::PIECE_MIN) / size_of::<Slot>() - 1
}

/// A new array's first slot behind the null; null if memory is short.
fn array(capacity: usize) -> *mut Slot {
    let piece: *mut Slot = records::take((slots_for(capacity) + 1) * size_of::<Slot>()).cast();
    if piece.is_null() {
        return piece;
    }
    // SAFETY: the piece holds at least two slots.
    unsafe {
        *piece = ptr::null_mut();
        piece.add(1)
    }
}

/// Gives an array back.
///
/// # Safety
/// `base` came from [`array`] and nobody uses it any more, or `slots` is 0.
unsafe fn give_array(base: *mut Slot, slots: u16) {
    if slots > 0 {
        // SAFETY: the piece began one slot before the base.
        unsafe { records::give(base.sub(1).cast(), (usize::from(slots) + 1) * size_of::<Slot>()) };
    }
}

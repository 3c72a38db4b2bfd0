//! A bin: the free blocks of one class that one thread keeps at hand, as an array of pointers (docs/decisions/bins.md).
//!
//! ```text
//!   array:  │ null │ oldest │ ...    │ newest │        │        │  up to the limit, then spare
//!                   ^ base                     ^ top             ^ limit
//! ```
//! `top[-1]` is the newest block; below the oldest one stands a null, so that an empty bin yields null without a
//! comparison. The bin is empty iff `top == base`, full iff `top == limit`. A bin without an array points at a shared null
//! and is empty and full at once; so is one that is shut, which has an array and `limit == base`.

#[cfg(not(any(loom, shuttle, cairn_mutants)))]
#[path = "audit/bin.rs"]
pub mod audit;

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::AtomicUsize;

use cairn_core::hint::copy_few;
use cairn_core::ord;
use cairn_core::sync::{self, AtomicPtr, Ordering::Relaxed, compiler_fence};

use crate::records;

type Slot = *mut u8;

/// The part that the fast path uses. Written by its thread only; `top` may be read by others, for statistics.
#[repr(C)]
pub struct Bin {
    top: AtomicPtr<Slot>,
    limit: Cell<*mut Slot>,
}

// SAFETY: `limit` is used by the bin's thread only; others read nothing but `top`, and audits. (A fork's child uses the bins of threads
// that no longer exist.)
unsafe impl Sync for Bin {}

/// The rest of a bin.
#[repr(C)]
pub struct Cold {
    /// The slot behind the null.
    base: AtomicPtr<Slot>,
    /// Slots of the array, the null not counted; 0 without an array.
    slots: Cell<u16>,
    /// How often the bin was full since it was empty; 255 for more.
    pub fulls: Cell<u8>,
    /// Whether the bin was ever empty after it had been full, since the thread began: it takes what it frees.
    pub swings: Cell<bool>,
    /// How many batches it got that perhaps another thread had freed; 255 for more.
    pub fed: Cell<u8>,
    /// The granule of a slab of the thread's own, perhaps.
    pub slab: Cell<u32>,
    /// The length when the bin was last looked at, to see whether it is in use,
    seen: Cell<u16>,
    /// and for how many looks it has not changed.
    idle: Cell<u8>,
    /// How many batches it got whose blocks lay apart, see [`Cold::arrange`].
    batches_apart: Cell<u8>,
}

// SAFETY: the cells are used by the bin's thread only; others read nothing but `base`, and audits. (A fork's child uses the bins of
// threads that no longer exist.)
unsafe impl Sync for Cold {}

/// So many batches of a bin have their blocks apart, see [`Cold::arrange`],
const BATCHES_APART: u8 = 8;
/// if they are of no more blocks than this.
pub const SPREAD_MAX: usize = 128;

/// A bin that is shut keeps an array of at most so many slots.
const KEPT_SLOTS: usize = 31;

/// What a bin without an array points at.
static NULL: AtomicUsize = AtomicUsize::new(0);
const NULL_END: *mut Slot = (&raw const NULL).wrapping_add(1).cast_mut().cast();

impl Bin {
    /// A bin without an array: empty and full at once.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn nothing() -> Bin {
        Bin { top: AtomicPtr::new(NULL_END), limit: Cell::new(NULL_END) }
    }

    /// A bin without an array: empty and full at once.
    #[cfg(any(loom, shuttle))]
    pub fn nothing() -> Bin {
        Bin { top: AtomicPtr::new(NULL_END), limit: Cell::new(NULL_END) }
    }

    /// `top`, for the bin's own thread: it alone writes it, so a plain read races with nothing, and the compiler may fold it
    /// into another instruction.
    #[inline(always)]
    fn own_top(&self) -> *mut Slot {
        // SAFETY: see above.
        unsafe { sync::own(&self.top) }
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
        self.push_if(block, || true)
    }

    /// Puts a block in if there is room and then `mark`, which does not use the bin, says yes.
    #[inline(always)]
    pub fn push_if(&self, block: *mut u8, mark: impl FnOnce() -> bool) -> bool {
        let top = self.own_top();
        if top == self.limit.get() || !mark() {
            return false;
        }
        // SAFETY: below the limit all slots are ours.
        unsafe { *top = block };
        // A fork's child finds the block in its slot whenever it finds `top` above it.
        compiler_fence(ord!("bin-push", Release));
        self.top.store(top.wrapping_add(1), Relaxed);
        true
    }

    /// Blocks that it holds.
    #[inline]
    pub fn len(&self, cold: &Cold) -> usize {
        (self.top.load(Relaxed).addr().wrapping_sub(cold.base.load(Relaxed).addr())) / size_of::<Slot>()
    }

    /// How many blocks another thread's bin holds, at most `most`; 0 if it changes its array at this moment.
    pub fn peek(&self, cold: &Cold, most: usize) -> usize {
        let len = self.len(cold);
        if len <= most { len } else { 0 }
    }

    /// Blocks that it may hold.
    #[inline]
    pub fn capacity(&self, cold: &Cold) -> usize {
        (self.limit.get().addr() - cold.base.load(Relaxed).addr()) / size_of::<Slot>()
    }

    /// Changes how many blocks it may hold, at least as many as it does; false, and no change, if memory is short.
    pub fn set_capacity(&self, cold: &Cold, capacity: usize) -> bool {
        debug_assert!(self.len(cold) <= capacity);
        if capacity > usize::from(cold.slots.get()) || capacity == 0 {
            let fresh = if capacity == 0 { NULL_END } else { array(capacity) };
            if fresh.is_null() {
                return false;
            }
            self.change_array(cold, fresh, if capacity == 0 { 0 } else { slots_for(capacity) as u16 });
        }
        if capacity == 0 {
            cold.forget();
        }
        self.limit.set(cold.base.load(Relaxed).wrapping_add(capacity));
        true
    }

    /// Takes the empty bin's capacity away. A small array stays, for whoever opens the bin again: threads that live shortly would take and give back
    /// a hundred of them each, all under one lock.
    pub fn shut(&self, cold: &Cold) {
        debug_assert!(self.len(cold) == 0);
        if usize::from(cold.slots.get()) > KEPT_SLOTS {
            self.set_capacity(cold, 0);
        } else {
            cold.forget();
            self.limit.set(cold.base.load(Relaxed));
        }
    }

    /// Moves the blocks to another array, which has room for them.
    ///
    /// A fork may stop this at any instruction, and its child must find either array whole: so while `base` changes the bin
    /// is one without an array (the child loses what was in it), and the old array goes last, because that may wait
    /// for a lock.
    fn change_array(&self, cold: &Cold, fresh: *mut Slot, slots: u16) {
        let len = self.len(cold);
        let (old, old_slots) = (cold.base.load(Relaxed), cold.slots.get());
        // SAFETY: the old array holds `len` blocks and the new one has room for them.
        unsafe { ptr::copy_nonoverlapping(old, fresh, len) };
        self.top.store(NULL_END, Relaxed);
        compiler_fence(ord!("bin-change-shut", Release));
        cold.base.store(fresh, Relaxed);
        cold.slots.set(slots);
        compiler_fence(ord!("bin-change-open", Release));
        self.top.store(fresh.wrapping_add(len), Relaxed);
        compiler_fence(ord!("bin-change-give", Release));
        // SAFETY: nobody uses the old array any more.
        unsafe { give_array(old, old_slots) };
    }

    /// In the child of a fork: takes the room of a bin whose thread no longer exists, and its array, unless it was shut already. `take_out` empties it first,
    /// unless the thread was just changing the array: then the blocks are lost, to the child only.
    pub fn bury(&self, cold: &Cold, take_out: impl FnOnce()) {
        let (top, base) = (self.top.load(Relaxed), cold.base.load(Relaxed));
        let is_shut = top == base && self.limit.get() == base;
        if is_shut && (base != NULL_END || cold.slots.get() == 0) {
            // Shut, or without an array. Nothing to do: the page stays shared with the parent.
            return;
        }
        if top != NULL_END {
            take_out();
            self.set_capacity(cold, 0);
        }
        self.top.store(NULL_END, Relaxed);
        self.limit.set(NULL_END);
        cold.base.store(NULL_END, Relaxed);
        cold.slots.set(0);
        cold.fulls.set(0);
        cold.forget();
    }

    /// Fills the empty bin with up to `want` blocks from `source`, which gets the slots to fill; what stands first goes out first.
    pub fn fill(&self, cold: &Cold, want: usize, source: impl FnOnce(&mut [Slot]) -> usize) -> usize {
        debug_assert!(self.len(cold) == 0 && want <= self.capacity(cold));
        let base = cold.base.load(Relaxed);
        // SAFETY: `want` slots from the base are ours.
        let slots = unsafe { core::slice::from_raw_parts_mut(base, want) };
        let count = source(slots);
        slots[..count].reverse();
        compiler_fence(ord!("bin-fill", Release));
        self.top.store(base.wrapping_add(count), Relaxed);
        count
    }

    /// Takes the newest blocks out, as many as `out` holds or there are; returns how many.
    ///
    /// No fence: what hands the blocks on, a lock or the push of a batch, is `Release`, so a fork's child never finds them here
    /// as well. (`pop` needs none for the same reason: the program hands the block on.)
    pub fn drain(&self, cold: &Cold, out: &mut [*mut u8]) -> usize {
        let count = out.len().min(self.len(cold));
        let top = self.own_top().wrapping_sub(count);
        // SAFETY: the `count` slots below the old top hold blocks of ours.
        unsafe { ptr::copy_nonoverlapping(top, out.as_mut_ptr(), count) };
        self.top.store(top, Relaxed);
        count
    }

    /// The two words that others read, `top` and the base, for the models.
    #[cfg(any(loom, shuttle, cairn_mutants))]
    pub fn words<'a>(&'a self, cold: &'a Cold) -> (&'a AtomicPtr<Slot>, &'a AtomicPtr<Slot>) {
        (&self.top, &cold.base)
    }

    /// Takes the oldest blocks out, as many as `out` holds or there are, or less than a quarter fewer: where neighbours, blocks of `size` bytes one
    /// after the other, would be parted; returns how many. The others move down, so this is for bins of some hundred blocks.
    pub fn drain_oldest(&self, cold: &Cold, out: &mut [*mut u8], size: usize) -> usize {
        let len = self.len(cold);
        let base = cold.base.load(Relaxed);
        // SAFETY: the `len` slots from the base hold blocks of ours.
        let count = end_of_run(unsafe { core::slice::from_raw_parts(base, len) }, out.len(), size);
        // Empty meanwhile: a fork's child must not find a block twice.
        self.top.store(base, Relaxed);
        compiler_fence(ord!("bin-oldest-shut", SeqCst));
        // SAFETY: the `len` slots from the base hold blocks of ours.
        unsafe {
            copy_few(base, out.as_mut_ptr(), count);
            copy_few(base.add(count), base, len - count);
        }
        compiler_fence(ord!("bin-oldest-open", SeqCst));
        self.top.store(base.wrapping_add(len - count), Relaxed);
        count
    }

    /// How many calls in a row found the bin as the call before did: how long it has been idle.
    pub fn idle_looks(&self, cold: &Cold) -> u8 {
        let now = self.len(cold) as u16;
        let idle = if cold.seen.replace(now) == now { cold.idle.get().saturating_add(1) } else { 0 };
        cold.idle.set(idle);
        idle
    }
}

impl Cold {
    /// For a bin without an array.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn nothing() -> Cold {
        Cold::at(AtomicPtr::new(NULL_END))
    }

    /// For a bin without an array.
    #[cfg(any(loom, shuttle))]
    pub fn nothing() -> Cold {
        Cold::at(AtomicPtr::new(NULL_END))
    }

    /// Puts blocks that come from a slab, lowest address first, into the order in which they should go out.
    ///
    /// A program that needs few blocks of a class uses the same ones all the time, and is quicker if they are no neighbours; one that
    /// needs many is quicker if they are (docs/decisions/bins.md, "Which block comes next"). So in the first batches each block is `apart` blocks
    /// behind the one that goes out before it, where a batch is large enough for that.
    pub fn arrange(&self, blocks: &mut [Slot], apart: usize) {
        let batches = self.batches_apart.get();
        if batches < BATCHES_APART && 1 < apart && apart < blocks.len() {
            self.batches_apart.set(batches + 1);
            spread(blocks, apart);
        }
    }

    /// The thread ends; the next one that gets these bins begins with few blocks.
    pub fn begin_anew(&self) {
        self.batches_apart.set(0);
        self.fulls.set(0);
        self.swings.set(false);
        self.fed.set(0);
    }

    /// A bin that is opened again was not idle.
    fn forget(&self) {
        self.seen.set(u16::MAX);
        self.idle.set(0);
    }

    const fn at(base: AtomicPtr<Slot>) -> Cold {
        Cold {
            base,
            slots: Cell::new(0),
            fulls: Cell::new(0),
            swings: Cell::new(false),
            fed: Cell::new(0),
            slab: Cell::new(0),
            seen: Cell::new(0),
            idle: Cell::new(0),
            batches_apart: Cell::new(0),
        }
    }
}

/// How many of the `blocks`, `most` of them or less than a quarter fewer, end where no neighbour follows, upwards or downwards; if there is no
/// such place, `most`.
///
/// Blocks go from thread to thread in batches, and come back so. Each cut through a run of neighbours would be there for good, and be added to at
/// the next turn, until the order is lost in which processors read ahead.
fn end_of_run(blocks: &[Slot], most: usize, size: usize) -> usize {
    if blocks.len() <= most {
        return blocks.len();
    }
    let ends = |&count: &usize| {
        let (last, next) = (blocks[count - 1], blocks[count]);
        last.wrapping_add(size) != next && last.wrapping_sub(size) != next
    };
    (most - most / 4 + 1..=most).rev().find(ends).unwrap_or(most)
}

/// Puts first every block that is a multiple of `apart` blocks behind the first one, then those behind the second one, and so on. More than
/// [`SPREAD_MAX`] stay as they are. (Not inlined: its array is not to be on the stack when the kernel is asked for memory.)
#[cold]
#[inline(never)]
fn spread(blocks: &mut [Slot], apart: usize) {
    let mut copy = [ptr::null_mut(); SPREAD_MAX];
    let Some(copy) = copy.get_mut(..blocks.len()) else { return };
    copy.copy_from_slice(blocks);
    let order = (0..apart).flat_map(|first| copy.iter().skip(first).step_by(apart));
    for (slot, block) in blocks.iter_mut().zip(order) {
        *slot = *block;
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

#[cfg(all(test, not(any(loom, shuttle, cairn_mutants))))]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Runs of so many neighbours of 64 bytes, far from each other.
    fn runs(lengths: &[usize]) -> Vec<Slot> {
        let run = |(number, length): (usize, &usize)| {
            (0..*length).map(move |at| ptr::without_provenance_mut(4096 * (number + 1) + 64 * at))
        };
        lengths.iter().enumerate().flat_map(run).collect()
    }

    #[test]
    fn spread_blocks_are_the_same_ones_apart() {
        for (count, apart, order) in
            [(8, 3, &[0, 3, 6, 1, 4, 7, 2, 5][..]), (4, 2, &[0, 2, 1, 3]), (4, 1, &[0, 1, 2, 3]), (0, 2, &[])]
        {
            let mut blocks = runs(&[count]);
            let spread_ones: Vec<Slot> = order.iter().map(|&at| blocks[at]).collect();
            spread(&mut blocks, apart);
            assert_eq!(blocks, spread_ones, "{count} blocks, {apart} apart");
        }
        let many = runs(&[SPREAD_MAX + 1]);
        let mut same = many.clone();
        spread(&mut same, 2);
        assert_eq!(same, many, "there is no place to copy so many");
    }

    #[test]
    fn only_the_first_batches_are_spread_and_of_larger_ones() {
        let cold = Cold::nothing();
        let is_spread = |count, apart| {
            let (ours, mut arranged) = (runs(&[count]), runs(&[count]));
            cold.arrange(&mut arranged, apart);
            arranged != ours
        };
        for _ in 0..2 {
            // Those do not count.
            assert!((0..20).all(|_| !is_spread(9, 1) && !is_spread(3, 3)));
            assert!((0..BATCHES_APART).all(|_| is_spread(9, 3)));
            assert!((0..300).all(|_| !is_spread(9, 3)));
            cold.begin_anew();
        }
    }

    #[test]
    fn a_bin_knows_nothing_of_the_thread_before() {
        let cold = Cold::nothing();
        cold.fulls.set(3);
        cold.fed.set(2);
        cold.swings.set(true);
        cold.begin_anew();
        assert_eq!((cold.fulls.get(), cold.fed.get(), cold.swings.get()), (0, 0, false));
    }

    #[test]
    fn a_bin_that_is_shut_keeps_a_small_array() {
        let (bin, cold) = (Bin::nothing(), Cold::nothing());
        let base = || cold.base.load(Relaxed);
        let block: Slot = ptr::without_provenance_mut(4096);
        assert!(bin.set_capacity(&cold, 20) && bin.push(block));
        assert_eq!(bin.pop(), block);
        let kept = base();
        bin.shut(&cold);
        assert_eq!((bin.capacity(&cold), base()), (0, kept));
        assert!(!bin.push(block) && bin.pop().is_null(), "empty and full at once");
        bin.bury(&cold, || panic!("there is nothing to take out"));
        assert_eq!(base(), kept, "what the child of a fork needn't touch it shares");
        assert!(bin.set_capacity(&cold, 3));
        bin.bury(&cold, || ());
        assert_eq!((bin.capacity(&cold), base()), (0, NULL_END), "an empty one with room isn't shut");
        assert!(bin.set_capacity(&cold, 20));
        let kept = base();
        bin.shut(&cold);
        assert!(bin.set_capacity(&cold, KEPT_SLOTS));
        assert_eq!(base(), kept);
        assert!(bin.set_capacity(&cold, KEPT_SLOTS + 1));
        bin.shut(&cold);
        assert_eq!(base(), NULL_END, "a larger one goes back");
        assert!(!bin.push(block) && bin.pop().is_null());
    }

    #[test]
    fn neighbours_go_together_if_little_else_stays_behind() {
        for (lengths, most, count) in [
            (&[10, 10][..], 16, 16),
            (&[13, 10], 16, 13),
            (&[12, 10], 16, 16),
            (&[14, 1, 10], 16, 15),
            (&[16, 10], 16, 16),
            (&[40], 16, 16),
            (&[8, 3], 16, 11),
            (&[8, 8], 16, 16),
            (&[2, 2], 3, 3),
            (&[1, 1], 1, 1),
            (&[2], 1, 1),
            (&[], 16, 0),
        ] {
            assert_eq!(end_of_run(&runs(lengths), most, 64), count, "{lengths:?}, at most {most}");
        }
        assert_eq!(end_of_run(&runs(&[16, 10]), 15, 48), 15, "blocks of another size are no neighbours");
        let downwards: Vec<Slot> = runs(&[10, 13]).into_iter().rev().collect();
        assert_eq!(end_of_run(&downwards, 16, 64), 13);
    }
}

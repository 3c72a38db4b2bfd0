//! Hardened mode: a heap that makes attacks hard and finds faults that the default mode can't see, at a price per operation that
//! a server can pay.
//!
//! | what | how | where |
//! |---|---|---|
//! | double free, found at once | the seal of a block says whether it is live; out of line for large ones | `seal`, `large` |
//! | overflow, found when the block is freed | the bytes behind what was asked for, and the seal | `seal` |
//! | overflow out of a slab or a large block, stopped at the instruction | guard pages | `slab`, `large` |
//! | write after free, found when the block is handed out again | what is free is zero | `seal` |
//! | use after free of a large block, stopped at the instruction | the quarantine is inaccessible | `quarantine` |
//! | stale data are never seen by the next owner | cleared by free | `seal`, `large` |
//! | reuse is late and hard to foresee | quarantine, random stocks, random places in slabs, random spans | `heap/stock`, `slab`, pages/state.rs |
//! | what decides about faults can't be written over | secrets and tables in a read-only page; no list in a block | `vault` |
//!
//! ```text
//!   malloc(n) ─► class of n + 8 ─► the thread's stock: one at random ─► still zero? ─► sealed for n bytes
//!   free(p)   ─► which slab? ─► begins a block? ─► seal and pattern whole? ─► cleared ─► the thread's ring ─► stock
//! ```
//! It stands on the default engine's page heap and records, has slabs of its own beside the default ones (so blocks from before the mode
//! began live on, as the default engine's), and takes no lock but when a stock is empty or full.
//!
//! What it promises and what not, and what it costs: docs/safety.md.

mod bytes;
mod center;
mod heap;
mod judge;
mod large;
mod quarantine;
mod random;
mod seal;
mod slab;
#[cfg(test)]
mod tests;
mod vault;

use core::alloc::Layout;
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cairn_core::lock::Lock;

use crate::audit::{self, Audit};
use crate::class::{self, SMALL_COUNT, SMALL_MAX, block_size};
use crate::fault::Call;
use crate::inside::Inside;
use crate::mode::{self, Mode};
use crate::modes::{Door, Request};
use crate::records;
use crate::statistics::Statistics;

use seal::SEAL;
use slab::Spot;

pub use heap::{bury_the_dead, flush_own};

/// Gets ready; false if memory is short.
pub fn prepare() -> bool {
    // So that there is a region.
    let piece = records::take(records::PIECE_MIN);
    if piece.is_null() {
        return false;
    }
    // SAFETY: just taken.
    unsafe { records::give(piece, records::PIECE_MIN) };
    vault::fill()
}

/// The class for a request; 0 if it takes a large block.
#[inline(always)]
fn class_for(request: Request) -> usize {
    let with_seal = request.size.saturating_add(SEAL);
    // The C door promises 16 for every size.
    let align = if request.door == Door::C { request.align.max(16) } else { request.align };
    class::of_layout(with_seal, align)
}

/// The C door's shortest way: a block of `size` bytes, if the thread has one at hand; what `slower` gives if not. No call of it comes back
/// here, so that it has no frame to set up.
#[inline(always)]
pub fn allocate_quick(size: usize, slower: impl FnOnce(usize) -> *mut u8) -> *mut u8 {
    if size > vault::SHORT_MAX - SEAL {
        return allocate_long(size, slower);
    }
    let class = class::of_size(size + SEAL);
    let Some(block) = heap::current_outside().and_then(|heap| heap.pick(class)) else { return slower(size) };
    // SAFETY: the block is free and ours, of this class, which was chosen to hold the size and a seal, and is a short one of C.
    if !unsafe { seal::hand_out_short(block, vault::form(class), size) } {
        judge::write_after_free(block, class);
    }
    block
}

/// [`allocate_quick`] for sizes that are looked at by a call.
#[inline(never)]
fn allocate_long(size: usize, slower: impl FnOnce(usize) -> *mut u8) -> *mut u8 {
    if size <= SMALL_MAX - SEAL
        && let Some(heap) = heap::current()
    {
        let class = class::of_size(size + SEAL);
        if let Some(block) = heap.pick(class) {
            return hand_out(block, class, size);
        }
    }
    slower(size)
}

/// A block, or null if memory is short. What it holds is zero, whether that was asked for or not (a large one only if it was).
#[inline]
pub fn allocate(request: Request) -> *mut u8 {
    let class = class_for(request);
    if class != 0
        && let Some(heap) = heap::current()
        && let Some(block) = heap.pick(class)
    {
        return hand_out(block, class, request.size);
    }
    allocate_slow(class, request)
}

/// Whether a block that was just handed out for so many bytes reads as zero in any case.
#[inline(always)]
pub fn is_zero(size: usize) -> bool {
    // A small one was looked at; from before it was freed there is nothing in it.
    size <= SMALL_MAX - SEAL
}

/// Seals a free block, after a look at whether it is as it was left.
#[inline(always)]
fn hand_out(block: *mut u8, class: usize, size: usize) -> *mut u8 {
    // SAFETY: the block is free and ours, of this class, which was chosen to hold the size and a seal.
    if !unsafe { seal::hand_out(block, seal::capacity(class), size) } {
        judge::write_after_free(block, class);
    }
    block
}

#[cold]
#[inline(never)]
fn allocate_slow(class: usize, request: Request) -> *mut u8 {
    let _inside = Inside::enter();
    let attempt = || match (class, heap::current_or_new()) {
        (0, _) => large::allocate(request.size, request.align, request.zeroed),
        (class, Some(heap)) => heap.fetch(class),
        (class, None) => heap::directly(class),
    };
    let block = insist(request.size, attempt);
    if class == 0 || block.is_null() { block } else { hand_out(block, class, request.size) }
}

/// Tries, and if memory is short tries once more after everything that waits has gone back.
fn insist(size: usize, mut attempt: impl FnMut() -> *mut u8) -> *mut u8 {
    let block = attempt();
    if !block.is_null() || size > isize::MAX as usize {
        return block;
    }
    flush_own();
    quarantine::empty();
    center::trim();
    attempt()
}

/// What an address leads to.
enum Found {
    /// A live small block: its class, and the bytes that were asked for.
    Small(usize, usize),
    /// A live large block.
    Large(large::Block),
    /// Nothing of this mode's.
    Other,
}

/// Judges an address that the program hands to `call`. Ends the process if it lies in what is ours and is no live block.
#[inline(always)]
fn judge(address: *mut u8, call: Call) -> Found {
    let Some(spot) = slab::locate(address.addr()) else {
        return large::find(address, call).map_or(Found::Other, Found::Large);
    };
    match sealed(address, spot) {
        Some(size) => Found::Small(spot.class, size),
        None => judge::no_live_block(call, address, spot),
    }
}

/// The bytes that were asked for, if a live block begins at this address in a slab.
#[inline(always)]
fn sealed(address: *mut u8, spot: Spot) -> Option<usize> {
    if !vault::form(spot.class).is_begin(spot.offset) {
        return None;
    }
    // SAFETY: a block of the class begins here.
    unsafe { seal::open(address, seal::capacity(spot.class)) }
}

/// The shortest way of a free of which nothing is said: of a small block of the first region. All else is left to `slower`. As with
/// [`allocate_quick`], no call comes back here.
///
/// # Safety
/// As for [`free`].
#[inline(always)]
pub unsafe fn free_quick(block: *mut u8, slower: impl FnOnce(*mut u8)) {
    let Some(spot) = slab::locate_in_first(block.addr()) else { return slower(block) };
    let form = vault::form(spot.class);
    // SAFETY: if a live block begins here, nobody but its owner, who gives it up, has a right to it.
    if form.short == 0 || !form.is_begin(spot.offset) || !unsafe { seal::end_short(block, form) } {
        // SAFETY: the caller's contract.
        return unsafe { free_untold(block, spot.class) };
    }
    if !heap::current_outside().is_some_and(|heap| heap.retain(spot.class, block)) {
        retain_slow(spot.class, block);
    }
}

/// Frees a block; false if it is not of this mode. `layout` is what the program says about it, if it does.
///
/// # Safety
/// `block` is null, a live block, or a mistake of the program's, which is named if it concerns this mode.
#[inline(never)]
pub unsafe fn free(block: *mut u8, layout: Option<Layout>) -> bool {
    let Some(spot) = slab::locate(block.addr()) else { return free_large(block, layout) };
    // SAFETY: the caller's contract.
    unsafe { free_small(block, spot, layout) };
    true
}

/// Frees what should be a block of `class`, in whose slab it lay a moment ago. That is not looked up again: another thread may have given
/// the slab back meanwhile, and then this is a second free, to be named. It is, unless another thread has the memory by now: then the
/// process may end by the words for another fault, or where it is inaccessible, by SIGSEGV without any.
///
/// # Safety
/// As for [`free`].
#[inline(never)]
unsafe fn free_untold(block: *mut u8, class: usize) {
    let spot = Spot { class, offset: block.addr() & vault::form(class).mask as usize };
    // SAFETY: the caller's contract. A copy of the function: who says nothing has less to keep.
    unsafe { free_small(block, spot, None) };
}

/// Frees what should be a block of the slab that it lies in.
///
/// # Safety
/// As for [`free`].
#[inline(always)]
unsafe fn free_small(block: *mut u8, spot: Spot, layout: Option<Layout>) {
    let class = spot.class;
    // SAFETY: if a live block begins here, nobody but its owner, who gives it up, has a right to it.
    let ended = vault::form(class).is_begin(spot.offset)
        && unsafe { seal::end(block, seal::capacity(class), |size| judge::layout(block, size, layout)) };
    if !ended {
        judge::no_live_block(Call::Free, block, spot);
    }
    if !heap::current().is_some_and(|heap| heap.retain(class, block)) {
        retain_slow(class, block);
    }
}

#[cold]
#[inline(never)]
fn retain_slow(class: usize, block: *mut u8) {
    let _inside = Inside::enter();
    match heap::current_or_new() {
        Some(heap) => heap.retain_slow(class, block),
        None => center::of(class).put(class, &[block], |_| (), |block| judge::double_free(block, class)),
    }
}

#[cold]
#[inline(never)]
fn free_large(block: *mut u8, layout: Option<Layout>) -> bool {
    let _inside = Inside::enter();
    large::free(block, layout)
}

/// Changes a block's size: the block, moved or not, or null and the block as it was if memory is short. None if it is not of this mode.
///
/// # Safety
/// As for [`free`]; not null.
#[inline(never)]
pub unsafe fn reallocate(block: *mut u8, old: Option<Layout>, request: Request) -> Option<*mut u8> {
    let size = request.size;
    let fits = block.addr().is_multiple_of(request.align);
    let old_size = match judge(block, Call::Reallocate) {
        Found::Other => return None,
        Found::Small(class, old_size) => {
            judge::layout(block, old_size, old);
            let capacity = seal::capacity(class);
            if fits && size <= capacity && size >= block_size(class) / 2 {
                // SAFETY: the block is live and this large; the pattern and what the program gives up are cleared.
                unsafe {
                    let (from, to) = (size.min(old_size), (old_size + SEAL).min(capacity));
                    ptr::write_bytes(block.add(from), 0, to - from);
                    seal::close(block, capacity, size);
                }
                return Some(block);
            }
            old_size
        }
        Found::Large(large) => {
            judge::layout(block, large::usable_size(large), old);
            let _inside = Inside::enter();
            if fits && large::resize(large, size) {
                return Some(block);
            }
            if request.align <= 16 {
                let moved = large::relocate(large, size);
                if !moved.is_null() {
                    return Some(moved);
                }
            }
            large::usable_size(large)
        }
    };
    let grows = size > old_size && class_for(request) == 0 && request.align <= 16;
    let new = if grows {
        let _inside = Inside::enter();
        insist(size, || large::allocate_roomy(size))
    } else {
        allocate(request)
    };
    if !new.is_null() {
        // SAFETY: both blocks are live, distinct, and hold this many bytes; then the old one is freed, once.
        unsafe {
            new.copy_from_nonoverlapping(block, old_size.min(size));
            free(block, None);
        }
    }
    Some(new)
}

/// The bytes that the program asked for when it got a block, which are those it may use; None if it is not of this mode.
///
/// # Safety
/// As for [`free`]; not null.
#[inline(never)]
pub unsafe fn usable_size(block: *mut u8) -> Option<usize> {
    match judge(block, Call::UsableSize) {
        Found::Small(_, size) => Some(size),
        Found::Large(large) => Some(large::usable_size(large)),
        Found::Other => None,
    }
}

/// How far into a free span of fresh memory, which is `spare` granules longer than need be, the next one is put: random places for
/// spans too. Under the page lock.
pub fn stride(spare: usize) -> usize {
    /// So many places: address space is no concern, but spans that are left between should not become too small to use.
    const PLACES: usize = 16;
    static STATE: AtomicU64 = AtomicU64::new(0);
    if mode::current() != Mode::Hardened || spare == 0 {
        return 0;
    }
    let vault = vault::vault();
    let state = STATE.load(Relaxed).wrapping_add(vault.key).wrapping_mul(vault.factor).rotate_left(23);
    STATE.store(state, Relaxed);
    (((state >> 32) as usize) * spare.min(PLACES - 1).wrapping_add(1)) >> 32
}

/// The locks, in nesting order, for fork: they come before those of the records and pages.
pub fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
    core::iter::once(heap::lock()).chain(center::locks()).chain([quarantine::lock()])
}

/// Lets everything go that waits, and gives free pages inside slabs back; returns the bytes of these.
pub fn trim() -> usize {
    flush_own();
    quarantine::empty();
    center::trim()
}

/// One step of giving back the holes in idle slabs.
pub fn purge_step(new_window: bool) {
    if mode::current() == Mode::Hardened {
        center::purge_step(new_window);
    }
}

/// Of the audit: the mode's slabs, what waits in stocks, rings and the quarantine. Under all locks.
pub fn check(audit: &mut Audit) -> audit::Found {
    if mode::current() != Mode::Hardened {
        return Ok(());
    }
    center::audit::check(audit)?;
    heap::audit::check(audit)?;
    quarantine::audit::check(audit)
}

/// Adds what the mode holds to the statistics: blocks in quarantine count as free, those of small ones as if in bins.
pub fn census(into: &mut Statistics) {
    if mode::current() != Mode::Hardened {
        return;
    }
    for class in 1..SMALL_COUNT {
        let totals = center::of(class).totals(class);
        let in_stocks = heap::blocks_of(class);
        let class = &mut into.classes[class];
        class.live_blocks += totals.blocks.saturating_sub(totals.free + in_stocks);
        class.bin_blocks += in_stocks;
        class.slab_free_blocks += totals.free;
        class.slab_bytes += totals.slab_bytes;
    }
    let (blocks, bytes) = large::totals();
    into.large_blocks += blocks;
    into.large_bytes += bytes;
    into.free_dirty_bytes += quarantine::bytes();
    into.threads += heap::count();
}

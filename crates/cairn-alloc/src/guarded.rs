//! Guarded blocks: each on its own pages, so that an overflow or a use after free stops at the instruction.
//!
//! | | debug | sampled |
//! |---|---|---|
//! | which blocks | all, as long as the limits permit | one in `CAIRN_SAMPLE_RATE`, C and C++ only, up to 16 KiB |
//! | live blocks | `CAIRN_GUARD_MIB` of pages (default: a quarter of memory) | three quarters of `CAIRN_SAMPLE_SLOTS` |
//! | freed blocks kept | `CAIRN_GUARD_QUARANTINE` | the rest of the slots |
//! | fast path | misses | as in default mode |
//!
//! | room | the one thing it does |
//! |---|---|
//! | `pool` | live blocks, quarantine, what is known of each |
//! | `record` | one block: where it is, who allocated and freed it |
//! | `layout` | where in its pages a block lies, and the pattern around it |
//! | `space` | address space, and pages that are opened and closed |
//! | `sample` | which blocks are drawn |
//! | `signal` | the handler of the fault |
//! | `report` | what is said |
//! | `audit` | whether the pool is whole |
//!
//! What is beyond a limit is the default engine's, with its checks; debug mode says so once.

mod audit;
mod layout;
mod pool;
mod record;
mod report;
mod sample;
mod signal;
mod space;
#[cfg(test)]
mod tests;

use core::alloc::Layout;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cairn_core::fault::Line;
use cairn_core::lock::Lock;
use cairn_core::os::{self, page_size};

use crate::modes::{Door, Request};
use crate::{engine, settings};
use pool::Limits;
use record::Trace;

pub use audit::check;
pub use pool::totals;
pub use sample::pass;

/// Pages of a run in sampled mode, as the class of their number.
const SAMPLED_CLASS: usize = 2;

/// Gets ready for debug mode; false if the kernel gives no address space.
pub fn prepare_debug() -> bool {
    const SPACE_MAX: usize = 64 << 30;
    let memory = os::physical_memory();
    let bytes = match settings::GUARD_MIB.get() {
        0 => memory / 4,
        mib => mib << 20,
    };
    // An eighth of what the process may have at all.
    let space = os::address_space_limit().map_or(SPACE_MAX, |limit| (limit / 8).min(SPACE_MAX)) / page_size();
    let quarantine = settings::GUARD_QUARANTINE.get();
    let pages = (bytes / page_size()).clamp(1, space);
    let limits = Limits {
        blocks: pages,
        pages,
        quarantine,
        size: isize::MAX as usize,
        // A run has a page and a guard at least.
        runs: (pages + quarantine).min(space / 2),
        class: None,
        space,
    };
    begin(limits)
}

/// Gets ready for sampled mode; false if the kernel gives no address space.
pub fn prepare_sampled() -> bool {
    let slots = settings::SAMPLE_SLOTS.get();
    let pages = space::class_pages(SAMPLED_CLASS);
    let limits = Limits {
        blocks: (slots * 3 / 4).max(1),
        pages: slots * pages,
        quarantine: slots,
        size: pages * page_size(),
        runs: slots,
        class: Some(SAMPLED_CLASS),
        // The first and the last page are guards, and a reservation has 16 at least.
        space: (slots * (pages + 1) + 2).max(16),
    };
    sample::prepare();
    begin(limits)
}

fn begin(limits: Limits) -> bool {
    let done = pool::prepare(limits);
    if done {
        signal::install();
    }
    done
}

/// The mode does not begin after all: gives the pool back. (The handler stays; it passes on what is none of ours.)
pub fn give_back() {
    pool::give_back();
}

/// The pool's lock, for fork: a leaf.
pub fn lock() -> &'static Lock {
    pool::lock()
}

/// A guarded block, or None if a limit is reached.
pub fn allocate(request: Request) -> Option<*mut u8> {
    let block = pool::allocate(request, &Trace::here());
    if block.is_none() {
        tell_of_limit(request.size);
    }
    block
}

/// A guarded block, if one is drawn and there is room.
pub fn allocate_sampled(request: Request) -> Option<*mut u8> {
    // The bin that a block of Rust's door is freed into would not ask what it is.
    if request.door == Door::Rust || !sample::draw() {
        return None;
    }
    pool::allocate(request, &Trace::here())
}

/// Says once that not all blocks are guarded any more. A size that no machine has isn't worth a word: the default engine will refuse it.
#[cold]
fn tell_of_limit(size: usize) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    // First, since from the limit on every block comes this way, and the size of memory is a system call.
    if !TOLD.load(Relaxed) && size <= os::physical_memory() && !TOLD.swap(true, Relaxed) {
        let (blocks, bytes) = pool::totals();
        Line::new()
            .text("debug mode guards ")
            .number(blocks)
            .text(" blocks (")
            .number(bytes)
            .text(" bytes) and can't guard the next one: it is checked as in default mode (see CAIRN_GUARD_MIB)")
            .print();
    }
}

/// Frees a guarded block; ends the process if that is a fault.
pub fn free(block: *mut u8, layout: Option<Layout>) {
    let by = Trace::here();
    if let Err((wrong, number)) = pool::free(block, layout, &by) {
        report::refuse(&wrong, block.addr(), &pool::record(number), &by, "free");
    }
}

/// The size that was asked for.
pub fn usable_size(block: *mut u8) -> usize {
    size_of(block, "malloc_usable_size")
}

fn size_of(block: *mut u8, verb: &str) -> usize {
    pool::size_of_block(block).unwrap_or_else(|(wrong, number)| {
        report::refuse(&wrong, block.addr(), &pool::record(number), &Trace::here(), verb)
    })
}

/// Moves a guarded block to a new one, so that stale pointers to it are found; null, and the block as it was, if memory is short.
///
/// # Safety
/// `block` is a live block.
pub unsafe fn reallocate(block: *mut u8, old: Option<Layout>, request: Request) -> *mut u8 {
    let size = size_of(block, "realloc");
    let fresh = engine::allocate_for(request);
    if !fresh.is_null() {
        // SAFETY: both hold that many bytes, and the new one is nobody else's.
        unsafe { fresh.copy_from_nonoverlapping(block, size.min(request.size)) };
        free(block, old);
    }
    fresh
}

/// Whether an address lies where guarded blocks are: what the functions here take is such a one.
#[inline]
pub fn owns(block: *mut u8) -> bool {
    pool::contains(block.addr())
}

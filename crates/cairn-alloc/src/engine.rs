//! The engine's operations, the same for every door.
//!
//! Each has a fast half that is inlined into its door and has one exit, and a slow half behind it.

use core::alloc::Layout;

use cairn_core::os::KeepErrno;

use crate::class::{self, SMALL_MAX, block_size};
use crate::mode::{self, Mode};
use crate::modes::{Door, Request};
use crate::statistics::Statistics;
use crate::{census, center, hardened, large, modes, pages, region, thread};

/// Allocates from the thread's bin, or null if the bin is empty or the size is not small.
/// The block is aligned to 16 bytes. The one exit of the fast path is a null.
#[inline(always)]
pub fn allocate_fast(size: usize) -> *mut u8 {
    if size > SMALL_MAX {
        return core::ptr::null_mut();
    }
    thread::bin_for(size).pop()
}

/// Allocates `size` bytes; null if memory is short or `size` exceeds `isize::MAX`. errno is kept.
#[cold]
pub fn allocate_slow(size: usize) -> *mut u8 {
    let class = if size > SMALL_MAX { 0 } else { class::of_size(size) };
    allocate_request(class, Request::of_c(size, false))
}

/// Tries, and if memory is short tries once more after everything that this thread and the transfer stacks hold has gone back
/// to its slabs: what pins a slab is not lost, but in the way.
fn insist(size: usize, mut attempt: impl FnMut() -> *mut u8) -> *mut u8 {
    let block = attempt();
    if !block.is_null() || size > isize::MAX as usize {
        return block;
    }
    thread::flush_own();
    center::settle_all();
    attempt()
}

/// Like [`allocate_slow`], and the block reads as zero.
#[inline]
pub fn allocate_zeroed(size: usize) -> *mut u8 {
    if size > SMALL_MAX {
        return allocate_request(0, Request::of_c(size, true));
    }
    let mut block = allocate_fast(size);
    if block.is_null() {
        block = allocate_slow(size);
    }
    if !block.is_null() {
        // SAFETY: the block has at least `size` bytes.
        unsafe { block.write_bytes(0, size) };
    }
    block
}

/// Allocates `size` bytes at a multiple of `align`, any power of two; null if memory is short.
#[inline]
pub fn allocate_aligned(align: usize, size: usize) -> *mut u8 {
    // At least 16, so that the C door's promise holds for small alignments too.
    let class = class::of_layout(size, align.max(16));
    let block = thread::bin(class).pop();
    if !block.is_null() {
        return block;
    }
    allocate_request(class, Request { size, align, zeroed: false, door: Door::C })
}

/// The Rust door: allocates a block of `class`, or a large one if that is 0.
#[inline]
pub(crate) fn allocate_class_or_large(class: usize, size: usize, align: usize) -> *mut u8 {
    let block = thread::bin(class).pop();
    if !block.is_null() { block } else { allocate_class_slow(class, size, align) }
}

/// The slow half of the Rust door's allocations.
#[cold]
#[inline(never)]
pub(crate) fn allocate_class_slow(class: usize, size: usize, align: usize) -> *mut u8 {
    allocate_request(class, Request { size, align, zeroed: false, door: Door::Rust })
}

/// What a mode asks for that moves a block: the class is made from the request.
#[cold]
pub(crate) fn allocate_for(request: Request) -> *mut u8 {
    let class = match request.door {
        // See `allocate_slow` and `allocate_aligned`.
        Door::C if request.align <= 16 && request.size <= SMALL_MAX => class::of_size(request.size),
        Door::C => class::of_layout(request.size, request.align.max(16)),
        Door::Rust => class::of_layout(request.size, request.align),
    };
    allocate_request(class, request)
}

/// The slow half of every allocation: the mode's block, or one of `class`, or a large one if that is 0. Only a large one is
/// made to read as zero.
#[cold]
pub(crate) fn allocate_request(class: usize, request: Request) -> *mut u8 {
    if let Some(block) = modes::allocate(request) {
        return block;
    }
    let _errno = KeepErrno::new();
    insist(request.size, || match class {
        0 => {
            thread::rest::look_at_clock(false);
            large::allocate(request.size, request.align, request.zeroed)
        }
        class => thread::allocate(class),
    })
}

/// Frees into the thread's bin; false, and nothing done, if the bin is full or the address is not a small
/// block of the first region (null included).
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[inline(always)]
pub unsafe fn free_fast(block: *mut u8) -> bool {
    match region::class_in_first(block.addr()) {
        // Bin 0, for whatever is no small block, is full for ever.
        Some(class) => thread::bin_found(class).push(block),
        None => false,
    }
}

/// Frees any live block; null is allowed. errno is kept.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[cold]
pub unsafe fn free_slow(block: *mut u8) {
    if block.is_null() {
        return;
    }
    // SAFETY: the caller's contract.
    if unsafe { modes::free(block, None) } {
        return;
    }
    let _errno = KeepErrno::new();
    match class_of(block) {
        0 => free_large(block),
        class => thread::free(class, block),
    }
}

/// Frees a block whose layout the caller knows: the Rust door.
///
/// # Safety
/// `block` is a live block of this layout.
#[cold]
#[inline(never)]
pub(crate) unsafe fn free_layout_slow(block: *mut u8, layout: Layout) {
    // SAFETY: the caller's contract.
    if unsafe { modes::free(block, Some(layout)) } {
        return;
    }
    let _errno = KeepErrno::new();
    let class = class::of_layout(layout.size(), layout.align());
    if class == 0 { free_large(block) } else { thread::free(class, block) }
}

fn free_large(block: *mut u8) {
    large::free(block);
    thread::rest::look_at_clock(true);
}

/// The class of a small block; 0 for any other address.
#[inline]
fn class_of(block: *mut u8) -> usize {
    let place = region::locate(block.addr());
    place.map_or(0, |p| p.region.class_of(p.granule).load(core::sync::atomic::Ordering::Relaxed).into())
}

/// Changes the size of a live block to `size` (not 0); contents are kept to the lesser size. Null, and the old
/// block intact, if memory is short.
///
/// # Safety
/// `block` is a live block of this allocator, not null.
pub unsafe fn reallocate(block: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: the caller's contract.
    if let Some(moved) = unsafe { modes::reallocate(block, None, Request::of_c(size, false)) } {
        return moved;
    }
    let class = class_of(block);
    thread::rest::look_at_clock(false);
    let old = if class == 0 {
        if size > SMALL_MAX {
            let _errno = KeepErrno::new();
            // SAFETY: the caller's contract; a failed attempt leaves the block as it was.
            return insist(size, || unsafe { large::reallocate(block, size) });
        }
        large::usable_size(block)
    } else {
        let old = block_size(class);
        // In place, unless half of the block would be wasted.
        if size <= old && size >= old / 2 {
            return block;
        }
        old
    };
    let mut new = allocate_fast(size);
    if new.is_null() {
        new = allocate_slow(size);
    }
    if !new.is_null() {
        // SAFETY: both blocks are live and hold this many bytes; then the old one is freed once.
        unsafe { move_contents(block, new, old.min(size)) };
    }
    new
}

/// Copies and frees the old block.
///
/// # Safety
/// Both blocks are live, distinct, and have `bytes` bytes.
unsafe fn move_contents(old: *mut u8, new: *mut u8, bytes: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        new.copy_from_nonoverlapping(old, bytes);
        if !free_fast(old) {
            free_slow(old);
        }
    }
}

/// How many bytes the caller may use of a live block.
///
/// # Safety
/// `block` is a live block of this allocator, not null.
pub unsafe fn usable_size(block: *mut u8) -> usize {
    // SAFETY: the caller's contract.
    if let Some(size) = unsafe { modes::usable_size(block) } {
        return size;
    }
    match class_of(block) {
        0 => large::usable_size(block),
        class => block_size(class),
    }
}

/// Gives free pages back to the kernel at once, except for `keep` bytes; true if any were given. The bins of other
/// threads stay as they are.
pub fn trim(keep: usize) -> bool {
    let _errno = KeepErrno::new();
    thread::flush_own();
    let holes = center::trim() + if mode::current() == Mode::Hardened { hardened::trim() } else { 0 };
    let spans = pages::purge_all(keep);
    holes + spans > 0
}

/// Counts what the heap holds. Exact if no other thread allocates meanwhile.
pub fn statistics() -> Statistics {
    let mut statistics = Statistics::default();
    statistics_into(&mut statistics);
    statistics
}

/// Like [`statistics`], into a record that the caller has: it is some 5 KB large.
pub fn statistics_into(into: &mut Statistics) {
    let _errno = KeepErrno::new();
    census::take(into);
}

/// Gives back what has been free for long: a thread that calls this ten times a second keeps an idle process lean. Other threads
/// can allocate in between.
pub fn purge_step() {
    let _errno = KeepErrno::new();
    thread::rest::give_back(100);
}

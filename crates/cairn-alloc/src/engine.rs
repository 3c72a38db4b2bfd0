//! The engine's operations, the same for every door.
//!
//! Each has a fast half that is inlined into its door and has one exit, and a slow half behind it.

use core::alloc::Layout;

use crate::bin::Bin;
use crate::class::{self, SMALL_MAX, SOME_AT_16, block_size};
use crate::fault::{self, Call};
use crate::inside::Inside;
use crate::modes::{Door, Request};
use crate::statistics::Statistics;
use crate::{census, center, judge, large, mark, medium, modes, pages, region, thread};

pub use crate::modes::allocate_quick;

/// Allocates from the thread's bin, or null if the bin is empty or the size is not small.
/// The block is aligned to 16 bytes. The one exit of the fast path is a null.
#[inline(always)]
pub fn allocate_fast(size: usize) -> *mut u8 {
    if size > SMALL_MAX {
        return core::ptr::null_mut();
    }
    handed_out(thread::fixed().bin_for(size).pop(), SOME_AT_16)
}

/// A small block of `class`, or null, without the mark of a free one.
#[inline(always)]
fn handed_out(block: *mut u8, class: usize) -> *mut u8 {
    if !block.is_null() {
        // SAFETY: it came from a bin or a slab, so it is a small block that nobody else has.
        unsafe { mark::clear(block, class) };
    }
    block
}

/// Allocates `size` bytes; null if memory is short or `size` exceeds `isize::MAX`. errno is kept.
#[cold]
pub fn allocate_slow(size: usize) -> *mut u8 {
    allocate_quick(size, allocate_slower)
}

/// [`allocate_slow`] for those who have asked [`allocate_quick`].
#[cold]
#[inline(never)]
pub fn allocate_slower(size: usize) -> *mut u8 {
    let class = if size > SMALL_MAX { 0 } else { class::of_size(size) };
    allocate_request(class, Request::of_c(size, false))
}

/// Tries, and if memory is short tries once more after everything that this thread, the shelves and the transfer stacks hold has gone back
/// to its slabs: what pins a slab is not lost, but in the way.
pub(crate) fn insist(size: usize, mut attempt: impl FnMut() -> *mut u8) -> *mut u8 {
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
        if modes::is_zero(size) {
            return block;
        }
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
    let block = handed_out(thread::bin(class).pop(), class);
    if !block.is_null() {
        return block;
    }
    allocate_request(class, Request { size, align, zeroed: false, door: Door::C })
}

/// The Rust door: allocates a block of `class`, or a medium or large one if that is 0.
#[inline]
pub(crate) fn allocate_class_or_large(class: usize, size: usize, align: usize) -> *mut u8 {
    let block = handed_out(thread::bin(class).pop(), class);
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

/// The slow half of every allocation: the mode's block, or one of `class`, or a medium or large one if that is 0. Only a large one is
/// made to read as zero.
#[cold]
pub(crate) fn allocate_request(class: usize, request: Request) -> *mut u8 {
    if let Some(block) = modes::allocate(request) {
        return block;
    }
    let _inside = Inside::enter();
    insist(request.size, || match class {
        0 => {
            thread::rest::look_at_clock(false);
            let block = medium::allocate(request.size, request.align, request.zeroed);
            if !block.is_null() {
                block
            } else {
                large::allocate(request.size, request.align, request.zeroed)
            }
        }
        class => handed_out(thread::allocate(class), class),
    })
}

/// Frees into the thread's bin; false, and nothing done, if the bin is full or the address is not a live small
/// block of the first region (null included).
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[inline(always)]
pub unsafe fn free_fast(block: *mut u8) -> bool {
    let Some((code, offset)) = region::code_in_first(block.addr()) else { return false };
    let fixed = thread::fixed();
    fixed.entry(code).is_begin(offset) && push(fixed.bin_of(code), block, SOME_AT_16)
}

/// [`free_fast`] by one who says how large the block is: false, and nothing done, also if that can't be.
///
/// # Safety
/// As for [`free_fast`].
#[inline(always)]
pub unsafe fn free_sized_fast(block: *mut u8, size: usize) -> bool {
    let Some((code, offset)) = region::code_in_first(block.addr()) else { return false };
    let fixed = thread::fixed();
    let fits = size <= SMALL_MAX && class::bin_offset(code) == fixed.bin_offset_for(size);
    fits && fixed.entry(code).is_begin(offset) && push(fixed.bin_of(code), block, SOME_AT_16)
}

/// Puts a small block of `class` into a bin; false, and nothing done, if it is full or the block is free already.
#[inline(always)]
pub(crate) fn push(bin: &Bin, block: *mut u8, class: usize) -> bool {
    // SAFETY: a block of a slab begins there: free_fast has found out, or a Rust program says so.
    bin.push_if(block, || unsafe { mark::set(block, class) })
}

/// Frees any live block; null is allowed. errno is kept.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[cold]
pub unsafe fn free_slow(block: *mut u8) {
    // SAFETY: the caller's contract, for both.
    unsafe { modes::free_quick(block, |block| free_slower(block)) };
}

/// # Safety
/// As for [`free_slow`].
#[cold]
#[inline(never)]
unsafe fn free_slower(block: *mut u8) {
    if block.is_null() {
        return;
    }
    // SAFETY: the caller's contract.
    if !unsafe { modes::free(block, None) } {
        free_default(block);
    }
}

/// Apart, so that a mode's free has no frame to set up.
#[inline(never)]
fn free_default(block: *mut u8) {
    let _inside = Inside::enter();
    let class = judge::class_of_live(block, Call::Free);
    // SAFETY: the caller's contract, and the class is the block's.
    unsafe { free_judged(class, block) };
}

/// Frees any live block by one who says how large it is and, if `align` is not 1, how it was to be aligned; null is allowed. What can't
/// be true ends the process with a message. errno is kept.
///
/// # Safety
/// As for [`free_slow`].
#[cold]
pub unsafe fn free_sized_slow(block: *mut u8, size: usize, align: usize) {
    if block.is_null() {
        return;
    }
    // As `operator new` and memalign do with an alignment that is no power of two.
    let layout = align.max(1).checked_next_power_of_two();
    let layout = layout.and_then(|align| Layout::from_size_align(size, align).ok());
    // SAFETY: the caller's contract.
    unsafe {
        if layout.is_none()
            && let Some(real) = modes::usable_size(block)
        {
            // No block has such a layout.
            fault::wrong_size(block.addr(), real, size, align);
        }
        if modes::free(block, layout) {
            return;
        }
    }
    let _inside = Inside::enter();
    let class = judge::class_of_live(block, Call::Free);
    judge::size_given(block, class, size, align);
    // SAFETY: the caller's contract, and the class is the block's.
    unsafe { free_judged(class, block) };
}

/// # Safety
/// `block` is a live block of this class, small or medium (0: a large one, or that is to be found out).
unsafe fn free_judged(class: usize, block: *mut u8) {
    if class == 0 || class::is_medium(class) {
        let freed = pages::spans_freed();
        if class == 0 {
            large::free(block);
        } else {
            medium::free(class, block);
        }
        thread::rest::look_at_clock(pages::spans_freed() != freed);
        return;
    }
    // SAFETY: a small block, live as far as the judge can tell, and the program has given it up.
    unsafe { mark::put(block, class) };
    thread::free(class, block);
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
    let _inside = Inside::enter();
    let class = class::of_layout(layout.size(), layout.align());
    let real = judge::class_of_live(block, Call::Free);
    if class == 0 && class::is_medium(real) {
        judge::size_given(block, real, layout.size(), layout.align());
    } else if real != class {
        judge::wrong_class(block, real, class);
    }
    // SAFETY: the caller's contract, and the class is the block's.
    unsafe { free_judged(real, block) };
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
    let class = judge::class_of_live(block, Call::Reallocate);
    let old = match class {
        0 => large::usable_size(block, Call::Reallocate),
        class => block_size(class),
    };
    let stays = match class {
        0 => size > SMALL_MAX && large::whole_pages(size) == Some(old),
        class => stays_in_slab(class, size),
    };
    if stays {
        return block;
    }
    thread::rest::look_at_clock(false);
    if size > SMALL_MAX && (class == 0 || class::is_medium(class)) {
        // SAFETY: the caller's contract.
        return unsafe { reallocate_judged(class, block, size, 1) };
    }
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

/// Changes the size of a live block that no bin serves, to one that none serves either; it stays where it is, or is aligned to `align`, which is a granule
/// at most unless the block shrinks. Null, and the old block intact, if memory is short.
///
/// # Safety
/// `block` is a live block of this allocator, not null, and of class 0 or that of a medium block; or whoever says so may be wrong, and is told.
pub(crate) unsafe fn reallocate_large(block: *mut u8, size: usize, align: usize) -> *mut u8 {
    let class = judge::class_of_live(block, Call::Reallocate);
    if class != 0 && !class::is_medium(class) {
        judge::wrong_class(block, class, 0);
    }
    if class != 0 && stays_in_slab(class, size) {
        return block;
    }
    // SAFETY: the caller's contract.
    unsafe { reallocate_judged(class, block, size, align) }
}

/// Whether a block of a slab's `class` stays where it is when it gets `size` bytes: unless it is too small, or half of it would be wasted.
fn stays_in_slab(class: usize, size: usize) -> bool {
    let block = block_size(class);
    let stays = size <= block && size >= block / 2;
    if stays {
        judge::keeps_its_block(class, size);
    }
    stays
}

/// Changes the size of a block of this class; a medium one moves in any case.
///
/// # Safety
/// As for [`reallocate_large`], and the class is the block's.
unsafe fn reallocate_judged(class: usize, block: *mut u8, size: usize, align: usize) -> *mut u8 {
    let _inside = Inside::enter();
    // SAFETY: the caller's contract; a failed attempt leaves the block as it was.
    insist(size, || unsafe {
        match class {
            0 => large::reallocate(block, size, align),
            _ => medium::relocate(class, block, size, align),
        }
    })
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
    match judge::class_of_live(block, Call::UsableSize) {
        0 => large::usable_size(block, Call::UsableSize),
        class => block_size(class),
    }
}

/// Gives free pages back to the kernel at once, except for `keep` bytes; true if any were given. The bins of other
/// threads stay as they are.
pub fn trim(keep: usize) -> bool {
    let _inside = Inside::enter();
    thread::flush_own();
    let holes = center::trim() + modes::trim();
    let spans = pages::purge_all(keep);
    holes + spans > 0
}

/// Counts what the heap holds. Exact if no other thread allocates meanwhile.
pub fn statistics() -> Statistics {
    let mut statistics = Statistics::default();
    statistics_into(&mut statistics);
    statistics
}

/// Like [`statistics`], into a record that the caller has, who may have little stack: it is some 6 KB large, and here it would be there twice.
pub fn statistics_into(into: &mut Statistics) {
    let _inside = Inside::enter();
    census::take(into);
}

/// Gives back what has been free for long: a thread that calls this ten times a second keeps an idle process lean. Other threads
/// can allocate in between.
pub fn purge_step() {
    let _inside = Inside::enter();
    thread::rest::give_back(100);
}

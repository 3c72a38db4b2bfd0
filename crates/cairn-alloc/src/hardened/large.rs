//! Large blocks in hardened mode: from the moment one is handed out to its end, and how it changes its size meanwhile.
//!
//! How one lies in its span, between guards, is told by block.rs. As a rule it ends right at the guard behind it, but for what its
//! alignment asks. One that `realloc` made larger has room behind it, since it is likely to grow again: between its end and the guard there may
//! be most of a page, which is looked at when it is freed.
//!
//! What is freed reads as zero from then on, and waits in a quarantine (quarantine.rs), inaccessible, so that a use after free stops at the
//! instruction. What the program says is checked against the descriptor, which is out of its reach.

mod block;

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::os::{self, Guard, Move};

use crate::class::{GRANULE, SMALL_MAX};
use crate::descriptor::{Body, HardLargeBody, Kind};
use crate::fault::Call;
use crate::hardened::{judge, quarantine, seal};
use crate::pages::{self, Prefer};
use crate::region;

pub use block::Block;

/// A block up to this many bytes is likely to be written from end to end.
const FILLED_MAX: usize = 256 * 1024;

/// From this many bytes on, a block that grows out of its span has its pages moved;
const MOVE_MIN: usize = 1 << 20;
/// as often as this: each move leaves mappings that the kernel can't join, and a process may have 65,530.
const MOVES_MAX: usize = 4096;

/// Blocks moved so far.
static MOVES: AtomicUsize = AtomicUsize::new(0);
/// Live blocks, and the bytes that were asked for.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// Allocates `size` bytes at a multiple of `align`; null if memory is short.
pub fn allocate(size: usize, align: usize, zeroed: bool) -> *mut u8 {
    if size > isize::MAX as usize - 4 * GRANULE || align > isize::MAX as usize {
        return ptr::null_mut();
    }
    let page = os::page_size();
    let align = align.max(16);
    if align > GRANULE {
        // At the span's begin: what comes before it is another span.
        return make(size, 0, (size + page).div_ceil(GRANULE), align, zeroed);
    }
    // A page before it and one behind; the end of the block as near to the latter as the alignment allows.
    let granules = (size + page + align.max(page)).div_ceil(GRANULE);
    let offset = (granules * GRANULE - page - size) & !(align - 1);
    make(size, offset, granules, 1, zeroed)
}

/// A block of `size` bytes at an offset of a new span; null if memory is short.
fn make(size: usize, offset: usize, granules: usize, align: usize, zeroed: bool) -> *mut u8 {
    debug_assert!(offset < 2 * GRANULE && offset + size <= granules * GRANULE);
    let prefer = if !zeroed && size <= FILLED_MAX { Prefer::Filled } else { Prefer::Dirty };
    let Some(place) = pages::allocate(granules, align.div_ceil(GRANULE), Kind::HardLarge, prefer) else {
        return ptr::null_mut();
    };
    if zeroed {
        pages::zero_dirty(place, offset + size);
    }
    let block = Block::at(place);
    let body = HardLargeBody {
        size,
        offset: offset as u32,
        guard_bytes: 0,
        guard: Guard::None,
        front: Guard::None,
        live: true,
    };
    // SAFETY: the span is ours, so its descriptor is.
    unsafe { (*place.region.descriptor(place.granule)).body = Body { hard_large: body } };
    block.close(true);
    BLOCKS.fetch_add(1, Relaxed);
    BYTES.fetch_add(size, Relaxed);
    block.address()
}

/// The live block that begins at an address; None if no large block of the mode is near. Whatever else is wrong with the address ends the
/// process with a message.
pub fn find(address: *mut u8, call: Call) -> Option<Block> {
    let block = Block::around(address.addr())?;
    if !quarantine::is_live(block) {
        judge::large_freed(call, address, block.address(), block.body().size);
    }
    if block.address() != address {
        judge::large_interior(call, address, block.address(), block.body().size);
    }
    Some(block)
}

/// Frees a block; false if it is none of ours. Whatever is wrong ends the process with a message.
pub fn free(address: *mut u8, layout: Option<core::alloc::Layout>) -> bool {
    let Some(block) = find(address, Call::Free) else { return false };
    judge::layout(address, block.body().size, layout);
    retire(block);
    true
}

fn retire(block: Block) {
    let address = block.address();
    if !quarantine::leave_life(block) {
        judge::large_freed(Call::Free, address, address, block.body().size);
    }
    if let Some((first, bytes)) = block.changed_behind() {
        judge::large_overflow(address, block.body().size, first, bytes);
    }
    BLOCKS.fetch_sub(1, Relaxed);
    BYTES.fetch_sub(block.body().size, Relaxed);
    let bytes = block.wipe();
    quarantine::enter(block, bytes);
}

/// Bytes that were asked for.
pub fn usable_size(block: Block) -> usize {
    block.body().size
}

/// Changes a block's size where it is; false, and nothing done, if that can't be, or would leave most of it unused.
pub fn resize(block: Block, size: usize) -> bool {
    let (old, offset) = (block.body().size, block.body().offset as usize);
    if size + seal::SEAL <= SMALL_MAX || size < old / 2 {
        return false;
    }
    let page = os::page_size();
    if size > isize::MAX as usize - 4 * GRANULE || offset + size + page > block.span_bytes() {
        return false;
    }
    if let Some((first, bytes)) = block.changed_behind() {
        judge::large_overflow(block.address(), old, first, bytes);
    }
    let (guard_at, new_guard_at) = (block.guard_at(), (offset + size).next_multiple_of(page));
    if guard_at != new_guard_at && !block.open_end() {
        return false;
    }
    let at = block.address();
    // SAFETY: what is cleared lies in the span: the pattern, or what the program gave up. Whole pages go back.
    unsafe {
        if size < old {
            let keep = (new_guard_at - offset).min(old);
            ptr::write_bytes(at.add(size), 0, keep - size);
            if new_guard_at < guard_at && !os::purge(at.add(new_guard_at - offset), guard_at - new_guard_at) {
                ptr::write_bytes(at.add(new_guard_at - offset), 0, guard_at - new_guard_at);
            }
        } else {
            let pattern_end = (guard_at - offset).min(old + seal::SEAL).min(size);
            ptr::write_bytes(at.add(old), 0, pattern_end.saturating_sub(old));
        }
    }
    block.body().size = size;
    BYTES.fetch_add(size.wrapping_sub(old), Relaxed);
    if guard_at == new_guard_at {
        block.write_rest();
    } else {
        block.close_end();
    }
    true
}

/// A block for one that grew: as large as asked, with room to grow as much again behind it; null if memory is short.
pub fn allocate_roomy(size: usize) -> *mut u8 {
    if size > isize::MAX as usize / 4 || !region::is_roomy() {
        return allocate(size, 16, false);
    }
    let page = os::page_size();
    make(size, page, (page + size + size + page).div_ceil(GRANULE), 1, false)
}

/// Moves a block's pages, not its bytes, to a span with room to grow; null, and the block as it was, if that can't be or doesn't pay.
pub fn relocate(old: Block, size: usize) -> *mut u8 {
    let (old_size, offset, page) = (old.body().size, old.body().offset as usize, os::page_size());
    if old_size < MOVE_MIN || size < old_size || size > isize::MAX as usize / 4 || !region::is_roomy() {
        return ptr::null_mut();
    }
    let from = offset / page * page;
    let (at, bytes) = (old.span().wrapping_add(from), old.guard_at() - from);
    // SAFETY: the range is ours, and behind it is more of the region.
    if MOVES.load(Relaxed) >= MOVES_MAX || !unsafe { os::is_one_mapping(at, bytes) } {
        return ptr::null_mut();
    }
    if let Some((first, bytes)) = old.changed_behind() {
        judge::large_overflow(old.address(), old_size, first, bytes);
    }
    let room = (page + offset % page + size + size + page).div_ceil(GRANULE);
    let address = make(size, page + offset % page, room, 1, false);
    let Some(new) = Block::around(address.addr()) else { return ptr::null_mut() };
    MOVES.fetch_add(1, Relaxed);
    let end = old.guard_at() - offset;
    // SAFETY: the pattern behind the old block is not part of what moves; both ranges are ours, disjoint, of pages, and as long; the new
    // one lies before its guard, since the block grows.
    let moved = unsafe {
        ptr::write_bytes(old.address().add(old_size), 0, end - old_size);
        os::move_mapping(at, bytes, new.span().add(page), bytes)
    };
    match moved {
        Move::Done => {
            new.write_rest();
            pages::huge::forbid_in_fresh(at, bytes);
            depart(old);
            quarantine::enter(old, 0);
            address
        }
        Move::DoneOldLost => {
            new.write_rest();
            depart(old);
            pages::retire(old.place());
            address
        }
        Move::Failed => {
            old.write_rest();
            depart(new);
            // It has a pattern behind its last byte by now.
            let bytes = new.wipe();
            quarantine::enter(new, bytes);
            ptr::null_mut()
        }
        Move::FailedNewLost => {
            old.write_rest();
            MOVES.store(MOVES_MAX, Relaxed);
            depart(new);
            pages::retire(new.place());
            ptr::null_mut()
        }
    }
}

/// A block that no program holds any more.
fn depart(block: Block) {
    let was_live = quarantine::leave_life(block);
    debug_assert!(was_live);
    BLOCKS.fetch_sub(1, Relaxed);
    BYTES.fetch_sub(block.body().size, Relaxed);
}

/// Live blocks, and the bytes that were asked for.
pub fn totals() -> (usize, usize) {
    (BLOCKS.load(Relaxed), BYTES.load(Relaxed))
}

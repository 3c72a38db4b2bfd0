//! Large blocks in hardened mode: each one in a span of its own, its end at a guard page.
//!
//! ```text
//!   ┌────────┬───────┬──────────────────────────────┬──────┬─────────────┬ ─ ─ ─ ─ ─ ┐
//!   │ unused │ guard │ what the program asked for   │ rest │ guard       │ room      │
//!   └────────┴───────┴──────────────────────────────┴──────┴─────────────┴ ─ ─ ─ ─ ─ ┘
//!   ^ span           ^ block, aligned to 16 or more   ^ pattern, then zeroes: checked at free
//! ```
//! As a rule the block ends right at the guard, but for what its alignment asks, so that the first byte behind it can't be touched. A
//! block that `realloc` made larger has room behind, since it is likely to grow again: its end is at a page then.
//!
//! What is freed reads as zero from then on, and waits in a quarantine (quarantine.rs), inaccessible, so that a use after free stops at the
//! instruction. What the program says is checked against the descriptor, which is out of its reach.
//!
//! Invariant: a block's descriptor is its owner's, but `live`, which changes under the lock of quarantine.rs: true from the moment it is
//! handed out until the one free that is accepted.

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::os::{self, Guard, Move};

use crate::class::{GRANULE, SMALL_MAX};
use crate::descriptor::{Body, HardLargeBody, Kind};
use crate::fault::Call;
use crate::hardened::vault::vault;
use crate::hardened::{judge, quarantine, seal};
use crate::pages::{self, Prefer};
use crate::region::{self, Place};

/// A guard behind a block has at most so many bytes: who jumps farther than this is not stopped by any guard.
const GUARD_MAX: usize = GRANULE;
/// A block up to this many bytes is likely to be written from end to end.
const FILLED_MAX: usize = 256 * 1024;
/// A block up to this many bytes is cleared without a look at which of its pages were touched,
const ASK_MIN: usize = 256 * 1024;
/// and one from this many bytes on has its pages given back instead.
const CLEAR_MAX: usize = 4 << 20;

/// From this many bytes on, a block that grows out of its span has its pages moved;
const MOVE_MIN: usize = 1 << 20;
/// as often as this: each move leaves mappings that the kernel can't join, and a process may have 65,530.
const MOVES_MAX: usize = 4096;

/// Blocks moved so far.
static MOVES: AtomicUsize = AtomicUsize::new(0);
/// Live blocks, and the bytes that were asked for.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// A large block, by its span.
#[derive(Clone, Copy)]
pub struct Block(Place);

impl Block {
    /// The large block in the first two granules of whose span an address lies; None if there is none.
    fn around(address: usize) -> Option<Block> {
        let mut place = region::locate(address)?;
        // SAFETY: the granule is committed. If the program holds the block nobody else changes the descriptor; if not, any value is as
        // good as another.
        let kind = |place: Place| unsafe { (*place.region.descriptor(place.granule)).kind };
        if kind(place) == Kind::Inner && place.granule > 0 {
            place.granule -= 1;
        }
        (kind(place) == Kind::HardLarge).then_some(Block(place))
    }

    /// The block of a span in quarantine.
    pub fn at(place: Place) -> Block {
        Block(place)
    }

    /// Its span.
    pub fn place(self) -> Place {
        self.0
    }

    /// What is known of it.
    #[allow(clippy::mut_from_ref)]
    pub fn body<'a>(self) -> &'a mut HardLargeBody {
        // SAFETY: the body is the owner's, see the module; each use is a short expression.
        unsafe { &mut (*self.0.region.descriptor(self.0.granule)).body.hard_large }
    }

    fn span(self) -> *mut u8 {
        self.0.region.address_of(self.0.granule)
    }

    fn span_bytes(self) -> usize {
        self.0.region.len(self.0.granule) * GRANULE
    }

    /// Where the block begins.
    pub fn address(self) -> *mut u8 {
        self.span().wrapping_add(self.body().offset as usize)
    }

    /// Offset in the span of the guard behind it: the first page that begins at its end or later.
    fn guard_at(self) -> usize {
        (self.body().offset as usize + self.body().size).next_multiple_of(os::page_size())
    }

    /// Offset of the page before its first one; None if there is none in the span.
    fn front_at(self) -> Option<usize> {
        (self.body().offset as usize / os::page_size()).checked_sub(1).map(|page| page * os::page_size())
    }

    /// Guards what is before and behind it, and writes the pattern.
    fn close(self, with_front: bool) {
        let page = os::page_size();
        if let Some(front) = self.front_at().filter(|_| with_front) {
            // SAFETY: the page is the span's, and before the block.
            self.body().front = unsafe { os::install_guard(self.span().wrapping_add(front), page) };
        }
        self.close_end();
    }

    /// The same for its end.
    fn close_end(self) {
        let guard_at = self.guard_at();
        let guard_bytes = (self.span_bytes() - guard_at).min(GUARD_MAX);
        self.write_rest();
        // SAFETY: all of it lies in the span, behind the block.
        unsafe {
            self.body().guard = if guard_bytes > 0 {
                os::install_guard(self.span().add(guard_at), guard_bytes)
            } else {
                Guard::None
            };
        }
        self.body().guard_bytes = guard_bytes as u32;
    }

    /// Writes what stands between its end and the guard.
    fn write_rest(self) {
        let end = self.body().offset as usize + self.body().size;
        // SAFETY: the bytes lie in the span, behind the block. (None, and no page is touched, if it ends at a page.)
        unsafe { write_pattern(self.span().add(end), self.guard_at() - end) };
    }

    /// Takes the guard behind it away; false, and it is still there, if the kernel refuses.
    fn open_end(self) -> bool {
        let guard_at = self.span().wrapping_add(self.guard_at());
        let (bytes, guard) = (self.body().guard_bytes as usize, self.body().guard);
        // SAFETY: `close_end` installed it.
        let opened = bytes == 0 || unsafe { os::remove_guard(guard_at, bytes, guard) };
        if opened {
            self.body().guard = Guard::None;
        }
        opened
    }

    /// How many bytes behind it were changed, as [`seal::changed_behind`].
    fn changed_behind(self) -> Option<(usize, usize)> {
        let end = self.body().offset as usize + self.body().size;
        let rest = self.guard_at() - end;
        let pattern = vault().pattern.to_le_bytes();
        let is_changed = |at: usize| {
            let expected = pattern.get(at).copied().unwrap_or(0);
            // SAFETY: the byte lies between the block and its guard.
            unsafe { *self.span().wrapping_add(end + at) != expected }
        };
        let first = (0..rest).find(|&at| is_changed(at))?;
        let last = (0..rest).rfind(|&at| is_changed(at))?;
        Some((first, last - first + 1))
    }

    /// Makes the block read as zero. What was hardly touched goes back to the kernel, what is large too; the rest is cleared, which
    /// costs less than to fault it in again. Returns how many bytes may have pages.
    fn wipe(self) -> usize {
        let end = self.guard_at();
        let begin = self.body().offset as usize / os::page_size() * os::page_size();
        let bytes = end - begin;
        let at = self.span().wrapping_add(begin);
        let give_back = bytes > CLEAR_MAX || (bytes > ASK_MIN && is_sparse(at, bytes));
        // SAFETY: the pages are the span's, and the program has given their contents up.
        unsafe {
            if give_back && os::purge(at, bytes) {
                return 0;
            }
            ptr::write_bytes(at, 0, bytes);
        }
        bytes
    }

    /// Ends its quarantine: the span is free for all. `bytes` of it may have pages.
    pub fn release(self, bytes: usize) {
        let used = if bytes > 0 { self.guard_at().div_ceil(GRANULE) } else { 0 };
        let front_ok = match self.front_at() {
            // SAFETY: `close` installed it.
            Some(front) => unsafe {
                os::remove_guard(self.span().wrapping_add(front), os::page_size(), self.body().front)
            },
            None => true,
        };
        if front_ok && self.open_end() {
            pages::free(self.0, used);
        } else {
            // A part of it can't be touched any more, so nobody shall get it.
            self.lose();
        }
    }

    /// Gives the block's addresses up for ever, and its pages back.
    pub fn lose(self) {
        // SAFETY: nobody will use the span again. If the kernel refuses this too, some pages are lost with it.
        unsafe { os::drop_pages(self.span(), self.guard_at()) };
        pages::retire(self.0);
    }

    /// Makes all of the span inaccessible, or accessible again; false if the kernel refuses.
    pub fn forbid(self, forbid: bool) -> bool {
        let (at, bytes) = (self.span(), self.guard_at());
        // SAFETY: the span is ours, and nobody has a use for it.
        unsafe { if forbid { os::forbid(at, bytes) } else { os::commit(at, bytes) } }
    }
}

/// Writes the pattern, as much of it as fits, and zeroes behind it.
///
/// # Safety
/// The bytes are the caller's.
unsafe fn write_pattern(at: *mut u8, bytes: usize) {
    let pattern = vault().pattern.to_le_bytes();
    let head = bytes.min(pattern.len());
    // SAFETY: the caller's contract.
    unsafe {
        ptr::copy_nonoverlapping(pattern.as_ptr(), at, head);
        ptr::write_bytes(at.add(head), 0, bytes - head);
    }
}

/// Whether less than half of a range's pages are in memory.
fn is_sparse(at: *mut u8, bytes: usize) -> bool {
    const PAGES_MAX: usize = CLEAR_MAX / 4096;
    let pages = (bytes / os::page_size()).min(PAGES_MAX);
    let mut resident = [0u8; PAGES_MAX];
    let resident = &mut resident[..pages];
    // SAFETY: the range is ours and mapped.
    let known = unsafe { os::resident(at, resident) };
    known && resident.iter().filter(|page| **page & 1 != 0).count() < pages / 2
}

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
    let block = Block(place);
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
        // SAFETY: the rest of the last page is behind the block.
        unsafe { write_pattern(at.add(size), guard_at - offset - size) };
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
            pages::retire(old.0);
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
            pages::retire(new.0);
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

//! Large blocks that grow beyond their span: into the free space behind it, or to another one, by moving their pages or by copying. What is
//! copied goes to a medium block if a span would be much longer than it is.
//!
//! The kernel moves one mapping a call. A span is mostly one, or part of one; but where a block had moved away, or had other advice
//! than its neighbours, mappings stay that the kernel does not join, and a later span may lie across their borders. Such a block is
//! moved *part* by part. If the kernel refuses in between, the rest is copied, so that a move ends in one of three ways: all
//! is at the new place, or all at the old one, or there is no new place.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count;
use cairn_core::os::{self, Move};

use super::filled::{is_little_longer, most_filled};
use super::{
    Block, align_for, fits_span, forbid_behind, grown, is_filled_when_grown, make, reach, release, uncount,
};
use crate::class::GRANULE;
use crate::descriptor::LargeBody;
use crate::medium;
use crate::pages::{self, Prefer};
use crate::region;

/// From this many bytes on, moving page-table entries is cheaper than copying into fresh pages: some 2 µs a call against
/// 0.3 µs and more a page.
const MOVE_MIN: usize = 128 * 1024;
/// A block of up to this many bytes is copied all the same if there is room that has pages: a page costs less to copy than to fault in,
/// and a move needs new ones for what was added, and for whoever gets the place that it leaves without any.
const COPY_MAX: usize = 1 << 20;
/// One that grows to this many bytes at most may be copied into memory that is filled for it. (Larger ones leave more of a huge page unused.)
const FILL_MAX: usize = 768 << 10;
/// Each move leaves a mapping of its own behind, which the kernel often can't join with its neighbours, and a process may
/// have 65,530. So after this many moves only blocks [`MOVE_STEP`] times larger are moved, after [`MOVE_STEP`] times
/// as many moves only blocks that are larger by that again, and so on: some thousand mappings in all (three for each eight moves were seen).
const MOVES_MAX: usize = 8192;
const MOVE_STEP: usize = 4;
/// So many moves that no block is large enough for another one.
const NEVER: usize = usize::MAX / 2;

/// A block in more mappings is copied.
const PARTS_MAX: usize = 8;

/// Parts moved so far, and many more for each refusal.
static MOVES: AtomicUsize = AtomicUsize::new(0);

/// From how many bytes on a block is moved now, after so many moves.
fn move_min() -> usize {
    let steps = (MOVES.load(Relaxed) / MOVES_MAX).checked_ilog(MOVE_STEP).map_or(0, |log| log + 1);
    MOVE_MIN.saturating_mul(MOVE_STEP.saturating_pow(steps))
}

/// Room for a block that grows: twice its size, if address space is plenty.
fn room_for(bytes: usize) -> usize {
    if region::is_roomy() { bytes.saturating_mul(2) } else { bytes }
}

/// Takes the free space behind the block, unless it would lie in too many mappings then, and its bytes would have to be copied some
/// time later.
pub(super) fn extend(block: Block, bytes: usize) -> bool {
    let before = block.span_bytes();
    if !pages::grow(block.0, bytes.div_ceil(GRANULE)) {
        return false;
    }
    if block.huge() {
        // What was added is told the same, or it would be a mapping of its own.
        // SAFETY: the span is ours.
        unsafe { os::allow_huge(block.address(), block.span_bytes()) };
    }
    // Where address space is short there may be no place to move to.
    if region::is_roomy() && block.bytes() >= move_min() && Parts::of(block).is_none() {
        if block.huge() {
            let rest = block.span_bytes() - before;
            pages::huge::forbid(block.0.region, block.address().wrapping_add(before), rest);
        }
        pages::shrink(block.0, before / GRANULE, 0);
        return false;
    }
    true
}

/// The parts of a block's span that each lie in one mapping.
struct Parts {
    /// Where they end, in bytes from the block's begin; the last is the span's end.
    ends: [usize; PARTS_MAX],
    count: usize,
}

impl Parts {
    /// Asks the kernel; None if there are too many, or one ends inside of a granule.
    fn of(block: Block) -> Option<Parts> {
        let end = block.span_bytes();
        let mut parts = Parts { ends: [0; PARTS_MAX], count: 0 };
        let mut from = 0;
        while from < end {
            if parts.count == PARTS_MAX {
                return None;
            }
            let bytes = longest(block.address().wrapping_add(from), end - from);
            if bytes == 0 {
                return None;
            }
            from += bytes;
            parts.ends[parts.count] = from;
            parts.count += 1;
        }
        Some(parts)
    }

    fn ends(&self) -> &[usize] {
        &self.ends[..self.count]
    }
}

/// How many of a block's bytes from here on lie in one mapping, in whole granules, of `bytes` at most.
fn longest(at: *mut u8, bytes: usize) -> usize {
    // SAFETY: the caller's span. Behind it is more of the region, or what a move has lost.
    let is_one = |bytes| unsafe { os::is_one_mapping(at, bytes) };
    if is_one(bytes) {
        return bytes;
    }
    // Granules: `few` do, `many` don't.
    let (mut few, mut many) = (0, bytes / GRANULE);
    while few + 1 < many {
        let middle = few.midpoint(many);
        *(if is_one(middle * GRANULE) { &mut few } else { &mut many }) = middle;
    }
    few * GRANULE
}

/// Moves the block to a larger span, or to a medium block, at a multiple of `align`; null if memory is short. (`size` is what the program asks for:
/// that decides on the class of a medium block, by which it is judged when it is freed.)
pub(super) fn relocate(block: Block, size: usize, align: usize) -> *mut u8 {
    let old = block.bytes();
    let fits_filled = size <= FILL_MAX && is_little_longer(size);
    let filled = if fits_filled { size.next_multiple_of(GRANULE) } else { most_filled(old, size) };
    let is_filled = is_filled_when_grown(block, size, filled);
    let has_pages =
        (is_filled && fits_filled) || (old <= COPY_MAX && pages::has_filled(size.div_ceil(GRANULE)));
    if old >= move_min()
        && !has_pages
        && let Some(new) = move_mapping(block, size, is_filled)
    {
        return new.address();
    }
    let in_slab = medium::allocate_grown(size, align);
    let span = if in_slab.is_null() {
        let prefer = if has_pages || fits_span(size) { Prefer::Filled } else { Prefer::Dirty };
        make(size, size, 1, prefer)
    } else {
        None
    };
    let new = span.map_or(in_slab, Block::address);
    if new.is_null() {
        return new;
    }
    // SAFETY: both are live, disjoint and ours; `new` is longer.
    unsafe { new.copy_from_nonoverlapping(block.address(), old) };
    release(block, old.div_ceil(GRANULE));
    if let Some(span) = span.filter(|_| !has_pages) {
        grown(span, old, is_filled);
    }
    new
}

/// Moves the block's pages to a span with room to grow; None, and the block as it was, if that can't be.
fn move_mapping(block: Block, size: usize, is_filled: bool) -> Option<Block> {
    let parts = Parts::of(block)?;
    // Pages come along, so the new span needs none.
    // Page tables of huge pages move as they are only from one multiple of their size to another.
    let align = align_for(size);
    let new = make(size, room_for(size), align, Prefer::Clean)?;
    if pages::is_dirty(new.0) {
        // There was no clean span. Its pages would be in the way; and if the move fails they could be lost.
        // SAFETY: the span is ours and new.
        if !unsafe { os::purge(new.address(), new.span_bytes()) } {
            release(new, 0);
            return None;
        }
        pages::mark_clean(new.0, 0, new.span_bytes() / GRANULE);
    }
    let (old_lost, moved) = move_parts(block, new, &parts)?;
    if moved == 0 {
        release(new, 0);
        return None;
    }
    // What could not be moved, to where nothing was before.
    let rest = block.bytes().saturating_sub(moved);
    // SAFETY: both spans are live, disjoint and ours; `new` is longer.
    unsafe {
        let to = new.address().wrapping_add(moved);
        to.copy_from_nonoverlapping(block.address().wrapping_add(moved), rest);
    }
    let (moved, used) = (moved / GRANULE, reach(block, (moved + rest).div_ceil(GRANULE)));
    if block.huge() {
        forbid_behind(block);
    }
    come_along(block, new, is_filled);
    if old_lost {
        drop_pages(block, moved * GRANULE, block.span_bytes());
        lose(block);
    } else {
        pages::huge::forbid_in_fresh(block.address(), block.span_bytes());
        pages::mark_clean(block.0, 0, moved);
        pages::mark_dirty(block.0, moved, used);
        release(block, 0);
    }
    Some(new)
}

/// Moves one part after the other, until one can't be. How many bytes were, and whether the old span is lost; what is not moved is as it
/// was, and reads as zero in the new span. None if the new span is lost: then nothing has moved.
fn move_parts(block: Block, new: Block, parts: &Parts) -> Option<(bool, usize)> {
    let mut moved = 0;
    for &end in parts.ends() {
        // The last one gets the room, so it is one mapping with it.
        let to_bytes = if end == block.span_bytes() { new.span_bytes() - moved } else { end - moved };
        let [from, to] = [block, new].map(|span| span.address().wrapping_add(moved));
        // SAFETY: both spans are live, disjoint, page-aligned and ours; `new` is longer.
        let result = unsafe { os::move_mapping(from, end - moved, to, to_bytes) };
        count::atomic(count::Place::Large, &MOVES);
        // What the kernel refused once, or another thread was quick enough for, will happen again: dearer tries only.
        MOVES.fetch_add(if result == Move::Done { 1 } else { MOVES_MAX }, Relaxed);
        match result {
            Move::Done => moved = end,
            Move::DoneOldLost => return Some((true, end)),
            Move::Failed => {
                pages::huge::forbid_in_fresh(to, to_bytes);
                break;
            }
            Move::FailedNewLost => {
                if !block.huge() {
                    pages::huge::forbid_in_fresh(block.address(), moved);
                }
                // SAFETY: as above; the parts that have moved are mapped at both places.
                unsafe { block.address().copy_from_nonoverlapping(new.address(), moved.min(block.bytes())) };
                drop_pages(new, 0, moved);
                // Perhaps it is still ours: a kernel may refuse before it unmaps. That can't be told, so it must not
                // happen again.
                MOVES.store(NEVER, Relaxed);
                lose(new);
                return None;
            }
        }
    }
    Some((false, moved))
}

/// The pages of `old` are `new`'s now, and what the kernel was told about them went with them: the fresh mapping in their
/// place knows nothing.
fn come_along(old: Block, new: Block, is_filled: bool) {
    let huge = old.huge();
    if !huge {
        // The old place may lie where a neighbour's last huge page ended.
        pages::huge::forbid_in_fresh(new.address(), new.span_bytes());
    }
    old.set(LargeBody { huge: false, ..old.body() });
    new.set(LargeBody { huge, ..new.body() });
    grown(new, old.bytes(), is_filled);
}

/// Gives back the pages of a part of a span that is about to be lost, but not this part of it.
fn drop_pages(block: Block, from: usize, to: usize) {
    if from < to {
        // SAFETY: the caller's part is ours, and its contents are elsewhere. Refused, they stay: there is nobody to be told.
        unsafe { os::drop_pages(block.address().wrapping_add(from), to - from) };
    }
}

/// Gives a block up whose addresses no longer are ours: its span stays taken for ever, and it is no block any more.
fn lose(block: Block) {
    uncount(block);
    pages::retire(block.0);
}

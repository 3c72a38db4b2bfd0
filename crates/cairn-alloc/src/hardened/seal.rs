//! The seal of a small block: its last word, by which an overflow and a second free are found.
//!
//! ```text
//!   live:  │ bytes that were asked for │ pattern (8) │ zeroes .. │ seal = hash(address) ^ rest << 48 │
//!                                      └────────── rest ────────┘
//!   free:  │ zeroes ..                                                                              │
//! ```
//! `rest`, the bytes between what was asked for and the seal, may be 0 to 7: then the seal covers the end of the pattern. So whatever
//! writes behind the bytes that were asked for hits the pattern or the seal, and since no byte of either is 0 there, the 0 that
//! ends a string too. The hash is bound to the address and to secrets of the process.
//!
//! Invariant: a hardened small block is live iff its seal says so. The program has no business in a free block, all of which is zero, as
//! the kernel gave it; so what it writes there is found when the block is handed out again.

use crate::hardened::bytes::{self, LONG};
use crate::hardened::vault::{Form, RESTS, form, vault};

/// Bytes of a seal.
pub const SEAL: usize = 8;
/// Bits of a seal that tell nothing but that it is one.
const SURE: u32 = 48;

/// What a seal says about its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is live, and its program asked for so many bytes.
    Live(usize),
    /// Nothing: zero, as in a free block.
    Zero,
    /// Something else was written there.
    Broken,
}

/// The part of the seal that is bound to the address. Its lowest byte, which stands first in memory, is not 0.
#[inline(always)]
fn hash(block: *mut u8) -> u64 {
    let vault = vault();
    // The upper bits of a product depend on all those of its factors; so they come first.
    (block.addr() as u64 ^ vault.key).wrapping_mul(vault.factor).swap_bytes() | 1
}

/// Bytes of a block of `class` before its seal.
#[inline(always)]
pub fn capacity(class: usize) -> usize {
    form(class).size as usize - SEAL
}

/// The seal of a block with so many bytes before it.
///
/// # Safety
/// A block of that capacity begins here.
#[inline(always)]
unsafe fn word(block: *mut u8, capacity: usize) -> *mut u64 {
    // SAFETY: the seal is part of the block, and sizes of blocks are multiples of 8.
    unsafe { block.add(capacity).cast() }
}

/// Writes the seal of a live block, and the pattern.
///
/// # Safety
/// The block is the caller's, has that capacity, which is no less than `size`, and the bytes from `size` to the seal are zero.
#[inline(always)]
unsafe fn write(block: *mut u8, capacity: usize, size: usize, hash: u64) {
    // SAFETY: 8 bytes behind `size` end at the block's end at the latest. The seal comes second: it may cover the pattern.
    unsafe {
        block.add(size).cast::<u64>().write_unaligned(vault().pattern);
        *word(block, capacity) = hash ^ (((capacity - size) as u64) << SURE);
    }
}

/// Seals a live block anew, for another size.
///
/// # Safety
/// As for [`hand_out`], but for the seal.
#[inline(always)]
pub unsafe fn close(block: *mut u8, capacity: usize, size: usize) {
    // SAFETY: the caller's contract.
    unsafe { write(block, capacity, size, hash(block)) }
}

/// Seals a free block that is handed out for `size` bytes; false, and nothing done, if it is not as it was left.
///
/// # Safety
/// The block is the caller's and has that capacity, which is no less than `size`.
#[inline(always)]
pub unsafe fn hand_out(block: *mut u8, capacity: usize, size: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        let untouched = is_untouched(block, capacity);
        if untouched {
            write(block, capacity, size, hash(block));
        }
        untouched
    }
}

/// [`hand_out`] for short blocks, without a call.
///
/// # Safety
/// As for [`hand_out`]; `form` is that of a class of short blocks.
#[inline(always)]
pub unsafe fn hand_out_short(block: *mut u8, form: &Form, size: usize) -> bool {
    let capacity = form.size as usize - SEAL;
    // SAFETY: the caller's contract.
    unsafe {
        let untouched = bytes::is_short_zero(block, form.size as usize, form.inner);
        if untouched {
            write(block, capacity, size, hash(block));
        }
        untouched
    }
}

/// The bytes that were asked for, if the block is live and nothing behind them was changed.
///
/// # Safety
/// A block of that capacity begins here.
#[inline(always)]
pub unsafe fn open(block: *mut u8, capacity: usize) -> Option<usize> {
    // SAFETY: the caller's contract.
    unsafe { open_with(block, capacity, hash(block)) }
}

/// # Safety
/// As for [`open`].
#[inline(always)]
unsafe fn open_with(block: *mut u8, capacity: usize, hash: u64) -> Option<usize> {
    // SAFETY: the caller's contract.
    let told = unsafe { *word(block, capacity) } ^ hash;
    let rest = (told >> SURE) as usize;
    if told << (64 - SURE) != 0 || rest > capacity {
        return None;
    }
    let size = capacity - rest;
    // SAFETY: as in `write`.
    let pattern = unsafe { block.add(size).cast::<u64>().read_unaligned() } ^ vault().pattern;
    if rest < SEAL {
        // The lower `rest` bytes of the pattern are there.
        return (pattern & ((1 << (8 * rest)) - 1) == 0).then_some(size);
    }
    // SAFETY: the bytes between the pattern and the seal, and the pattern before them.
    let rest_is_zero = rest == SEAL || unsafe { bytes::rest_is_zero(block, size + SEAL, capacity) };
    (pattern == 0 && rest_is_zero).then_some(size)
}

/// Opens a block for good: clears it, seal and all, if `accept` takes the bytes that were asked for. False, and nothing
/// done, if it is not live, or something behind these bytes was changed.
///
/// # Safety
/// A block of that capacity begins here. If it is live, it is the caller's.
#[inline(always)]
pub unsafe fn end(block: *mut u8, capacity: usize, accept: impl FnOnce(usize)) -> bool {
    let hash = hash(block);
    // SAFETY: the caller's contract. What is behind the pattern is zero.
    unsafe {
        let Some(size) = open_with(block, capacity, hash) else { return false };
        accept(size);
        clear(block, capacity, size);
    }
    true
}

/// Clears a block that was live: what was asked for, the pattern, and the seal.
///
/// # Safety
/// The block is the caller's, has that capacity, and all behind the pattern is zero.
#[inline(always)]
unsafe fn clear(block: *mut u8, capacity: usize, size: usize) {
    // SAFETY: no more than the block is cleared.
    unsafe {
        let used = (size + SEAL).next_multiple_of(8);
        if used < LONG {
            bytes::clear_words(block, used)
        } else {
            bytes::clear_many(block, used)
        }
        *word(block, capacity) = 0;
    }
}

/// [`end`] for a short block, without a call or a branch that depends on the size. False, and nothing done, if it is not live, if something
/// behind it was changed, or if it has more bytes to spare than its class asks for: `end` knows.
///
/// # Safety
/// As for [`end`]; `form` is that of a class of short blocks.
#[inline(always)]
pub unsafe fn end_short(block: *mut u8, form: &Form) -> bool {
    let (vault, capacity) = (vault(), form.short as usize);
    // SAFETY: the caller's contract, and as in `open_with`. There are 8 bytes before the seal of a block of 16 or more.
    unsafe {
        // Of a live block that is the rest, since the other bits are those of the hash.
        let rest = (*word(block, capacity) ^ hash(block)).rotate_left(64 - SURE) as usize;
        if rest >= RESTS || rest > capacity {
            return false;
        }
        let behind = block.add(capacity - rest).cast::<u64>().read_unaligned() ^ vault.pattern;
        let last = *block.add(capacity - SEAL).cast::<u64>();
        let rests = &vault.rests;
        if behind & rests.behind[rest] | (last & rests.known[rest] ^ rests.last[rest]) != 0 {
            return false;
        }
        bytes::clear_short(block, capacity + SEAL, form.inner);
    }
    true
}

/// Whether a free block is as it was left: zero.
///
/// # Safety
/// A block of that capacity begins here, and is the caller's.
#[inline(always)]
pub unsafe fn is_untouched(block: *mut u8, capacity: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe { bytes::are_zero(block, capacity + SEAL) }
}

/// What the seal says; for messages.
///
/// # Safety
/// A block of that capacity begins here.
#[cold]
pub unsafe fn state(block: *mut u8, capacity: usize) -> State {
    // SAFETY: the caller's contract.
    let word = unsafe { *word(block, capacity) };
    let told = word ^ hash(block);
    let rest = (told >> SURE) as usize;
    match told {
        _ if word == 0 => State::Zero,
        _ if told << (64 - SURE) == 0 && rest <= capacity => State::Live(capacity - rest),
        _ => State::Broken,
    }
}

/// How many bytes from the first to the last changed one a live block has behind the `size` bytes that were asked for, as
/// (offset of the first one behind them, how many). None if none.
///
/// # Safety
/// A block of that capacity begins here.
#[cold]
pub unsafe fn changed_behind(block: *mut u8, capacity: usize, size: usize) -> Option<(usize, usize)> {
    let pattern = vault().pattern.to_le_bytes();
    let is_changed = |at: usize| {
        let expected = if at < size + SEAL { pattern[at - size] } else { 0 };
        // SAFETY: the byte lies in the block.
        unsafe { *block.add(at) != expected }
    };
    let first = (size..capacity).find(|&at| is_changed(at))?;
    let last = (size..capacity).rfind(|&at| is_changed(at))?;
    Some((first - size, last - first + 1))
}

/// The offset of the first byte before the seal of a free block that is not zero; None if only the seal is not.
///
/// # Safety
/// A block of that capacity begins here.
#[cold]
pub unsafe fn first_written(block: *mut u8, capacity: usize) -> Option<usize> {
    // SAFETY: the byte lies in the block.
    (0..capacity).find(|&at| unsafe { *block.add(at) } != 0)
}

//! The seal of a small block: its last word, by which an overflow and a second free are found.
//!
//! ```text
//!   live:  │ bytes that were asked for │ pattern (8) │ zeroes .. │ seal = hash(address) ^ rest << 48 │
//!                                      └────────── rest ────────┘
//!   free:  │ zeroes ..                                          │ hash(address) ^ FREED             │
//!   never handed out, or its page went back:  zeroes, the seal too
//! ```
//! `rest`, the bytes between what was asked for and the seal, may be 0 to 7: then the seal covers the end of the pattern. So whatever
//! writes behind the bytes that were asked for hits the pattern or the seal, and since no byte of either is 0 there, the 0 that
//! ends a string too. The hash is bound to the address and to secrets of the process.
//!
//! Invariant: a hardened small block is live iff its seal says so. The program has no business in a free block, all of which is zero
//! but the seal; so what it writes there is found when the block is handed out again.

use crate::hardened::bytes;
use crate::hardened::vault::{form, vault};

/// Bytes of a seal.
pub const SEAL: usize = 8;
/// Bits of a seal that tell nothing but that it is one.
const SURE: u32 = 48;
/// In the seal of a free block: no length that a rest could have.
const FREED: u64 = 0xf4ee_0000_0000_0000;

/// What a seal says about its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is live, and its program asked for so many bytes.
    Live(usize),
    /// It is free.
    Freed,
    /// It was never handed out since its page came from the kernel.
    Fresh,
    /// Something else was written there.
    Broken,
}

/// The part of the seal that is bound to the address. Its lowest byte, which stands first in memory, is not 0.
#[inline(always)]
fn hash(block: *mut u8) -> u64 {
    let vault = vault();
    let product = (block.addr() as u64 ^ vault.key).wrapping_mul(vault.factor);
    product ^ (product >> 29) | 1
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
    let hash = hash(block);
    // SAFETY: the caller's contract.
    unsafe {
        let seal = *word(block, capacity);
        let untouched = bytes::are_zero(block, capacity) && (seal == hash ^ FREED || seal == 0);
        if untouched {
            write(block, capacity, size, hash);
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

/// Opens a block for good: clears it and marks it as free, if `accept` takes the bytes that were asked for. False, and nothing
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
        let bytes = capacity + SEAL;
        if bytes.is_multiple_of(16) {
            bytes::clear(block, ((size + SEAL + 15) & !15).min(bytes));
        } else {
            bytes::clear_words(block, bytes);
        }
        *word(block, capacity) = hash ^ FREED;
    }
    true
}

/// Whether a free block is as it was left: zero, and its seal one of a free block.
///
/// # Safety
/// A block of that capacity begins here, and is the caller's.
pub unsafe fn is_untouched(block: *mut u8, capacity: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        let seal = *word(block, capacity);
        bytes::are_zero(block, capacity) && (seal == 0 || seal == hash(block) ^ FREED)
    }
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
        _ if word == 0 => State::Fresh,
        FREED => State::Freed,
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

/// The offset of the first byte of a free block that is not zero; None if only the seal is.
///
/// # Safety
/// A block of that capacity begins here.
#[cold]
pub unsafe fn first_written(block: *mut u8, capacity: usize) -> Option<usize> {
    // SAFETY: the byte lies in the block.
    (0..capacity).find(|&at| unsafe { *block.add(at) } != 0)
}

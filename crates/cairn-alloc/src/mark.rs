//! The mark of a free small block: a word in it, by which a second free of it is refused at once.
//!
//! ```text
//!   free(p):    the word is p ^ secret?  then p is free already ── the message
//!               else it becomes p ^ secret, and p goes into the bin
//!   malloc:     the word becomes 0
//! ```
//! The mark is bound to the block's address and to a secret of the process, so nothing that a program computes equals it but by a
//! chance of 1 in 2^60, and a copy of a free block's bytes elsewhere is no mark. A copy of that copy can be one, if it comes back to the very address
//! after the block was handed out again: so who has the mark is looked for before a message says anything (audit/whereabouts.rs).
//!
//! The word is the block's *second* one (of blocks of 8 bytes, which only Rust programs have, the first). A program writes the
//! first one last: it counts references there, in four bytes or one. A load of bytes that have just been stored in smaller pieces
//! waits until all are in the cache: with the mark in the first word an immediate pair took twice as long. For the same reason the
//! fast path looks at half of the word only; where that is right, the slow path looks at the whole.
//!
//! Invariant: a small block that is free, wherever it waits (bin, shelf, batch, slab), has its mark, unless
//! - the program wrote to it after it was freed: then a second free is found when the bin is flushed, by the slab's bitmap;
//! - it was never handed out;
//! - its page went back to the kernel: then its granule is *unmarked* in the class map ([`UNMARKED`](crate::class::UNMARKED)), the
//!   fast path leaves it alone, and the slow one asks the bitmap. It gets its mark back when it leaves the slab for a bin.
//!
//! A live block doesn't have it, but by such a copy: each allocation takes it away. Medium blocks have none, since their slab always tells (slab/held.rs); nor have large ones, whose descriptor does.
//!
//! A build with `--cfg cairn_unchecked` has neither marks nor the proof that a block begins at an address: it is there to measure what they cost.
//!
//! Why so, what else was tried, and what it costs: docs/decisions/double-free.md.

use cairn_core::os;

use crate::class::block_size;
use crate::region;

/// The word of a block of `class` that holds the mark.
#[inline(always)]
fn word(block: *mut u8, class: usize) -> *mut usize {
    let second = size_of::<u64>();
    block.wrapping_add(if block_size(class) == second { 0 } else { second }).cast()
}

#[inline(always)]
fn of(block: *mut u8, class: usize) -> usize {
    let mark = block.addr() ^ region::secret();
    // A first word must not look like a second one that a program has moved up from there.
    if block_size(class) == size_of::<u64>() { !mark } else { mark }
}

/// Marks a small block as free; false, and nothing done, if it seems to have the mark already: who is told so asks [`is_set`], and if that
/// says no, uses [`put`].
///
/// Only half of the word is looked at, so one block in 2^32 only seems so. Programs write four bytes at a time, and a load of four
/// bytes gets them from the store right away, where one of eight would wait for the cache.
///
/// # Safety
/// The address begins a block of a slab of `class`, or the caller says so by [`GlobalAlloc`](core::alloc::GlobalAlloc)'s contract.
#[inline(always)]
pub unsafe fn set(block: *mut u8, class: usize) -> bool {
    if cfg!(cairn_unchecked) {
        return true;
    }
    let word = word(block, class);
    // SAFETY: a slab's memory can be read and written; the word lies in the block and is aligned as blocks are, to 8.
    unsafe {
        if *word.cast::<u32>() == of(block, class) as u32 {
            return false;
        }
        *word = of(block, class);
    }
    true
}

const _: () = assert!(cfg!(target_endian = "little"), "the first half of a word is the lower one");

/// Marks a small block of which nothing else is known: it is free, and may have lost its mark with its page. Only written: to read
/// a page that went back would bring a page of zeroes first, and then another fault.
///
/// # Safety
/// As for [`set`], and the block is the caller's.
#[inline]
pub unsafe fn put(block: *mut u8, class: usize) {
    if cfg!(not(cairn_unchecked)) {
        // SAFETY: as in `set`.
        unsafe { *word(block, class) = of(block, class) };
    }
}

/// Whether a small block has the mark.
///
/// # Safety
/// As for [`set`].
#[inline]
pub unsafe fn is_set(block: *mut u8, class: usize) -> bool {
    // SAFETY: as in `set`.
    unsafe { *word(block, class) == of(block, class) }
}

/// Takes the mark away: the block is handed out.
///
/// # Safety
/// The block is the caller's, and of `class`.
#[inline(always)]
pub unsafe fn clear(block: *mut u8, class: usize) {
    if cfg!(not(cairn_unchecked)) {
        // SAFETY: as in `set`.
        unsafe { *word(block, class) = 0 };
    }
}

/// A new secret. Never 0 in its upper bits, so that no mark looks like an address.
pub fn secret() -> usize {
    let [first, second] = os::random_words();
    // Both words are used by the C library too (stack protector, mangled pointers): what can be read from a mark should
    // not tell them.
    let mixed = (first ^ second.rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15u64 as usize);
    mixed ^ (mixed >> (usize::BITS / 2)) | 1 << (usize::BITS - 2) | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_mark_seems_to_be_one_and_is_none() {
        let class = crate::class::of_size(48);
        let mut memory = [0usize; 6];
        let block: *mut u8 = memory.as_mut_ptr().cast();
        // SAFETY: memory of this test, as large as a block.
        unsafe {
            assert!(set(block, class) && is_set(block, class));
            assert!(!set(block, class), "it has it already");
            *word(block, class) ^= 1 << 40;
            assert!(!set(block, class) && !is_set(block, class), "the other half differs");
            put(block, class);
            assert!(is_set(block, class));
            clear(block, class);
            assert!(!is_set(block, class) && set(block, class));
        }
    }
}

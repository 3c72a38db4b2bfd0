//! Clears and looks at the bytes of a block, without a call: most blocks are a few words long. Long ones: wide.rs.
//!
//! Lengths that are no multiple of a step are done by steps that overlap, so that there is no loop for what is left over.

mod wide;

use core::ptr;

pub use wide::Wide;
#[cfg(target_arch = "x86_64")]
use wide::{by_32, by_64};

#[cfg(target_arch = "x86_64")]
use crate::hardened::vault::vault;

/// 16 bytes, stored and loaded at once where the processor can.
#[cfg(target_arch = "x86_64")]
type Step = core::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Step = u128;

const STEP: usize = size_of::<Step>();
/// From here on bytes are looked at and cleared out of line, by wide registers where the processor has them.
pub const LONG: usize = 128;

/// Asks the processor for the first and the last bytes of a block, whose seal is so many bytes from its begin: it will be handed out soon.
#[inline(always)]
pub fn fetch(block: *const u8, seal: usize) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, for any address.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(block.cast());
            _mm_prefetch::<_MM_HINT_T0>(block.wrapping_add(seal).cast());
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = (block, seal);
}

/// Makes a short block zero: `bytes` bytes, 16 to [`LONG`] and a multiple of it, at an address that is one too. `inner` is where the second and the
/// second last 16 of them begin: programs mix small sizes, so there is no branch that depends on them up to 64.
///
/// # Safety
/// They are the caller's.
#[inline(always)]
pub unsafe fn clear_short(at: *mut u8, bytes: usize, inner: [u8; 2]) {
    debug_assert!(
        (STEP..=LONG).contains(&bytes) && bytes.is_multiple_of(STEP) && at.addr().is_multiple_of(STEP)
    );
    // SAFETY: all steps lie in the caller's bytes and are aligned; zeroes are a valid value.
    unsafe {
        // Volatile, or the compiler makes it a call.
        let zero = |offset: usize| at.add(offset).cast::<Step>().write_volatile(core::mem::zeroed());
        zero(0);
        zero(inner[0].into());
        zero(inner[1].into());
        zero(bytes - STEP);
        if bytes > 4 * STEP {
            zero(2 * STEP);
            zero(3 * STEP);
            zero(bytes - 4 * STEP);
            zero(bytes - 3 * STEP);
        }
    }
}

/// Where the second and the second last 16 bytes of a short block begin; of one that has no more than two, the first and the last.
pub const fn inner_of(bytes: usize) -> [u8; 2] {
    let last = bytes - 16;
    if last < 16 { [last as u8, 0] } else { [16, last as u8 - 16] }
}

/// Whether a short block, as in [`clear_short`], is zero.
///
/// # Safety
/// It can be read.
#[inline(always)]
pub unsafe fn is_short_zero(at: *const u8, bytes: usize, inner: [u8; 2]) -> bool {
    debug_assert!((STEP..=LONG).contains(&bytes) && bytes.is_multiple_of(STEP));
    // SAFETY: all reads lie in the caller's bytes.
    unsafe {
        let front = or(load(at), load(at.add(inner[0].into())));
        let all = or(front, or(load(at.add(inner[1].into())), load(at.add(bytes - STEP))));
        is_zero(if bytes > 4 * STEP {
            let front = or(load(at.add(2 * STEP)), load(at.add(3 * STEP)));
            or(all, or(front, or(load(at.add(bytes - 4 * STEP)), load(at.add(bytes - 3 * STEP)))))
        } else {
            all
        })
    }
}

/// Makes `bytes` bytes zero, a multiple of 8, at an address that is one too.
///
/// # Safety
/// They are the caller's.
#[inline]
pub unsafe fn clear_words(at: *mut u8, bytes: usize) {
    debug_assert!(bytes.is_multiple_of(8) && at.addr().is_multiple_of(8));
    let mut left = bytes;
    while left > 0 {
        left -= 8;
        // SAFETY: the word lies in the caller's bytes.
        unsafe { at.add(left).cast::<u64>().write_volatile(0) };
    }
}

/// Whether `bytes` bytes, a multiple of 8 and not 0, are zero.
///
/// # Safety
/// They can be read.
#[inline(always)]
pub unsafe fn are_zero(at: *const u8, bytes: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe { if bytes < LONG { few_are_zero(at, bytes) } else { many_are_zero(at, bytes) } }
}

/// [`are_zero`] for less than [`LONG`] bytes.
///
/// # Safety
/// They can be read.
#[inline]
unsafe fn few_are_zero(at: *const u8, bytes: usize) -> bool {
    debug_assert!((8..LONG).contains(&bytes) && bytes.is_multiple_of(8));
    // SAFETY: all reads lie in the caller's bytes.
    unsafe {
        let word = |offset: usize| at.add(offset).cast::<u64>().read_unaligned();
        if bytes < 2 * STEP {
            return word(0) | word((bytes / 2) & !7) | word(bytes - 8) == 0;
        }
        if bytes <= 4 * STEP {
            let (front, back) = (or(load(at), load(at.add(STEP))), at.add(bytes - 2 * STEP));
            return is_zero(or(front, or(load(back), load(back.add(STEP)))));
        }
        is_zero(or(or_4(at), or_4(at.add(bytes - 4 * STEP))))
    }
}

/// [`are_zero`] for [`LONG`] bytes and more.
///
/// # Safety
/// They can be read.
#[inline]
pub unsafe fn many_are_zero(at: *const u8, bytes: usize) -> bool {
    debug_assert!(bytes >= LONG && bytes.is_multiple_of(8));
    // SAFETY: the caller's contract; the vault knows what the processor can do.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match vault().wide {
            Wide::By64 => return by_64::are_zero(at, bytes),
            Wide::By32 => return by_32::are_zero(at, bytes),
            Wide::No => {}
        }
        let mut all = or_4(at.add(bytes - 4 * STEP));
        let mut offset = 0;
        while offset + 4 * STEP < bytes {
            all = or(all, or_4(at.add(offset)));
            offset += 4 * STEP;
        }
        is_zero(all)
    }
}

/// Makes [`LONG`] bytes or more zero. Of very many, and with wide registers, only those that are not: a long block is often written in part,
/// and what is only read need not be written back from the caches.
///
/// # Safety
/// They are the caller's.
#[inline]
pub unsafe fn clear_many(at: *mut u8, bytes: usize) {
    debug_assert!(bytes >= LONG);
    // SAFETY: the caller's contract; the vault knows what the processor can do.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        match vault().wide {
            Wide::By64 => return by_64::clear(at, bytes),
            Wide::By32 => return by_32::clear(at, bytes),
            Wide::No => {}
        }
        ptr::write_bytes(at, 0, bytes);
    }
}

/// Four steps, or-ed.
///
/// # Safety
/// They can be read.
#[inline(always)]
unsafe fn or_4(at: *const u8) -> Step {
    // SAFETY: the caller's contract.
    unsafe {
        let front = or(load(at), load(at.add(STEP)));
        or(front, or(load(at.add(2 * STEP)), load(at.add(3 * STEP))))
    }
}

/// # Safety
/// A step can be read.
#[inline(always)]
unsafe fn load(at: *const u8) -> Step {
    // SAFETY: the caller's contract.
    unsafe { at.cast::<Step>().read_unaligned() }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn or(a: Step, b: Step) -> Step {
    // SAFETY: part of every x86-64.
    unsafe { core::arch::x86_64::_mm_or_si128(a, b) }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn is_zero(all: Step) -> bool {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_setzero_si128};
    // SAFETY: part of every x86-64.
    unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128())) == 0xffff }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn or(a: Step, b: Step) -> Step {
    a | b
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
fn is_zero(all: Step) -> bool {
    all == 0
}

/// Whether the bytes from `from` up to `to` are zero, where `to` is at least 8.
///
/// # Safety
/// They can be read, and so can the 8 before each of them.
#[inline(always)]
pub unsafe fn rest_is_zero(at: *const u8, from: usize, to: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        let word = |end: usize| at.add(end - 8).cast::<u64>().read_unaligned();
        // Of a word that ends behind `from` and begins before it, the upper bytes.
        match to - from {
            0 => true,
            left @ 1..=8 => word(to) >> (8 * (8 - left)) == 0,
            left @ 9..=16 => word(to) | (word(to - 8) >> (8 * (16 - left))) == 0,
            _ => long_rest_is_zero(at, from, to),
        }
    }
}

/// # Safety
/// As for [`rest_is_zero`]; there are more than 16.
#[inline(never)]
unsafe fn long_rest_is_zero(at: *const u8, from: usize, to: usize) -> bool {
    let words = (to - from) & !7;
    // SAFETY: the caller's contract; the first word may overlap the others.
    unsafe { are_zero(at.add(to - words), words) && at.add(from).cast::<u64>().read_unaligned() == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Memory([u8; 10_000]);

    /// In front of the bytes, so that they begin at a multiple of 16 and of nothing more.
    const BEFORE: usize = 16;

    /// Lets `clear` clear so many of many bytes, and `are_zero` look at them with each of them changed.
    fn check(bytes: usize, clear: impl Fn(*mut u8), are_zero: impl Fn(*const u8) -> bool) {
        let mut memory = std::boxed::Box::new(Memory([0xaa; 10_000]));
        let memory = &mut memory.0;
        clear(memory[BEFORE..].as_mut_ptr());
        assert!(are_zero(memory[BEFORE..].as_ptr()), "{bytes}");
        let (before, behind) = (&memory[..BEFORE], &memory[BEFORE + bytes..]);
        assert!(before.iter().chain(behind).all(|&byte| byte == 0xaa), "{bytes}");
        let step = if bytes > 1000 { 7 } else { 1 };
        for at in (0..bytes).step_by(step).chain([bytes - 1]) {
            memory[BEFORE + at] = 1;
            assert!(!are_zero(memory[BEFORE..].as_ptr()), "{at} of {bytes}");
            clear(memory[BEFORE..].as_mut_ptr());
            assert!(are_zero(memory[BEFORE..].as_ptr()), "{at} of {bytes}");
        }
    }

    #[test]
    fn each_byte_counts_and_no_other() {
        // SAFETY: the bytes lie in the memory; registers are used that the processor has.
        unsafe {
            for bytes in (8..LONG).step_by(8) {
                check(bytes, |at| clear_words(at, bytes), |at| are_zero(at, bytes));
            }
            for bytes in (16..=LONG).step_by(16) {
                let form = inner_of(bytes);
                check(bytes, |at| clear_short(at, bytes, form), |at| is_short_zero(at, bytes, form));
            }
            for bytes in (LONG..=1100).step_by(8).chain((2000..2600).step_by(56)).chain([4096, 4104, 9000]) {
                check(bytes, |at| clear_many(at, bytes), |at| many_are_zero(at, bytes));
                #[cfg(target_arch = "x86_64")]
                {
                    let wide = Wide::of_this_processor();
                    if wide != Wide::No {
                        check(bytes, |at| by_32::clear(at, bytes), |at| by_32::are_zero(at, bytes));
                    }
                    if wide == Wide::By64 {
                        check(bytes, |at| by_64::clear(at, bytes), |at| by_64::are_zero(at, bytes));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_behind_counts_from_its_first_byte() {
        for bytes in (8..=400).step_by(8) {
            let mut memory = Memory([0; 10_000]);
            let memory = &mut memory.0;
            for at in 0..bytes {
                memory[BEFORE + at] = 1;
                for from in (0..=at + 1).rev().take(40) {
                    // SAFETY: the bytes lie in the memory.
                    let seen = unsafe { !rest_is_zero(memory[BEFORE..].as_ptr(), from, bytes) };
                    assert_eq!(seen, from <= at, "{at} of {from}..{bytes}");
                }
                memory[BEFORE + at] = 0;
            }
        }
    }
}

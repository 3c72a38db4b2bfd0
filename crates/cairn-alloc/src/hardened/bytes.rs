//! Clears and looks at the bytes of a block, without a call: most blocks are a few words long.
//!
//! Both go from the end to the begin, so that the step that is left over is the first one.

use core::ptr;

/// 16 bytes, stored at once where the processor can.
#[cfg(target_arch = "x86_64")]
type Step = core::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Step = u128;

const STEP: usize = size_of::<Step>();
/// From here on the C library's way is quicker than a loop.
const LOOP_MAX: usize = 512;

/// Makes `bytes` bytes zero: a multiple of 16, at an address that is one too.
///
/// # Safety
/// They are the caller's.
#[inline(always)]
pub unsafe fn clear(at: *mut u8, bytes: usize) {
    debug_assert!(bytes.is_multiple_of(STEP) && at.addr().is_multiple_of(STEP));
    // SAFETY: all steps lie in the caller's bytes and are aligned; zeroes are a valid value.
    unsafe {
        if bytes > LOOP_MAX {
            ptr::write_bytes(at, 0, bytes);
            return;
        }
        let mut left = bytes;
        // Volatile, or the compiler makes it the call again.
        let zero = |offset: usize| at.add(offset).cast::<Step>().write_volatile(core::mem::zeroed());
        while left >= 4 * STEP {
            left -= 4 * STEP;
            zero(left);
            zero(left + STEP);
            zero(left + 2 * STEP);
            zero(left + 3 * STEP);
        }
        while left > 0 {
            left -= STEP;
            zero(left);
        }
    }
}

/// The same for multiples of 8.
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
    debug_assert!(bytes >= 8 && bytes.is_multiple_of(8));
    // SAFETY: all reads lie in the caller's bytes.
    unsafe {
        let word = |at: *const u8| at.cast::<u64>().read_unaligned();
        // The first word first: it is left over if there is an odd number of them.
        let (mut a, mut b) = (word(at), 0);
        let mut left = bytes;
        while left >= 64 {
            left -= 64;
            if !are_64_zero(at.add(left)) {
                return false;
            }
        }
        while left >= 16 {
            left -= 16;
            a |= word(at.add(left));
            b |= word(at.add(left + 8));
        }
        a | b == 0
    }
}

/// # Safety
/// 64 bytes can be read.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn are_64_zero(at: *const u8) -> bool {
    use core::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_setzero_si128,
    };
    // SAFETY: the caller's contract; these instructions are part of every x86-64.
    unsafe {
        let load = |offset| _mm_loadu_si128(at.add(offset).cast());
        let all = _mm_or_si128(_mm_or_si128(load(0), load(16)), _mm_or_si128(load(32), load(48)));
        _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128())) == 0xffff
    }
}

/// # Safety
/// 64 bytes can be read.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
unsafe fn are_64_zero(at: *const u8) -> bool {
    // SAFETY: the caller's contract.
    let words = unsafe { at.cast::<[u64; 8]>().read_unaligned() };
    words.iter().fold(0, |all, word| all | word) == 0
}

/// Whether the bytes from `from` up to `to` are zero, where `to` is at least 8.
///
/// # Safety
/// They can be read, and so can the 8 before each of them.
#[inline(always)]
pub unsafe fn rest_is_zero(at: *const u8, from: usize, to: usize) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        let word = |offset: usize| at.add(offset).cast::<u64>().read_unaligned();
        let (mut all, mut left) = (0, to - from);
        let mut end = to;
        while left >= 8 {
            (end, left) = (end - 8, left - 8);
            all |= word(end);
        }
        if left > 0 {
            // The upper bytes of the first word.
            all |= word(end - 8) >> (8 * (8 - left));
        }
        all == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_counts_and_no_other() {
        #[repr(align(16))]
        struct Memory([u8; 4200]);
        let sizes = (16..=160).step_by(8).chain([504, 512, 520, 528, 4096]);
        for bytes in sizes {
            let mut memory = std::boxed::Box::new(Memory([0xaa; 4200]));
            let memory = &mut memory.0;
            // SAFETY: the bytes lie in the vector.
            unsafe {
                if bytes % 16 == 0 {
                    clear(memory.as_mut_ptr().add(16), bytes);
                } else {
                    clear_words(memory.as_mut_ptr().add(16), bytes);
                }
                assert!(are_zero(memory.as_ptr().add(16), bytes));
            }
            assert!(memory[..16].iter().chain(&memory[16 + bytes..]).all(|&byte| byte == 0xaa));
            for at in 0..bytes {
                memory[16 + at] = 1;
                // SAFETY: as above.
                unsafe {
                    assert!(!are_zero(memory.as_ptr().add(16), bytes), "{at} of {bytes}");
                    for from in (0..=at + 1).rev().take(20) {
                        let seen = !rest_is_zero(memory.as_ptr().add(16), from, bytes);
                        assert_eq!(seen, from <= at, "{at} of {from}..{bytes}");
                    }
                }
                memory[16 + at] = 0;
            }
        }
    }
}

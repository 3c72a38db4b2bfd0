//! Clears and looks at the bytes of a block, without a call: most blocks are a few words long.
//!
//! Lengths that are no multiple of a step are done by steps that overlap, so that there is no loop for what is left over.

use core::ptr;

#[cfg(target_arch = "x86_64")]
use crate::hardened::vault::vault;

/// 16 bytes, stored and loaded at once where the processor can.
#[cfg(target_arch = "x86_64")]
type Step = core::arch::x86_64::__m128i;
#[cfg(not(target_arch = "x86_64"))]
type Step = u128;

const STEP: usize = size_of::<Step>();
/// From here on the C library's way to clear is quicker than a loop,
const LOOP_MAX: usize = 512;
/// and from here on wide loads are, where the processor has them.
#[cfg(target_arch = "x86_64")]
const WIDE_MIN: usize = 256;

/// Makes `bytes` bytes zero: a multiple of 16, at least 16, at an address that is one too.
///
/// # Safety
/// They are the caller's.
#[inline(always)]
pub unsafe fn clear(at: *mut u8, bytes: usize) {
    debug_assert!(bytes > 0 && bytes.is_multiple_of(STEP) && at.addr().is_multiple_of(STEP));
    // SAFETY: all steps lie in the caller's bytes and are aligned; zeroes are a valid value.
    unsafe {
        // Volatile, or the compiler makes it a call.
        let zero = |offset: usize| at.add(offset).cast::<Step>().write_volatile(core::mem::zeroed());
        let last = bytes - STEP;
        if bytes <= 4 * STEP {
            zero(0);
            zero(last);
            if bytes > 2 * STEP {
                zero(STEP);
                zero(last - STEP);
            }
            return;
        }
        if bytes > LOOP_MAX {
            ptr::write_bytes(at, 0, bytes);
            return;
        }
        let mut offset = 0;
        while offset + 4 * STEP < bytes {
            zero(offset);
            zero(offset + STEP);
            zero(offset + 2 * STEP);
            zero(offset + 3 * STEP);
            offset += 4 * STEP;
        }
        zero(last - 3 * STEP);
        zero(last - 2 * STEP);
        zero(last - STEP);
        zero(last);
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
        let word = |offset: usize| at.add(offset).cast::<u64>().read_unaligned();
        if bytes < 2 * STEP {
            return word(0) | word((bytes / 2) & !7) | word(bytes - 8) == 0;
        }
        if bytes <= 4 * STEP {
            let (front, back) = (or(load(at), load(at.add(STEP))), at.add(bytes - 2 * STEP));
            return is_zero(or(front, or(load(back), load(back.add(STEP)))));
        }
        #[cfg(target_arch = "x86_64")]
        if bytes >= WIDE_MIN && vault().wide {
            return are_zero_wide(at, bytes);
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

/// The same by 32 bytes at once.
///
/// # Safety
/// They can be read, are [`WIDE_MIN`] at least, and the processor [has the instructions](has_wide).
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
unsafe fn are_zero_wide(at: *const u8, bytes: usize) -> bool {
    use core::arch::x86_64::{_mm256_loadu_si256, _mm256_or_si256, _mm256_testz_si256};
    const ROUND: usize = 128;
    // SAFETY: all reads lie in the caller's bytes.
    unsafe {
        let load = |offset: usize| _mm256_loadu_si256(at.add(offset).cast());
        let pair = |offset: usize| _mm256_or_si256(load(offset), load(offset + 32));
        let (mut a, mut b) = (pair(bytes - ROUND), pair(bytes - ROUND / 2));
        let mut offset = 0;
        while offset + ROUND < bytes {
            a = _mm256_or_si256(a, pair(offset));
            b = _mm256_or_si256(b, pair(offset + ROUND / 2));
            offset += ROUND;
        }
        let all = _mm256_or_si256(a, b);
        _mm256_testz_si256(all, all) == 1
    }
}

/// Whether the processor and the kernel have registers of 32 bytes and the instructions for them (AVX2).
pub fn has_wide() -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
        #[target_feature(enable = "xsave")]
        unsafe fn saved() -> u64 {
            // SAFETY: the caller has seen that the kernel lets programs ask.
            unsafe { _xgetbv(0) }
        }
        const OSXSAVE_AVX: u32 = 1 << 27 | 1 << 28;
        const AVX2: u32 = 1 << 5;
        let leaves = __cpuid(0).eax;
        leaves >= 7
            && __cpuid(1).ecx & OSXSAVE_AVX == OSXSAVE_AVX
            && __cpuid_count(7, 0).ebx & AVX2 != 0
            // SAFETY: OSXSAVE is set.
            && unsafe { saved() } & 6 == 6
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    false
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

    #[test]
    fn each_byte_counts_and_no_other() {
        #[repr(align(16))]
        struct Memory([u8; 4200]);
        let sizes = (8..=400).step_by(8).chain([504, 512, 520, 528, 1032, 4096]);
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
                    for from in (0..=at + 1).rev().take(40) {
                        let seen = !rest_is_zero(memory.as_ptr().add(16), from, bytes);
                        assert_eq!(seen, from <= at, "{at} of {from}..{bytes}");
                    }
                }
                memory[16 + at] = 0;
            }
        }
    }
}

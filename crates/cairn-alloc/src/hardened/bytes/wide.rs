//! Looks at long blocks, and clears them, by the widest registers that the processor has: 32 or 64 bytes instead of 16.

#[cfg(target_arch = "x86_64")]
use super::LONG;

/// Of so many bytes and more those that are zero are not cleared,
#[cfg(target_arch = "x86_64")]
const SPARSE_MIN: usize = 2048;
/// in steps of this.
#[cfg(target_arch = "x86_64")]
const CHUNK: usize = 512;

/// Long looks and long clears, by registers of so many bytes.
#[cfg(target_arch = "x86_64")]
macro_rules! wide {
    ($name:ident, $feature:literal, $bytes:literal, $register:ident, $class:ident, $clear:literal, $load:ident, $store:ident, $or:ident, $test:expr) => {
        pub mod $name {
            use core::arch::asm;
            use core::arch::x86_64::*;
            use core::ptr;

            use super::{CHUNK, LONG, SPARSE_MIN};

            const REGISTER: usize = $bytes;
            /// Bytes of a round of the loops.
            const ROUND: usize = 4 * REGISTER;
            const _: () = assert!(LONG >= 2 * REGISTER && CHUNK >= ROUND);

            /// Whether [`LONG`] bytes or more are zero.
            ///
            /// # Safety
            /// They can be read, and the processor [has the instructions](super::Wide::of_this_processor).
            #[target_feature(enable = $feature)]
            pub unsafe fn are_zero(at: *const u8, bytes: usize) -> bool {
                // SAFETY: all reads lie in the caller's bytes.
                unsafe {
                    let load = |offset: usize| $load(at.add(offset).cast());
                    let pair = |offset: usize| $or(load(offset), load(offset + REGISTER));
                    let (mut a, mut b) = (pair(bytes - 2 * REGISTER), pair(0));
                    if bytes > ROUND {
                        a = $or(a, pair(bytes - ROUND));
                        let mut offset = 2 * REGISTER;
                        while offset + ROUND < bytes {
                            a = $or(a, pair(offset));
                            b = $or(b, pair(offset + 2 * REGISTER));
                            offset += ROUND;
                        }
                    }
                    $test($or(a, b))
                }
            }

            /// Makes [`LONG`] bytes or more zero.
            ///
            /// # Safety
            /// They are the caller's, and the processor [has the instructions](super::Wide::of_this_processor).
            #[target_feature(enable = $feature)]
            pub unsafe fn clear(at: *mut u8, bytes: usize) {
                if bytes >= SPARSE_MIN {
                    // SAFETY: the caller's contract.
                    return unsafe { clear_written(at, bytes) };
                }
                let zero: $register;
                // SAFETY: clears a register. From here, so that the compiler doesn't make the loop a call.
                unsafe {
                    asm!($clear, out($class) zero, options(pure, nomem, nostack, preserves_flags));
                }
                // SAFETY: all writes lie in the caller's bytes.
                unsafe {
                    let pair = |offset: usize| {
                        $store(at.add(offset).cast(), zero);
                        $store(at.add(offset + REGISTER).cast(), zero);
                    };
                    pair(0);
                    if bytes > ROUND {
                        let mut offset = 2 * REGISTER;
                        while offset + ROUND < bytes {
                            pair(offset);
                            pair(offset + 2 * REGISTER);
                            offset += ROUND;
                        }
                        pair(bytes - ROUND);
                    }
                    pair(bytes - 2 * REGISTER);
                }
            }

            /// Makes [`CHUNK`] bytes or more zero: those chunks that are not.
            ///
            /// # Safety
            /// As for [`clear`].
            #[target_feature(enable = $feature)]
            unsafe fn clear_written(at: *mut u8, bytes: usize) {
                let mut offset = 0;
                while offset < bytes {
                    // SAFETY: the chunk lies in the caller's bytes; the last one may overlap the one before.
                    unsafe {
                        let chunk = at.add(offset.min(bytes - CHUNK));
                        // Of a chunk that was written to, as a rule its begin was.
                        if chunk.cast::<u128>().read_unaligned() != 0 || !are_zero(chunk, CHUNK) {
                            ptr::write_bytes(chunk, 0, CHUNK);
                        }
                    }
                    offset += CHUNK;
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
wide!(
    by_32,
    "avx2",
    32,
    __m256i,
    ymm_reg,
    "vpxor {0:x}, {0:x}, {0:x}",
    _mm256_loadu_si256,
    _mm256_storeu_si256,
    _mm256_or_si256,
    |all| { _mm256_testz_si256(all, all) == 1 }
);
#[cfg(target_arch = "x86_64")]
wide!(
    by_64,
    "avx512f",
    64,
    __m512i,
    zmm_reg,
    // Registers from the 16th on can't be named by the shorter `vpxor`.
    "vpxord {0}, {0}, {0}",
    _mm512_loadu_si512,
    _mm512_storeu_si512,
    _mm512_or_si512,
    |all| _mm512_test_epi64_mask(all, all) == 0
);

/// The widest registers for which processor and kernel have what [`super::many_are_zero`] needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wide {
    /// None wider than a step.
    No,
    /// 32 bytes (AVX2).
    #[cfg(target_arch = "x86_64")]
    By32,
    /// 64 bytes (AVX-512F).
    #[cfg(target_arch = "x86_64")]
    By64,
}

impl Wide {
    /// What there is.
    pub fn of_this_processor() -> Wide {
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
            const AVX512F: u32 = 1 << 16;
            /// Parts of the state that the kernel saves: for registers of 32 bytes, and of 64.
            const SAVED: [u64; 2] = [0x06, 0xe6];
            if __cpuid(0).eax >= 7 && __cpuid(1).ecx & OSXSAVE_AVX == OSXSAVE_AVX {
                let features = __cpuid_count(7, 0).ebx;
                // SAFETY: OSXSAVE is set.
                let saved = unsafe { saved() };
                let has = |feature, parts: u64| features & feature != 0 && saved & parts == parts;
                if has(AVX2, SAVED[0]) {
                    return if has(AVX512F, SAVED[1]) { Wide::By64 } else { Wide::By32 };
                }
            }
        }
        Wide::No
    }
}

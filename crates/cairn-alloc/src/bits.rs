//! Ranges of bits in arrays of words: the dirty bits of a region.
//!
//! All functions take the array's first word and bit positions `from..to`. Words are read and written as atomics,
//! because an owner may look at its own bits while a neighbour's, in the same word, change under a lock.
//! # Safety
//! For each of them: the array reaches at least to bit `to`, and writers of the same word exclude each other.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Word `word` of the array.
/// # Safety
/// See the module.
#[inline]
unsafe fn at<'a>(array: *mut u64, word: usize) -> &'a AtomicU64 {
    // SAFETY: the module's contract; all access to these words is atomic.
    unsafe { AtomicU64::from_ptr(array.add(word)) }
}

/// The part of word `word` that lies in `from..to`, as a mask.
#[inline]
fn mask(word: usize, from: usize, to: usize) -> u64 {
    let first = from.max(word * 64) - word * 64;
    let last = to.min(word * 64 + 64) - word * 64;
    debug_assert!(first < last);
    (u64::MAX >> (64 - (last - first))) << first
}

/// The words that hold bits `from..to`, which is not empty.
#[inline]
fn words(from: usize, to: usize) -> core::ops::Range<usize> {
    if from >= to { 0..0 } else { from / 64..(to - 1) / 64 + 1 }
}

/// Sets the bits.
/// # Safety
/// See the module.
pub unsafe fn set(array: *mut u64, from: usize, to: usize) {
    for word in words(from, to) {
        // SAFETY: the module's contract.
        let word_at = unsafe { at(array, word) };
        word_at.store(word_at.load(Relaxed) | mask(word, from, to), Relaxed);
    }
}

/// Clears the bits.
/// # Safety
/// See the module.
pub unsafe fn clear(array: *mut u64, from: usize, to: usize) {
    for word in words(from, to) {
        // SAFETY: the module's contract.
        let word_at = unsafe { at(array, word) };
        word_at.store(word_at.load(Relaxed) & !mask(word, from, to), Relaxed);
    }
}

/// How many bits are set.
/// # Safety
/// See the module.
pub unsafe fn count(array: *mut u64, from: usize, to: usize) -> usize {
    // SAFETY: the module's contract.
    words(from, to)
        .map(|word| (unsafe { at(array, word) }.load(Relaxed) & mask(word, from, to)).count_ones() as usize)
        .sum()
}

/// The first run of set bits, as its bounds.
/// # Safety
/// See the module.
pub unsafe fn first_run(array: *mut u64, from: usize, to: usize) -> Option<(usize, usize)> {
    // SAFETY: the module's contract.
    let start = unsafe { find(array, from, to, 0) }?;
    // SAFETY: the same.
    let end = unsafe { find(array, start, to, u64::MAX) }.unwrap_or(to);
    Some((start, end))
}

/// The first bit that, exclusive-or `flip`, is set.
unsafe fn find(array: *mut u64, from: usize, to: usize, flip: u64) -> Option<usize> {
    for word in words(from, to) {
        // SAFETY: the module's contract.
        let found = (unsafe { at(array, word) }.load(Relaxed) ^ flip) & mask(word, from, to);
        if found != 0 {
            return Some(word * 64 + found.trailing_zeros() as usize);
        }
    }
    None
}

/// The last run of set bits, as its bounds.
/// # Safety
/// See the module.
pub unsafe fn last_run(array: *mut u64, from: usize, to: usize) -> Option<(usize, usize)> {
    // SAFETY: the module's contract.
    let end = unsafe { find_last(array, from, to, 0) }? + 1;
    // SAFETY: the same.
    let start = unsafe { find_last(array, from, end, u64::MAX) }.map_or(from, |clear| clear + 1);
    Some((start, end))
}

/// Like [`find`], from the end.
unsafe fn find_last(array: *mut u64, from: usize, to: usize, flip: u64) -> Option<usize> {
    for word in words(from, to).rev() {
        // SAFETY: the module's contract.
        let found = (unsafe { at(array, word) }.load(Relaxed) ^ flip) & mask(word, from, to);
        if found != 0 {
            return Some(word * 64 + 63 - found.leading_zeros() as usize);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_agree_with_a_plain_array() {
        // Miri takes its time.
        let step = if cfg!(miri) { 13 } else { 1 };
        for from in (0..130).step_by(step) {
            for to in (from..=192).step_by(step) {
                let mut bits = [0u64; 3];
                // SAFETY: the array has 192 bits.
                unsafe {
                    set(bits.as_mut_ptr(), from, to);
                    let plain = |i: usize| (from..to).contains(&i);
                    assert!((0..192).all(|i| (bits[i / 64] >> (i % 64) & 1 == 1) == plain(i)));
                    assert_eq!(count(bits.as_mut_ptr(), 0, 192), to - from);
                    let run = (from < to).then_some((from, to));
                    assert_eq!(first_run(bits.as_mut_ptr(), 0, 192), run);
                    assert_eq!(last_run(bits.as_mut_ptr(), 0, 192), run);
                    let middle = from.midpoint(to);
                    clear(bits.as_mut_ptr(), middle, to);
                    assert_eq!(
                        last_run(bits.as_mut_ptr(), 0, 192),
                        (from < middle).then_some((from, middle))
                    );
                }
            }
        }
    }
}

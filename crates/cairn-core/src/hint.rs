//! Hints to the compiler.

/// The same address, computed into a register of its own: the compiler doesn't know where it came from and can't fold an
/// index into each load and store that uses it.
///
/// Why one would want that: processors of the last years forward a store to a load at no cost if both name the address by
/// the same register and a constant, and take five cycles if there is an index in it. A bin's top is stored by one
/// operation and loaded by the next; with this, a malloc and its free take 2.0 ns, without it 3.8
/// (`cairn-workload pairs`, on an Intel Xeon of 2024).
#[inline(always)]
pub fn in_register<T>(address: *const T) -> *const T {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    {
        let mut address = address;
        #[allow(
            clippy::pointers_in_nomem_asm_block,
            reason = "nothing is read or written, that is the point"
        )]
        // SAFETY: no instruction at all.
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) address, options(pure, nomem, nostack, preserves_flags));
        }
        address
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    address
}

/// Copies `count` words, the lowest first, so the ranges may overlap if `to` lies below `from`. For a few words, as a rule: then it
/// takes less time than a call of the C library's `memmove`, which compilers make of any loop that copies.
///
/// # Safety
/// `count` words at `from` can be read and at `to` be written, and both are aligned.
#[inline(always)]
pub unsafe fn copy_few<T>(from: *const *mut T, to: *mut *mut T, count: usize) {
    const FEW: usize = 8;
    if count > FEW {
        // SAFETY: the caller's contract.
        return unsafe { core::ptr::copy(from, to, count) };
    }
    for word in 0..count {
        // SAFETY: the caller's contract. Volatile, and so no loop that a call may stand for.
        unsafe { to.add(word).write_volatile(*from.add(word)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_words_move_down() {
        for count in 0..20 {
            let mut words: [*mut u8; 24] = core::array::from_fn(core::ptr::without_provenance_mut);
            // SAFETY: both ranges lie in the array.
            unsafe { copy_few(words.as_ptr().add(3), words.as_mut_ptr(), count) };
            let is = |at: usize| words[at].addr();
            assert!((0..count).all(|at| is(at) == at + 3), "{count}: {words:?}");
            assert!((count..24).all(|at| is(at) == at), "{count}: {words:?}");
        }
    }
}

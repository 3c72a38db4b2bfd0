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

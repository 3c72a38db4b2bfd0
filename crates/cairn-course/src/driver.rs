//! What the driver may provide: names that are bound if the program has them, and null if not.
//!
//! Stable Rust has no weak imports. So the assembly says `.weak`, and reads the address from the global offset table, where the linker
//! (of a static program: 0 if there is no such name) or the loader put it.

use core::mem;

/// `mem_sbrk` of the driver, with the argument widened: some declare it `int`, some `intptr_t`. An `int` is the lower half of the same
/// register on every processor below, so one call serves both as long as the value fits an `int`.
pub type MemSbrk = unsafe extern "C" fn(isize) -> *mut u8;

/// `mem_heap_hi` of the driver: the address of the heap's last byte.
pub type MemHeapHi = unsafe extern "C" fn() -> *mut u8;

/// The address of a weak symbol, or 0.
#[cfg(target_arch = "x86_64")]
macro_rules! weak {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads one word of the global offset table, which the linker made for this reference and which is
        // constant once the program runs.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {address}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                address = out(reg) address,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        address
    }};
}

/// The address of a weak symbol, or 0.
#[cfg(target_arch = "aarch64")]
macro_rules! weak {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads one word of the global offset table, which the linker made for this reference and which is
        // constant once the program runs.
        unsafe {
            core::arch::asm!(
                concat!(".weak ", $name),
                concat!("adrp {address}, :got:", $name),
                concat!("ldr {address}, [{address}, :got_lo12:", $name, "]"),
                address = out(reg) address,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        address
    }};
}

/// Without assembly of ours for this processor the driver provides nothing, and the heap is the program break's.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
macro_rules! weak {
    ($name:literal) => {
        0usize
    };
}

/// The driver's `mem_sbrk`, if it has one.
#[inline]
pub fn mem_sbrk() -> Option<MemSbrk> {
    let address = weak!("mem_sbrk");
    // SAFETY: an address that is not 0 is that of the function by this name; `Option` has null as none.
    unsafe { mem::transmute::<usize, Option<MemSbrk>>(address) }
}

/// The driver's `mem_heap_hi`, if it has one.
#[inline]
pub fn mem_heap_hi() -> Option<MemHeapHi> {
    let address = weak!("mem_heap_hi");
    // SAFETY: as above.
    unsafe { mem::transmute::<usize, Option<MemHeapHi>>(address) }
}

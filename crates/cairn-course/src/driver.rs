//! What the driver may provide: names that are bound if the program has them, and null if not.
//!
//! Without assembly of ours for a processor the driver provides nothing there, and the heap is the program break's.

use core::ffi::c_void;
use core::mem;

use cairn_core::weak;

/// `mem_sbrk` of the driver, with the argument widened: some declare it `int`, some `intptr_t`. An `int` is the lower half of the same
/// register on every processor below, so one call serves both as long as the value fits an `int`.
pub type MemSbrk = unsafe extern "C" fn(isize) -> *mut u8;

/// `mem_heap_hi` of the driver: the address of the heap's last byte.
pub type MemHeapHi = unsafe extern "C" fn() -> *mut u8;

/// The driver's `mem_sbrk`, if it has one.
#[inline]
pub fn mem_sbrk() -> Option<MemSbrk> {
    let address = weak!("mem_sbrk");
    // SAFETY: an address that is not null is that of the function by this name; `Option` has null as none.
    unsafe { mem::transmute::<*const c_void, Option<MemSbrk>>(address) }
}

/// The driver's `mem_heap_hi`, if it has one.
#[inline]
pub fn mem_heap_hi() -> Option<MemHeapHi> {
    let address = weak!("mem_heap_hi");
    // SAFETY: as above.
    unsafe { mem::transmute::<*const c_void, Option<MemHeapHi>>(address) }
}

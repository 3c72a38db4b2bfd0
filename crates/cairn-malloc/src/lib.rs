//! Cairn as a C library.
#![no_std]

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: `abort` may always be called.
    unsafe { libc::abort() }
}

//! References to functions and objects that a process may lack.
//!
//! Stable Rust has no weak imports. So the assembly says `.weak`, and reads the address from the global offset table, where the linker
//! (of a static program: null if there is no such name) or the loader put it.

/// The address of a symbol that may be absent (`*const c_void`); null if it is, and on processors for which there is no assembly here.
///
/// What it is the address of, the caller has to know: `mem::transmute` to an `Option` of the function's type has null as none.
#[macro_export]
macro_rules! weak {
    ($name:literal) => {{
        #[inline(always)]
        fn weak() -> *const core::ffi::c_void {
            let address: *const core::ffi::c_void;
            #[cfg(target_arch = "x86_64")]
            // SAFETY: one load from the global offset table, which the linker made for this reference and which is constant once
            // the program runs.
            unsafe {
                core::arch::asm!(
                    concat!(".weak ", $name),
                    concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                    out(reg) address,
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above.
            unsafe {
                core::arch::asm!(
                    concat!(".weak ", $name),
                    concat!("adrp {0}, :got:", $name),
                    concat!("ldr {0}, [{0}, :got_lo12:", $name, "]"),
                    out(reg) address,
                    options(pure, nomem, nostack, preserves_flags)
                );
            }
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            {
                address = core::ptr::null();
            }
            address
        }
        weak()
    }};
}

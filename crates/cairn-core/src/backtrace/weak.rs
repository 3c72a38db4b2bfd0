//! References to functions that a process may lack.

/// The address of a function that may be absent, from the global offset table; null if it is absent.
macro_rules! weak {
    ($name:literal) => {{
        fn weak() -> *const core::ffi::c_void {
            let address: *const core::ffi::c_void;
            #[cfg(target_arch = "x86_64")]
            // SAFETY: one load from the global offset table, which the linker made for this reference.
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
            address
        }
        weak()
    }};
}
pub(super) use weak;

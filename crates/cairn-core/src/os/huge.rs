//! Huge pages: where they may be, and pages that are there before they are touched.
//!
//! Linux, Documentation/admin-guide/mm/transhuge.rst. Only the common size is used, 2 MiB on pages of 4 KiB.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::{advise, page_size, read_begin};

/// Bytes of a huge page, and its alignment.
pub const HUGE_PAGE: usize = 2 << 20;

/// `MADV_POPULATE_WRITE`, Linux 5.14 (the `libc` crate has it for some targets only).
const POPULATE_WRITE: libc::c_int = 23;

/// Whether the system gives huge pages to who asks for them. Read once, from
/// `/sys/kernel/mm/transparent_hugepage/enabled`: anything but `[never]`.
pub fn huge_pages_allowed() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static ALLOWED: AtomicU8 = AtomicU8::new(UNKNOWN);
    let mut allowed = ALLOWED.load(Relaxed);
    if allowed == UNKNOWN {
        allowed = if page_size() == 4096 && can_populate() && chosen_mode_allows() { YES } else { NO };
        ALLOWED.store(allowed, Relaxed);
    }
    allowed == YES
}

/// Whether the kernel knows `MADV_POPULATE_WRITE`: an unknown advice is refused for an empty range too.
fn can_populate() -> bool {
    // SAFETY: the range is empty.
    unsafe { advise(core::ptr::without_provenance_mut(page_size()), 0, POPULATE_WRITE) }
}

fn chosen_mode_allows() -> bool {
    let mut room = [0u8; 64];
    let text = read_begin(c"/sys/kernel/mm/transparent_hugepage/enabled", &mut room).unwrap_or_default();
    !text.is_empty() && !text.windows(7).any(|word| word == b"[never]")
}

/// Keeps huge pages out of a range (`madvise(MADV_NOHUGEPAGE)`), whatever the system's default is: a page of a
/// sparsely used range then stays a small one. False if the kernel refuses, which changes nothing.
///
/// # Safety
/// The range is page-aligned and lies in a reservation of the caller.
pub unsafe fn forbid_huge(at: *mut u8, bytes: usize) -> bool {
    // SAFETY: advice on the caller's own range changes no contents.
    unsafe { advise(at, bytes, libc::MADV_NOHUGEPAGE) }
}

/// Lets faults in a range bring huge pages (`madvise(MADV_HUGEPAGE)`), until [`forbid_huge`]. A refusal changes nothing.
///
/// # Safety
/// The range is page-aligned and lies in a reservation of the caller.
pub unsafe fn allow_huge(at: *mut u8, bytes: usize) {
    // SAFETY: advice on the caller's own range changes no contents.
    unsafe { advise(at, bytes, libc::MADV_HUGEPAGE) };
}

/// Gives a range pages now (`madvise(MADV_POPULATE_WRITE)`, Linux 5.14): huge ones if they are allowed there and the kernel has
/// some, else small ones; false if it refuses both.
///
/// # Safety
/// The range is page-aligned, the caller's, and can be written to.
pub unsafe fn populate(at: *mut u8, bytes: usize) -> bool {
    // SAFETY: a page that has no contents yet reads as zero before and after.
    unsafe { advise(at, bytes, POPULATE_WRITE) }
}

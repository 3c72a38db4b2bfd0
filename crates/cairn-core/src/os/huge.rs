//! Huge pages on demand: one at a time, at once, and timed by whoever asks.
//!
//! Linux, Documentation/admin-guide/mm/transhuge.rst. Only the common size is used, 2 MiB on pages of 4 KiB.

use core::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::{KeepErrno, page_size};

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
        allowed = if page_size() == 4096 && chosen_mode_allows() { YES } else { NO };
        ALLOWED.store(allowed, Relaxed);
    }
    allowed == YES
}

fn chosen_mode_allows() -> bool {
    let _errno = KeepErrno::new();
    let path = c"/sys/kernel/mm/transparent_hugepage/enabled";
    let mut text = [0u8; 64];
    // SAFETY: the path is a C string, the buffer is as long as stated, and the descriptor is closed once.
    let length = unsafe {
        let file = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return false;
        }
        let length = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        length
    };
    let text = &text[..usize::try_from(length).unwrap_or(0)];
    !text.is_empty() && !text.windows(7).any(|word| word == b"[never]")
}

/// Keeps huge pages out of a range (`madvise(MADV_NOHUGEPAGE)`), but for those that [`populate_huge`] puts there: a page of a
/// sparsely used range then stays a small one. A refusal changes nothing.
///
/// # Safety
/// The range is page-aligned and lies in a reservation of the caller.
pub unsafe fn forbid_huge(at: *mut u8, bytes: usize) {
    let _errno = KeepErrno::new();
    // SAFETY: advice on the caller's own range changes no contents.
    unsafe { libc::madvise(at.cast(), bytes, libc::MADV_NOHUGEPAGE) };
}

/// Gives a range huge pages now, if the kernel has some, else small ones; false if it refuses both. Other faults in the range,
/// later ones too, bring small pages.
///
/// # Safety
/// The range is the caller's and can be written to, and it begins and ends at multiples of [`HUGE_PAGE`].
pub unsafe fn populate_huge(at: *mut u8, bytes: usize) -> bool {
    debug_assert!(at.addr().is_multiple_of(HUGE_PAGE) && bytes.is_multiple_of(HUGE_PAGE));
    let _errno = KeepErrno::new();
    // SAFETY: none of the three changes contents: a page that has none yet reads as zero before and after.
    unsafe {
        libc::madvise(at.cast(), bytes, libc::MADV_HUGEPAGE);
        let done = libc::madvise(at.cast(), bytes, POPULATE_WRITE) == 0;
        libc::madvise(at.cast(), bytes, libc::MADV_NOHUGEPAGE);
        done
    }
}

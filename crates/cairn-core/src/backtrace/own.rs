//! Where the code of Cairn lies, if it is a shared object of its own: what a program's author needn't see in a backtrace.

use core::arch::asm;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The object's begin and length, and 1 + whether they count; 0 before they were looked up. Racing threads write the same.
static BEGIN: AtomicUsize = AtomicUsize::new(0);
static LENGTH: AtomicUsize = AtomicUsize::new(0);
static KNOWN: AtomicUsize = AtomicUsize::new(0);

/// Whether an address lies in the shared object that this function is in. In a program that has Cairn inside, none does.
pub fn holds(address: usize) -> bool {
    if KNOWN.load(Relaxed) == 0 {
        look_up();
    }
    address.wrapping_sub(BEGIN.load(Relaxed)) < LENGTH.load(Relaxed)
}

fn look_up() {
    let (begin, end) = bounds();
    // SAFETY: getauxval has no preconditions.
    let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    let is_program = (begin..end).contains(&program);
    BEGIN.store(begin, Relaxed);
    LENGTH.store(if is_program { 0 } else { end - begin }, Relaxed);
    KNOWN.store(1, Relaxed);
}

/// The first address of this object, and the one behind its last; the linker knows them.
fn bounds() -> (usize, usize) {
    let (begin, end);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: takes two addresses.
    unsafe {
        asm!(
            ".hidden __ehdr_start",
            ".hidden _end",
            "lea {}, [rip + __ehdr_start]",
            "lea {}, [rip + _end]",
            out(reg) begin,
            out(reg) end,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!(
            ".hidden __ehdr_start",
            ".hidden _end",
            "adrp {0}, __ehdr_start",
            "add {0}, {0}, :lo12:__ehdr_start",
            "adrp {1}, _end",
            "add {1}, {1}, :lo12:_end",
            out(reg) begin,
            out(reg) end,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    (begin, end)
}

//! What the kernel says about this process and its threads.

use super::call::call;
use super::read_begin;

/// How many mappings this process may have (`/proc/sys/vm/max_map_count`); 65,530, the default, if that can't be read.
pub fn mappings_max() -> usize {
    const DEFAULT: usize = 65_530;
    let mut room = [0u8; 32];
    let text = read_begin(c"/proc/sys/vm/max_map_count", &mut room).unwrap_or_default();
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
    match digits
        .fold(0usize, |number, &digit| number.saturating_mul(10).saturating_add(usize::from(digit - b'0')))
    {
        0 => DEFAULT,
        number => number,
    }
}

/// The calling thread's number (`gettid`), as the kernel and debuggers show it.
pub fn thread_number() -> usize {
    number(libc::SYS_gettid)
}

/// This process's number (`getpid`).
pub fn process_number() -> usize {
    number(libc::SYS_getpid)
}

/// The number of the process that started this one (`getppid`), or of who has taken its place.
pub fn parent_number() -> usize {
    number(libc::SYS_getppid)
}

fn number(of: core::ffi::c_long) -> usize {
    // SAFETY: these calls have no arguments and can't fail.
    unsafe { call(of, []) }.unwrap_or(0)
}

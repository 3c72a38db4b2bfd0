//! What the kernel says about this process and its threads.

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
    // SAFETY: the call has no arguments and can't fail.
    unsafe { libc::syscall(libc::SYS_gettid) as usize }
}

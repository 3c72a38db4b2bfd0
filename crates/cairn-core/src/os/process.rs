//! What the kernel says about this process and its threads.

use super::KeepErrno;

/// How many mappings this process may have (`/proc/sys/vm/max_map_count`); 65,530, the default, if that can't be read.
pub fn mappings_max() -> usize {
    const DEFAULT: usize = 65_530;
    let _errno = KeepErrno::new();
    let mut text = [0u8; 32];
    // SAFETY: the path is a C string; the descriptor is used and closed here only; the buffer is that long.
    let got = unsafe {
        let file = libc::open(c"/proc/sys/vm/max_map_count".as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC);
        if file < 0 {
            return DEFAULT;
        }
        let got = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        got
    };
    let digits = text.iter().take(got.max(0) as usize).take_while(|byte| byte.is_ascii_digit());
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

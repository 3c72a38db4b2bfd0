//! What the kernel says about this process and its threads.

use super::KeepErrno;

/// How many mappings this process may have (`/proc/sys/vm/max_map_count`); 65,530, the default, if that can't be read.
pub fn mappings_max() -> usize {
    const DEFAULT: usize = 65_530;
    let _errno = KeepErrno::new();
    let mut text = [0u8; 32];
    // By number: in the C library's functions a thread may be cancelled, and would not come back.
    // SAFETY: the path is a C string; the descriptor is used and closed here only; the buffer is that long.
    let got = unsafe {
        let path = c"/proc/sys/vm/max_map_count".as_ptr();
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let file = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags);
        if file < 0 {
            return DEFAULT;
        }
        let got = libc::syscall(libc::SYS_read, file, text.as_mut_ptr(), text.len());
        libc::syscall(libc::SYS_close, file);
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

#[cfg(test)]
mod tests {
    use super::*;
    use core::ffi::c_void;
    use core::ptr;

    use crate::os::refuse_cancel;

    /// A thread that is to end at the next point where it may be cancelled: it comes to none here.
    extern "C" fn cancelled(_: *mut c_void) -> *mut c_void {
        // SAFETY: the calling thread.
        unsafe { libc::pthread_cancel(libc::pthread_self()) };
        let number = mappings_max();
        crate::fault::Line::new().text("mappings: ").number(number).print();
        refuse_cancel();
        ptr::without_provenance_mut(number)
    }

    #[test]
    fn a_cancelled_thread_comes_back() {
        let mut thread = 0;
        let mut result = ptr::null_mut();
        // SAFETY: the thread is joined, and both places are writable.
        unsafe {
            assert_eq!(libc::pthread_create(&mut thread, ptr::null(), cancelled, ptr::null_mut()), 0);
            assert_eq!(libc::pthread_join(thread, &mut result), 0);
        }
        assert_eq!(result.addr(), mappings_max());
        assert!(result.addr() >= 1000 && result.addr() != usize::MAX);
    }
}

//! Files, asked of the kernel by the numbers of its calls.
//!
//! The C library's functions for files are points where a thread may be cancelled, and a thread that is would not come back to the
//! heap, which may hold locks, or to the list of what is to be done at exit; and they may be wrapped by a library that allocates. Each
//! function here leaves errno as it was.

use core::ffi::{CStr, c_int, c_long};

use super::KeepErrno;

/// Reads the begin of a file, by one `read` of as many bytes as there is room for; None if the file can't be opened or read.
pub fn read_begin<'a>(path: &CStr, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = open(path, libc::O_RDONLY)?;
    let _errno = KeepErrno::new();
    // SAFETY: the room is that long, and the descriptor is this function's.
    let got = unsafe { libc::syscall(libc::SYS_read, file, room.as_mut_ptr(), room.len()) };
    // SAFETY: opened above, and nobody else knows it.
    unsafe { close(file) };
    room.get(..usize::try_from(got).ok()?)
}

/// Makes a file to write to, or empties the one that is there; the descriptor, which an `exec` closes, is the caller's.
pub fn create(path: &CStr) -> Option<c_int> {
    open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)
}

fn open(path: &CStr, flags: c_int) -> Option<c_int> {
    /// What who makes a file asks for: the owner writes, all read.
    const RIGHTS: libc::mode_t = 0o644;
    let _errno = KeepErrno::new();
    let flags = flags | libc::O_CLOEXEC;
    // SAFETY: the path is a C string.
    let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, RIGHTS) };
    c_int::try_from(file).ok().filter(|file| *file >= 0)
}

/// Writes all bytes, one `write` after another if need be; false if the kernel takes no more of them.
pub fn write_all(descriptor: c_int, mut bytes: &[u8]) -> bool {
    let _errno = KeepErrno::new();
    while !bytes.is_empty() {
        // SAFETY: the bytes are readable.
        let done = unsafe { libc::syscall(libc::SYS_write, descriptor, bytes.as_ptr(), bytes.len()) };
        if done <= 0 {
            if was_interrupted(done) {
                continue;
            }
            return false;
        }
        bytes = bytes.get(done as usize..).unwrap_or_default();
    }
    true
}

fn was_interrupted(result: c_long) -> bool {
    // SAFETY: as in `KeepErrno`.
    result < 0 && unsafe { *libc::__errno_location() } == libc::EINTR
}

/// Closes a file (`close`).
///
/// # Safety
/// The descriptor is the caller's, who uses it no more.
pub unsafe fn close(file: c_int) {
    let _errno = KeepErrno::new();
    // SAFETY: the caller's contract.
    unsafe { libc::syscall(libc::SYS_close, file) };
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::ffi::c_void;
    use core::ptr;
    use std::ffi::CString;
    use std::string::String;

    use crate::os::{mappings_max, refuse_cancel};

    fn scratch(name: &str) -> CString {
        let number = crate::os::thread_number();
        let path = std::env::temp_dir().join(std::format!("cairn-core-{name}-{number}"));
        CString::new(path.into_os_string().into_encoded_bytes()).expect("a path without zeroes")
    }

    #[test]
    fn what_is_written_is_read() {
        let path = scratch("files");
        for words in ["a longer line", "words"] {
            let file = create(&path).expect("a file");
            assert!(write_all(file, words.as_bytes()));
            // SAFETY: opened above.
            unsafe { close(file) };
            let mut room = [0; 100];
            assert_eq!(read_begin(&path, &mut room), Some(words.as_bytes()), "all of it, and nothing older");
            let mut room = [0; 3];
            assert_eq!(read_begin(&path, &mut room), Some(&words.as_bytes()[..3]));
            assert!(!write_all(file, b"closed"));
        }
        std::fs::remove_file(path.to_str().expect("text")).expect("it was there");
        assert_eq!(read_begin(&path, &mut [0; 10]), None);
    }

    #[test]
    fn errno_is_kept() {
        // SAFETY: this thread's errno.
        let errno = unsafe { &mut *libc::__errno_location() };
        *errno = 77;
        assert!(!write_all(-1, b"nowhere"));
        assert_eq!((read_begin(c"/nowhere/at/all", &mut [0; 10]), create(c"/nowhere/at/all")), (None, None));
        assert_eq!(read_begin(c"/", &mut [0; 10]), None, "a folder is opened and not read");
        assert_eq!(*errno, 77);
    }

    /// A thread that is to end at the next point where it may be cancelled: it comes to none here.
    extern "C" fn cancelled(path: *mut c_void) -> *mut c_void {
        // SAFETY: the calling thread.
        unsafe { libc::pthread_cancel(libc::pthread_self()) };
        let number = mappings_max();
        // SAFETY: the test's path, which outlives this thread.
        let file = create(unsafe { CStr::from_ptr(path.cast()) }).unwrap_or(-1);
        write_all(file, b"still here");
        // SAFETY: opened above.
        unsafe { close(file) };
        crate::fault::Line::new().text("mappings: ").number(number).print();
        refuse_cancel();
        ptr::without_provenance_mut(number)
    }

    #[test]
    fn a_cancelled_thread_comes_back() {
        let path = scratch("cancelled");
        let mut thread = 0;
        let mut result = ptr::null_mut();
        // SAFETY: the thread is joined, and both places are writable.
        unsafe {
            let argument = path.as_ptr().cast_mut().cast();
            assert_eq!(libc::pthread_create(&mut thread, ptr::null(), cancelled, argument), 0);
            assert_eq!(libc::pthread_join(thread, &mut result), 0);
        }
        assert_eq!(result.addr(), mappings_max());
        assert!(result.addr() >= 1000 && result.addr() != usize::MAX);
        let path = String::from(path.to_str().expect("text"));
        assert_eq!(std::fs::read(&path).expect("the thread made it"), b"still here");
        std::fs::remove_file(path).expect("it was there");
    }
}

//! Files, asked of the kernel by the numbers of its calls (`call`).
//!
//! The C library's functions for files are points where a thread may be cancelled, and a thread that is would not come back to the
//! heap, which may hold locks, or to the list of what is to be done at exit; and they may be wrapped by a library that allocates.

use core::ffi::{CStr, c_int};

use super::call::{call, was_interrupted};

/// Reads the begin of a file, by one `read` of as many bytes as there is room for; None if the file can't be opened or read.
pub fn read_begin<'a>(path: &CStr, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let file = open(path, libc::O_RDONLY)?;
    let to = room.as_mut_ptr().expose_provenance();
    // SAFETY: the room is that long, and the descriptor is this function's.
    let got = unsafe { call(libc::SYS_read, [file as usize, to, room.len()]) };
    // SAFETY: opened above, and nobody else knows it.
    unsafe { close(file) };
    room.get(..got.ok()?)
}

/// Makes a file to write to, or empties the one that is there; the descriptor, which an `exec` closes, is the caller's.
pub fn create(path: &CStr) -> Option<c_int> {
    open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)
}

fn open(path: &CStr, flags: c_int) -> Option<c_int> {
    /// What who makes a file asks for: the owner writes, all read.
    const RIGHTS: libc::mode_t = 0o644;
    let (from, path) = (libc::AT_FDCWD as usize, path.as_ptr().expose_provenance());
    let flags = (flags | libc::O_CLOEXEC) as usize;
    // SAFETY: the path is a C string.
    let file = unsafe { call(libc::SYS_openat, [from, path, flags, RIGHTS as usize]) };
    file.ok().and_then(|file| c_int::try_from(file).ok())
}

/// Writes all bytes, one `write` after another if need be; false if the kernel takes no more of them.
pub fn write_all(descriptor: c_int, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let from = bytes.as_ptr().expose_provenance();
        // SAFETY: the bytes are readable.
        let done = unsafe { call(libc::SYS_write, [descriptor as usize, from, bytes.len()]) };
        match done {
            Ok(done @ 1..) => bytes = bytes.get(done..).unwrap_or_default(),
            _ if was_interrupted(done) => {}
            _ => return false,
        }
    }
    true
}

/// Closes a file (`close`).
///
/// # Safety
/// The descriptor is the caller's, who uses it no more.
pub unsafe fn close(file: c_int) {
    // SAFETY: the caller's contract.
    _ = unsafe { call(libc::SYS_close, [file as usize]) };
}

/// A second descriptor of a file (`fcntl`), with the first free number from `least` on, which an `exec` closes; the number of the error
/// if that can't be, EBADF if there is no such file.
pub fn duplicate(file: c_int, least: c_int) -> Result<c_int, c_int> {
    // SAFETY: makes a new descriptor and touches no other.
    let copy =
        unsafe { call(libc::SYS_fcntl, [file as usize, libc::F_DUPFD_CLOEXEC as usize, least as usize]) };
    copy.map(|copy| copy as c_int)
}

/// The working directory (`getcwd`): its path, which begins with a slash, without the zero behind it; None if it has none any more, or
/// one that doesn't fit.
pub fn working_directory(room: &mut [u8]) -> Option<&[u8]> {
    let to = room.as_mut_ptr().expose_provenance();
    // SAFETY: the room is that long.
    let bytes = unsafe { call(libc::SYS_getcwd, [to, room.len()]) }.ok()?;
    // The kernel names a directory that can't be reached from the root "(unreachable)..".
    room.get(..bytes.checked_sub(1)?).filter(|path| path.first() == Some(&b'/'))
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
    fn a_descriptor_is_copied_upwards() {
        let file = create(&scratch("copied")).expect("a file");
        let copy = duplicate(file, 50).expect("a copy");
        assert!(copy >= 50, "{copy}");
        // SAFETY: both are this test's.
        unsafe { (close(copy), close(file)) };
        std::fs::remove_file(scratch("copied").to_str().expect("text")).expect("it was there");
        assert_eq!(duplicate(-1, 50), Err(libc::EBADF));
    }

    #[test]
    fn the_working_directory_is_known() {
        let known = std::env::current_dir().expect("there is one").into_os_string().into_encoded_bytes();
        let mut room = [0; libc::PATH_MAX as usize];
        assert_eq!(working_directory(&mut room), Some(&known[..]));
        assert_eq!(working_directory(&mut [0; 1]), None, "it doesn't fit");
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

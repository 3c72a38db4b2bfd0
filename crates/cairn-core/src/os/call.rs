//! System calls, and how their answers are told: nearly all are made by their numbers, here.
//!
//! The C library has a function for most of them. These are not used, because
//! - each name that a preloaded library imports is looked up in all objects of each process at its start, some 650 instructions a name
//!   and more in programs with many libraries, whether it is ever called or not. All calls together need the one name `syscall`;
//! - some of these functions are points where a thread may be cancelled, and one that is would not come back to the heap.
//!
//! By their names stay: those by which memory comes, moves and goes (`mmap`, `munmap`, `mremap`, `madvise`), since others in the process may have to
//! hear of it (what registers memory with a network card, as MPI's libraries do, wraps these four to learn when a registration has
//! become stale); what the C library answers without the kernel (`clock_gettime`, `sched_getcpu`); and what it has a share in
//! (`sigaction`, whose handlers return through it; `sbrk`, whose break is its own).

use core::ffi::{c_int, c_long};
use core::sync::atomic::AtomicU32;

use super::KeepErrno;

/// Makes a call: what the kernel answers, or the number of the error. errno stays as it was.
///
/// A call takes each argument in a register of its own, so all are words here; a negative one keeps its sign by `as usize`.
///
/// # Safety
/// As the call says; its arguments are complete.
#[inline]
pub unsafe fn call<const N: usize>(number: c_long, arguments: [usize; N]) -> Result<usize, c_int> {
    const { assert!(N <= 6, "no call takes more") };
    let [a, b, c, d, e, f] = core::array::from_fn(|at| arguments.get(at).copied().unwrap_or(0));
    // SAFETY: the caller's contract. What a call doesn't take it doesn't look at.
    unsafe { six(number, a, b, c, d, e, f) }
}

/// # Safety
/// As for [`call`].
#[inline(never)]
unsafe fn six(
    number: c_long,
    a: usize,
    b: usize,
    c: usize,
    d: usize,
    e: usize,
    f: usize,
) -> Result<usize, c_int> {
    // SAFETY: the caller's contract.
    by_name(|| unsafe { libc::syscall(number, a, b, c, d, e, f) as isize })
}

/// Has a function of the C library make a call that answers -1 if it can't, and then tells in errno why. errno stays as it was.
#[inline]
pub fn by_name(ask: impl FnOnce() -> isize) -> Result<usize, c_int> {
    let errno = KeepErrno::new();
    match ask() {
        -1 => Err(errno.now()),
        answer => Ok(answer as usize),
    }
}

/// `futex` on a word of this process, with arguments of the types that they have, which Miri wants. What it answers is of no use: a sleeper looks
/// at the word again whatever woke it.
///
/// # Safety
/// `limit` is null or can be read.
pub unsafe fn futex(word: &AtomicU32, operation: c_int, value: u32, limit: *const libc::timespec) {
    // SAFETY: the kernel reads four bytes at `word`, which the reference keeps alive and aligned, and the limit.
    let ask = || unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), operation, value, limit) as isize };
    _ = by_name(ask);
}

/// Whether a call is to be made again: a signal came before it had done anything.
pub fn was_interrupted(answer: Result<usize, c_int>) -> bool {
    answer == Err(libc::EINTR)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn an_error_is_told_and_errno_kept() {
        // SAFETY: this thread's errno.
        let errno = unsafe { &mut *libc::__errno_location() };
        *errno = 77;
        // SAFETY: no descriptor has this number.
        let (closed, got) = unsafe { (call(libc::SYS_close, [-1i32 as usize]), call(libc::SYS_getpid, [])) };
        assert_eq!(closed, Err(libc::EBADF));
        assert_eq!(got, Ok(std::process::id() as usize));
        assert_eq!(*errno, 77);
    }

    #[test]
    #[cfg(target_pointer_width = "64")] // others take the offset in pages
    fn six_arguments_arrive() {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let nowhere = -1i32 as usize;
        // SAFETY: a fresh mapping, unmapped again.
        unsafe {
            let at = call(libc::SYS_mmap, [0, 4096, libc::PROT_READ as usize, flags as usize, nowhere, 0]);
            let at = at.expect("a page");
            assert_eq!(core::ptr::with_exposed_provenance::<u8>(at).read(), 0);
            assert_eq!(call(libc::SYS_munmap, [at, 4096]), Ok(0));
            // An offset that is none.
            let file = call(
                libc::SYS_mmap,
                [0, 4096, libc::PROT_READ as usize, libc::MAP_PRIVATE as usize, nowhere, 0],
            );
            assert_eq!(file, Err(libc::EBADF));
        }
    }
}

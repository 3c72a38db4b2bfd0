//! What one thread can learn of the others, how it waits for them, and how it is kept from what they may do to it.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use super::call::{call, futex};

/// How many threads the process has (`statx` of `/proc/self/task`, which has a link for each and two more); None where that
/// can't be seen.
pub fn threads_of_process() -> Option<usize> {
    let mut about = core::mem::MaybeUninit::<libc::statx>::zeroed();
    let (from, path) = (libc::AT_FDCWD as usize, c"/proc/self/task".as_ptr().expose_provenance());
    let (flags, wanted) = (0, libc::STATX_NLINK as usize);
    // SAFETY: the path is a C string, the record is writable, and zeroes are a valid value of it.
    let links = unsafe {
        call(libc::SYS_statx, [from, path, flags, wanted, about.as_mut_ptr().expose_provenance()]).ok()?;
        usize::try_from(about.assume_init().stx_nlink).ok()?
    };
    links.checked_sub(2).filter(|threads| *threads > 0)
}

/// Lets each running thread of the process pass a memory barrier (`membarrier`): of a thread one of whose stores this thread has
/// seen before, it sees all earlier ones afterwards. False where the kernel can't.
///
/// On x86-64 stores are seen in the order in which they were made, so nothing needs to be done.
pub fn barrier_everywhere() -> bool {
    fence(Ordering::SeqCst);
    cfg!(target_arch = "x86_64") || expedited()
}

fn expedited() -> bool {
    // SAFETY: the call takes no pointers. It is refused until the process has registered, which may be done again and again.
    let ask = |command: c_int| unsafe { call(libc::SYS_membarrier, [command as usize, 0, 0]) }.is_ok();
    ask(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) && ask(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}

/// Sleeps until another thread, or a signal handler, calls [`wake`] or so many milliseconds have passed (0: no limit); not at all
/// if the word is no longer `value` (`futex`). May return for no reason.
pub fn sleep_while(word: &AtomicU32, value: u32, milliseconds: usize) {
    let limit = libc::timespec {
        tv_sec: (milliseconds / 1000) as libc::time_t,
        tv_nsec: (milliseconds % 1000 * 1_000_000) as _,
    };
    let limit = if milliseconds == 0 { core::ptr::null() } else { &raw const limit };
    // SAFETY: the time outlives the call.
    unsafe { futex(word, libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, value, limit) };
}

/// Wakes the thread that sleeps on a word (`futex`). A signal handler may call it.
pub fn wake(word: &AtomicU32) {
    // SAFETY: there is no limit.
    unsafe { futex(word, libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1, core::ptr::null()) };
}

/// Lets others run, if any waits for this processor (`sched_yield`).
pub fn let_others_run() {
    // SAFETY: no preconditions.
    _ = unsafe { call(libc::SYS_sched_yield, []) };
}

/// From now on nobody cancels the calling thread (`pthread_cancel`), neither where it waits nor between any two instructions. A signal handler
/// may call it.
pub fn refuse_cancel() {
    // The bindings don't have it for this system.
    unsafe extern "C" {
        fn pthread_setcancelstate(state: c_int, old: *mut c_int) -> c_int;
    }
    const PTHREAD_CANCEL_DISABLE: c_int = 1;
    let mut old = 0;
    // SAFETY: the place for the old state is writable; the call changes the thread's own record only.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut old) };
}

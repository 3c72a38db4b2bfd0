//! Which signals a thread takes, on which stack, and the alarm. (Handlers are set by the C library's `sigaction`, see `call`.)

use core::ffi::{c_int, c_long};
use core::mem::{self, MaybeUninit};
use core::ptr;

use super::call::call;
use super::{KeepErrno, map_zeroed, process_number, thread_number};

/// A set of signals as the kernel has it: the lowest bit is signal 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signals(u64);

impl Signals {
    /// All but those that the C library sends to its own threads, when one calls `setuid` or cancels another: a thread that doesn't take
    /// them has the others wait for ever.
    pub const OF_PROGRAM: Signals = Signals(!(OF_C_LIBRARY << 31));

    /// One.
    pub const fn one(signal: c_int) -> Signals {
        Signals(1 << (signal - 1))
    }
}

/// Signals 32 and 33, and musl's third one.
const OF_C_LIBRARY: u64 = if cfg!(target_env = "musl") { 0b111 } else { 0b11 };

/// From now on the calling thread is not interrupted by these signals (`rt_sigprocmask`); the ones that it refused before.
pub fn refuse_signals(signals: Signals) -> Signals {
    change_mask(libc::SIG_BLOCK, signals)
}

/// From now on the calling thread refuses these signals and no others.
pub fn refuse_only(signals: Signals) {
    change_mask(libc::SIG_SETMASK, signals);
}

/// From now on the calling thread takes these signals.
pub fn take_signals(signals: Signals) {
    change_mask(libc::SIG_UNBLOCK, signals);
}

fn change_mask(how: c_int, signals: Signals) -> Signals {
    let mut before = Signals(0);
    let (from, to) = ((&raw const signals).expose_provenance(), (&raw mut before).expose_provenance());
    // SAFETY: the kernel reads and writes sets of 64 bits, as it is told. It refuses nothing of that.
    _ = unsafe { call(libc::SYS_rt_sigprocmask, [how as usize, from, to, size_of::<Signals>()]) };
    before
}

/// Gives a signal its default action, if it can have one.
pub fn default_action(signal: c_int) {
    let _errno = KeepErrno::new();
    // SAFETY: zeroes are an action without flags, the default one.
    unsafe { libc::sigaction(signal, &mem::zeroed(), ptr::null_mut()) };
}

/// Sends a signal to the calling thread (`tgkill`).
pub fn send_to_me(signal: c_int) {
    // SAFETY: the call takes no pointers.
    _ = unsafe { call(libc::SYS_tgkill, [process_number(), thread_number(), signal as usize]) };
}

/// The process gets SIGALRM after so many seconds, or, if 0, none (`setitimer`).
pub fn alarm(seconds: u16) {
    /// The kernel's record: an interval for those that follow, and when the first one comes, each in seconds and microseconds.
    type Alarms = [c_long; 4];
    let alarms: Alarms = [0, 0, seconds.into(), 0];
    let [which, from, to] = [libc::ITIMER_REAL as usize, (&raw const alarms).expose_provenance(), 0];
    // SAFETY: the kernel reads the record, and tells nothing of the alarm before.
    _ = unsafe { call(libc::SYS_setitimer, [which, from, to]) };
}

/// Gives the calling thread a stack for handlers of signals (`sigaltstack`), if it has none: a mapping of its own, which stays.
pub fn give_signal_stack(bytes: usize) {
    // A null is no stack.
    let change = |to: *const libc::stack_t, before: *mut libc::stack_t| {
        // SAFETY: both are null or records of this function. The stack is nobody else's.
        unsafe { call(libc::SYS_sigaltstack, [to.expose_provenance(), before.expose_provenance()]) }.is_ok()
    };
    let mut now = MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: zeroes are a valid value of it.
    let has_none = change(ptr::null(), now.as_mut_ptr())
        && unsafe { now.assume_init() }.ss_flags & libc::SS_DISABLE != 0;
    if has_none && let Some(memory) = map_zeroed(bytes) {
        change(
            &libc::stack_t { ss_sp: memory.as_ptr().cast(), ss_flags: 0, ss_size: bytes },
            ptr::null_mut(),
        );
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    #[test]
    fn a_mask_is_what_the_c_library_sees() {
        let is_refused = |signal| {
            let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
            // SAFETY: the set is writable; zeroes are an empty one.
            unsafe {
                assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), set.as_mut_ptr()), 0);
                libc::sigismember(set.as_ptr(), signal) == 1
            }
        };
        let before = refuse_signals(Signals::OF_PROGRAM);
        assert!(
            [libc::SIGHUP, libc::SIGALRM, libc::SIGSYS, libc::SIGRTMIN() + 2].into_iter().all(is_refused)
        );
        // The kernel's own numbers, which the C library doesn't tell of.
        let refused = refuse_signals(Signals(0)).0;
        assert_eq!(refused & 0b11 << 31, 0, "what the C library sends arrives");
        take_signals(Signals::one(libc::SIGALRM));
        assert!(!is_refused(libc::SIGALRM) && is_refused(libc::SIGHUP));
        refuse_only(before);
        assert!(!is_refused(libc::SIGHUP));
    }

    #[test]
    fn an_alarm_is_set_and_taken_back() {
        alarm(1000);
        // SAFETY: no preconditions.
        let left = unsafe { libc::alarm(0) };
        assert!((990..=1000).contains(&left), "{left}");
        alarm(1000);
        alarm(0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::alarm(0) }, 0);
    }
}

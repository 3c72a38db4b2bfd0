//! Signals, while a program runs under our eyes.
//!
//! All signals that we pass on are blocked and taken one by one with `sigwaitinfo`, the end of the child among
//! them: no handlers, no races between them and the wait. The child gets back what we inherited.

use std::mem::MaybeUninit;
use std::ptr;

use libc::{c_int, pid_t, sigaction, sigset_t};
use nix::sys::signal::Signal;

/// What we handle ourselves or pass on. The others keep their meaning: faults are ours, SIGKILL and SIGSTOP can't be held.
const HELD: [c_int; 12] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGTSTP,
    libc::SIGWINCH,
    libc::SIGPWR,
];

/// One signal that was sent to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The signal.
    pub number: c_int,
    /// The process that sent it; none if the kernel did, as for a key on the terminal, which reaches the child too.
    pub sender: Option<pid_t>,
}

/// The signals are held while this exists.
pub struct Hold {
    held: sigset_t,
    old_mask: sigset_t,
    old_child_action: sigaction,
}

impl Hold {
    /// Starts to hold the signals.
    pub fn new() -> Self {
        let mut held = empty_set();
        let (mut old_mask, mut old_child_action) = (empty_set(), default_action());
        let realtime = libc::SIGRTMIN()..=libc::SIGRTMAX();
        // SAFETY: all pointers are to initialised values of ours that outlive the calls; the numbers are signals.
        // An ignored SIGCHLD, which we may have inherited, would make the kernel forget how the child ended.
        unsafe {
            for number in HELD.into_iter().chain(realtime) {
                libc::sigaddset(&mut held, number);
            }
            libc::sigprocmask(libc::SIG_BLOCK, &held, &mut old_mask);
            libc::sigaction(libc::SIGCHLD, &default_action(), &mut old_child_action);
        }
        Hold { held, old_mask, old_child_action }
    }

    /// Restores what was inherited. Async-signal-safe, for the child after a fork.
    pub fn release(&self) {
        // SAFETY: the values were filled by the kernel in `new`, and the old ones are not asked for.
        unsafe {
            libc::sigaction(libc::SIGCHLD, &self.old_child_action, ptr::null_mut());
            libc::sigprocmask(libc::SIG_SETMASK, &self.old_mask, ptr::null_mut());
        }
    }

    /// Waits for the next signal.
    pub fn next(&self) -> Arrived {
        loop {
            let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
            // SAFETY: the set is initialised, and `info` has room for what the kernel writes.
            let number = unsafe { libc::sigwaitinfo(&self.held, info.as_mut_ptr()) };
            if number <= 0 {
                // Interrupted, by a stop and a continue for example.
                continue;
            }
            // SAFETY: a call that returns a signal has filled `info`; each signal of a process (code 0 and below)
            // carries its sender.
            let sender = unsafe {
                let info = info.assume_init();
                (info.si_code <= 0).then(|| info.si_pid())
            };
            return Arrived { number, sender };
        }
    }
}

/// Sends a signal to a process; one that has ended meanwhile is no error.
pub fn send(pid: pid_t, number: c_int) {
    // SAFETY: `kill` touches no memory of ours.
    unsafe { libc::kill(pid, number) };
}

/// Stops this process as the child was stopped, so that the shell which waits for us takes notice.
pub fn stop_by(number: c_int) {
    deliver(number);
}

/// Ends this process by a signal, leaving no core dump of ours beside the program's; returns if that fails.
pub fn die_by(number: c_int) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` outlives the call, and neither call writes to our memory.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        // The limit alone doesn't hold back a core that goes to a pipe.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    deliver(number);
}

/// Lets the kernel do to us what a signal does by default.
fn deliver(number: c_int) {
    let mut only = empty_set();
    let (mut old_mask, mut old_action) = (empty_set(), default_action());
    // SAFETY: all pointers are to initialised values of ours; the actions set are the default or what was there.
    unsafe {
        libc::sigaddset(&mut only, number);
        libc::sigaction(number, &default_action(), &mut old_action);
        // Pending until the mask lets it through, which happens before `sigprocmask` returns.
        libc::sigprocmask(libc::SIG_BLOCK, &only, &mut old_mask);
        libc::raise(number);
        libc::sigprocmask(libc::SIG_UNBLOCK, &only, ptr::null_mut());
        libc::sigprocmask(libc::SIG_SETMASK, &old_mask, ptr::null_mut());
        libc::sigaction(number, &old_action, ptr::null_mut());
    }
}

/// Opens `/dev/null` for each standard stream that is closed, so that no file of ours takes its number and our
/// messages go nowhere else. A program that we become or start finds the stream closed, as it was.
pub fn hold_closed_streams() {
    for stream in 0..3 {
        // SAFETY: neither call touches memory of ours; the path ends in NUL. The new file gets the lowest free
        // number, which is this one, since those below are open.
        unsafe {
            if libc::fcntl(stream, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
            }
        }
    }
}

/// The name of a signal, as `SIGTERM`.
pub fn name(number: c_int) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

fn empty_set() -> sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` initialises the whole set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn default_action() -> sigaction {
    // SAFETY: `sigaction` holds integers, and null where a pointer to a function is optional; all may be zero,
    // and zero is SIG_DFL with an empty mask and no flags.
    unsafe { MaybeUninit::<sigaction>::zeroed().assume_init() }
}

//! Starts a program as a child and waits for it, passing signals on.
//!
//! The child stays in our process group and session, so the terminal treats both as one job. What a key sends
//! (interrupt, quit, suspend) reaches the child by itself; what another process sends to us is passed on.
//! When the child is stopped we stop too, and when we are continued, so is it.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use libc::{c_int, pid_t};
use nix::errno::Errno;
use nix::unistd::{ForkResult, fork};

use crate::failure::{Failure, OURS};
use crate::run::Image;
use crate::signals::{self, Arrived, Hold};

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// Ends this process in the same way.
    pub fn mirror(self) -> ! {
        match self {
            Ending::Exit(status) => std::process::exit(status),
            Ending::Signal(number) => {
                signals::die_by(number);
                // What a shell would say; reached only if the signal does not end us.
                std::process::exit(128 + number)
            }
        }
    }
}

/// What a program used, itself and the children it waited for.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time in the program.
    pub user: Duration,
    /// Processor time in the kernel.
    pub system: Duration,
    /// The largest resident set, in bytes, of the program or of one of its children.
    pub peak_rss_bytes: u64,
    /// Page faults served without reading.
    pub minor_faults: u64,
    /// Page faults that read from a disk.
    pub major_faults: u64,
    /// Times it waited.
    pub voluntary_switches: u64,
    /// Times it was interrupted.
    pub involuntary_switches: u64,
}

/// One finished run.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The process it was.
    pub pid: pid_t,
    /// How it ended.
    pub ending: Ending,
    /// From start to end.
    pub wall: Duration,
    /// What it used.
    pub usage: Usage,
}

/// Runs a program to its end.
pub fn run(image: &Image) -> Result<Outcome, Failure> {
    let ours = |error: io::Error| Failure::new(OURS, format!("the program can't be started: {error}"));
    // Both ends close when the child becomes the program; until then, it can say why it can't.
    let (mut trouble, mut tell) = io::pipe().map_err(ours)?;
    let hold = Hold::new();
    let start = Instant::now();
    // SAFETY: this process has one thread, so the child may do all that we may.
    let pid = match unsafe { fork() }.map_err(|errno| ours(errno.into()))? {
        ForkResult::Child => {
            hold.release();
            let errno = image.execute();
            // If the pipe fails too, the parent sees a child that ends with 127.
            let _ = tell.write_all(&(errno as i32).to_ne_bytes());
            // SAFETY: ends the process at once; the parent's buffers are not written twice.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => child.as_raw(),
    };
    drop(tell);
    let mut errno = [0; size_of::<i32>()];
    let failed = trouble.read_exact(&mut errno).is_ok();
    let (ending, usage) = watch(pid, &hold);
    let wall = start.elapsed();
    hold.release();
    if failed {
        return Err(image.failure(Errno::from_raw(i32::from_ne_bytes(errno))));
    }
    Ok(Outcome { pid, ending, wall, usage })
}

/// Serves signals until the child has ended.
fn watch(pid: pid_t, hold: &Hold) -> (Ending, Usage) {
    loop {
        let arrived = hold.next();
        if arrived.number != libc::SIGCHLD {
            pass_on(pid, arrived);
            continue;
        }
        // One SIGCHLD may stand for several changes.
        while let Some((status, usage)) = change(pid) {
            if libc::WIFSTOPPED(status) {
                signals::stop_by(libc::WSTOPSIG(status));
            } else if libc::WIFSIGNALED(status) {
                return (Ending::Signal(libc::WTERMSIG(status)), usage);
            } else {
                return (Ending::Exit(libc::WEXITSTATUS(status)), usage);
            }
        }
    }
}

/// Gives a signal to the child, unless it has it already: a key on the terminal signals the whole job, and so may
/// the child itself.
fn pass_on(pid: pid_t, arrived: Arrived) {
    if arrived.sender.is_some_and(|sender| sender != pid) {
        signals::send(pid, arrived.number);
    }
}

/// The next change of the child that was not seen yet.
fn change(pid: pid_t) -> Option<(c_int, Usage)> {
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: both pointers are to values of ours that outlive the call, of the types it fills.
    let found = unsafe { libc::wait4(pid, &mut status, libc::WNOHANG | libc::WUNTRACED, usage.as_mut_ptr()) };
    // SAFETY: it holds integers only, which may be zero where the kernel wrote nothing.
    let usage = unsafe { usage.assume_init() };
    (found == pid).then(|| (status, Usage::from(usage)))
}

impl From<libc::rusage> for Usage {
    fn from(raw: libc::rusage) -> Self {
        // The kernel counts upwards from zero; a negative value can't be.
        let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
        let time = |value: libc::timeval| {
            Duration::from_secs(count(value.tv_sec)) + Duration::from_micros(count(value.tv_usec))
        };
        Usage {
            user: time(raw.ru_utime),
            system: time(raw.ru_stime),
            peak_rss_bytes: count(raw.ru_maxrss) * 1024,
            minor_faults: count(raw.ru_minflt),
            major_faults: count(raw.ru_majflt),
            voluntary_switches: count(raw.ru_nvcsw),
            involuntary_switches: count(raw.ru_nivcsw),
        }
    }
}

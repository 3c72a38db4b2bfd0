//! Follows a process from system call to system call (ptrace), so that no tracing program need be installed: counts what it
//! asks of the kernel, and refuses what it is told to refuse.

use crate::command::PATIENCE;
use std::collections::HashMap;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// What a traced process did between its `exec` and its end.
#[derive(Debug)]
pub struct Traced {
    /// The numbers of its system calls in order, those of its threads and children included.
    pub calls: Vec<u64>,
    /// Threads and processes that it started.
    pub started: usize,
    /// How the first process ended, as `waitpid` tells it.
    pub status: i32,
    /// It did not end in time and was killed.
    pub hung: bool,
}

/// A system call that a stopped thread is about to make.
#[derive(Debug)]
pub struct Entry {
    /// The thread.
    pub pid: libc::pid_t,
    /// Which call.
    pub number: u64,
    /// What it is called with.
    pub args: [u64; 6],
    /// The thread's stack pointer.
    pub stack: u64,
}

/// Longer than any traced program of ours takes.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a command to its end under ptrace; `None` if this machine forbids ptrace.
pub fn trace(command: &mut Command) -> Option<Traced> {
    command.stdin(Stdio::null());
    trace_with(command, LIMIT, &mut |_| None)
}

/// The same within `limit` times [`PATIENCE`], and `judge` sees each call before it is made: if it names an error, the call is
/// not made and fails with that.
/// (Refusing works on x86-64 only; elsewhere the call is made.)
pub fn trace_with(
    command: &mut Command,
    limit: Duration,
    judge: &mut dyn FnMut(&Entry) -> Option<i32>,
) -> Option<Traced> {
    // SAFETY: between fork and exec only `ptrace`, a plain system call, is made.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
    let child = match command.spawn() {
        Ok(child) => child.id() as libc::pid_t,
        Err(error) => {
            eprintln!("cannot trace {command:?}: {error}");
            return None;
        }
    };
    let (stopped, _) = wait(child);
    assert_eq!(stopped, child, "the child stops at its exec");
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_EXITKILL;
    // SAFETY: the child is stopped and traced by this thread; this request takes no pointer.
    unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, child, 0, options) };
    let (end, ended) = mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        let hung = ended.recv_timeout(limit * PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout);
        if hung {
            // SAFETY: kill takes no pointers. The child is not waited for to its end before `end` is dropped, but for a moment.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        hung
    });
    let mut traced = follow(child, judge);
    drop(end);
    traced.hung = watch.join().expect("the watch only waits");
    Some(traced)
}

fn follow(child: libc::pid_t, judge: &mut dyn FnMut(&Entry) -> Option<i32>) -> Traced {
    let mut traced = Traced { calls: Vec::new(), started: 0, status: 0, hung: false };
    let mut refused: HashMap<libc::pid_t, i32> = HashMap::new();
    resume(child, 0);
    loop {
        let (pid, status) = wait(-1);
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if pid == child {
                traced.status = status;
                return traced;
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        if signal == libc::SIGTRAP | 0x80 {
            if let Some(entry) = entered(pid) {
                traced.calls.push(entry.number);
                if let Some(error) = judge(&entry)
                    && set_number_to_none(pid)
                {
                    refused.insert(pid, error);
                }
            } else if let Some(error) = refused.remove(&pid) {
                set_result(pid, -i64::from(error));
            }
            resume(pid, 0);
        } else if status >> 16 != 0 {
            traced.started += 1;
            resume(pid, 0);
        } else {
            // A new thread stops once; any other signal is the program's own and is passed on.
            resume(pid, if signal == libc::SIGSTOP { 0 } else { signal });
        }
    }
}

/// The system call that a stopped thread is about to make; `None` at its return.
fn entered(pid: libc::pid_t) -> Option<Entry> {
    // SAFETY: all zeros is a valid `ptrace_syscall_info`: integers and a union of integers.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the thread is stopped and traced by this one, and the kernel writes at most `size` bytes to `info`.
    let got = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &mut info) };
    if got <= 0 || info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that the union holds `entry`.
    let entry = unsafe { info.u.entry };
    Some(Entry { pid, number: entry.nr, args: entry.args, stack: info.stack_pointer })
}

/// Makes the call that a thread is about to make one that does not exist.
fn set_number_to_none(pid: libc::pid_t) -> bool {
    #[cfg(target_arch = "x86_64")]
    return poke(pid, std::mem::offset_of!(libc::user_regs_struct, orig_rax), -1);
    #[cfg(not(target_arch = "x86_64"))]
    return {
        let _ = pid;
        false
    };
}

/// Sets what a system call returns in a thread that stands at its return.
fn set_result(pid: libc::pid_t, result: i64) {
    #[cfg(target_arch = "x86_64")]
    assert!(
        poke(pid, std::mem::offset_of!(libc::user_regs_struct, rax), result),
        "a stopped thread's register"
    );
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pid, result);
}

#[cfg(target_arch = "x86_64")]
fn poke(pid: libc::pid_t, register: usize, value: i64) -> bool {
    // SAFETY: the thread is stopped and traced by this one; the request writes to its registers only.
    unsafe { libc::ptrace(libc::PTRACE_POKEUSER, pid, register, value) == 0 }
}

fn resume(pid: libc::pid_t, signal: i32) {
    // SAFETY: the thread is stopped and traced by this one; the request takes no pointer.
    unsafe { libc::ptrace(libc::PTRACE_SYSCALL, pid, 0, signal) };
}

fn wait(pid: libc::pid_t) -> (libc::pid_t, i32) {
    let mut status = 0;
    // Only children of this thread: other tests of the process wait for their own.
    // SAFETY: the pointer is to a live local.
    let stopped = unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::__WNOTHREAD) };
    assert!(stopped > 0, "waitpid: {}", std::io::Error::last_os_error());
    (stopped, status)
}

//! Counts what a process asks of the kernel, by following it from system call to system call (ptrace), so that no
//! tracing program need be installed.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What a traced process did between its `exec` and its end.
#[derive(Debug)]
pub struct Traced {
    /// The numbers of its system calls in order, those of its threads and children included.
    pub calls: Vec<u64>,
    /// Threads and processes that it started.
    pub started: usize,
    /// Exit status of the first process.
    pub status: i32,
}

/// Runs a command to its end under ptrace; `None` if this machine forbids ptrace.
pub fn trace(command: &mut Command) -> Option<Traced> {
    command.stdin(Stdio::null());
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
    Some(follow(child))
}

fn follow(child: libc::pid_t) -> Traced {
    let mut traced = Traced { calls: Vec::new(), started: 0, status: 0 };
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
            traced.calls.extend(entered(pid));
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

/// The number of the system call that a stopped thread is about to make; `None` at its return.
fn entered(pid: libc::pid_t) -> Option<u64> {
    // SAFETY: all zeros is a valid `ptrace_syscall_info`: integers and a union of integers.
    let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::ptrace_syscall_info>();
    // SAFETY: the thread is stopped and traced by this one, and the kernel writes at most `size` bytes to `info`.
    let got = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &mut info) };
    if got <= 0 || info.op != libc::PTRACE_SYSCALL_INFO_ENTRY {
        return None;
    }
    // SAFETY: `op` says that the union holds `entry`.
    Some(unsafe { info.u.entry.nr })
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

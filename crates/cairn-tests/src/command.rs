//! Runs a command to its end or to its time limit, whichever comes first, and keeps what it said and used.
//!
//! Output goes to files and not to pipes: a grandchild that holds a pipe open can't keep the test waiting.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A limit tells a hang from a program at work, so it is given for a quiet machine, amply, and stretched by this: the machine
/// may be twice as slow, its cores may have three jobs each, and then a test that fails by its limit tells nothing.
pub const PATIENCE: u32 = 4;

/// What a command did.
#[derive(Debug)]
pub struct Finished {
    /// The command as one line, for messages.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// Page faults that needed no disk, its waited-for children included.
    pub minor_faults: i64,
    /// Peak resident set of the largest process, in KiB.
    pub rss_peak_kib: i64,
}

impl Finished {
    /// Standard output as text.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Fails the test, with everything that was said, unless the command ended with 0.
    #[track_caller]
    pub fn expect_success(&self) -> &Self {
        assert!(
            self.status.success(),
            "{}\nended with {}\nstdout:\n{}\nstderr:\n{}",
            self.line,
            self.status,
            tail(&self.out()),
            tail(&self.err())
        );
        self
    }
}

/// The last part of a long text: what a reader of a failure needs.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(6000);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

/// Runs a command in a process group of its own.
///
/// # Panics
/// If it can't be started, or has not ended within `limit` times [`PATIENCE`]: then its whole group is killed.
#[track_caller]
pub fn run(command: &mut Command, limit: Duration) -> Finished {
    try_run(command, limit * PATIENCE).unwrap_or_else(|words| panic!("{words}"))
}

/// Like [`run`], with a limit that is kept as it is; what was said by a command that did not end in time is the error.
///
/// # Panics
/// If it can't be started.
#[track_caller]
// It is waited for: `wait4` below also tells what the child used, which the standard library doesn't.
#[allow(clippy::zombie_processes)]
pub fn try_run(command: &mut Command, limit: Duration) -> Result<Finished, String> {
    let line = format!("{command:?}");
    let (mut out, mut err) = (anonymous_file(), anonymous_file());
    command
        .stdout(out.try_clone().expect("a file handle can be copied"))
        .stderr(err.try_clone().expect("a file handle can be copied"))
        .process_group(0);
    let child = command.stdin(Stdio::null()).spawn().unwrap_or_else(|e| panic!("cannot start {line}: {e}"));
    let waited = wait(child.id() as libc::pid_t, limit);
    let (stdout, stderr) = (content(&mut out), content(&mut err));
    let Some((status, usage)) = waited else {
        return Err(format!(
            "HANG: {line}\ndid not end within {} s and was killed\nstdout:\n{}\nstderr:\n{}",
            limit.as_secs(),
            tail(&String::from_utf8_lossy(&stdout)),
            tail(&String::from_utf8_lossy(&stderr))
        ));
    };
    let (minor_faults, rss_peak_kib) = (usage.ru_minflt, usage.ru_maxrss);
    Ok(Finished { line, status, stdout, stderr, minor_faults, rss_peak_kib })
}

/// Waits for a child that leads its group; `None` if it had to be killed.
fn wait(pid: libc::pid_t, limit: Duration) -> Option<(ExitStatus, libc::rusage)> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    let mut killed = false;
    loop {
        let mut status = 0;
        // SAFETY: all zeros is a valid `rusage`: it consists of integers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let flags = if killed { 0 } else { libc::WNOHANG };
        // SAFETY: both pointers are to live locals of the types that wait4 fills.
        let reaped = unsafe { libc::wait4(pid, &mut status, flags, &mut usage) };
        assert!(reaped >= 0, "wait4: {}", std::io::Error::last_os_error());
        if killed {
            return None;
        }
        if reaped == pid {
            return Some((ExitStatus::from_raw(status), usage));
        }
        if start.elapsed() > limit {
            // SAFETY: kill takes no pointers; the group is the one that `run` made, and its leader is not reaped.
            unsafe { libc::kill(-pid, libc::SIGKILL) };
            killed = true;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// A file without a name.
pub(crate) fn anonymous_file() -> File {
    // SAFETY: the name is a C string, and the result is checked before it is used.
    let fd = unsafe { libc::memfd_create(c"cairn-tests".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor is open and nobody else's.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }
}

/// All that was written to a file.
fn content(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("an anonymous file can be read");
    bytes
}

/// Limits the address space of a command, as `ulimit -v` does.
pub fn limit_address_space(command: &mut Command, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: between fork and exec only `setrlimit`, which is async-signal-safe, is called on a copied local.
    unsafe {
        command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_AS, &limit) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

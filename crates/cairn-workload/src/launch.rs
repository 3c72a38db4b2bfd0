//! The launcher: a process between the comparison and the measured program.
//!
//! ```text
//!   cairn bench  ──►  cairn-workload launch  ──►  the program, with LD_PRELOAD
//!   (tens of MB)          (2 to 3 MB)              measured by waitid and wait4
//! ```
//!
//! It exists because the kernel counts a child's peak memory from before its exec: `ru_maxrss` is never smaller than what
//! the process that started it had. Started from here, that floor is lower than any program's own start-up.
//! So this module runs before anything else in `main`, and uses no library that needs memory.
//!
//! Protocol: `launch SECONDS [NAME=VALUE…] -- PROGRAM ARGUMENTS…`. It prints one line of JSON, the [`Report`],
//! followed by everything that the program wrote to its standard output. Standard error passes through.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The word that makes the executable a launcher.
pub const WORD: &str = "launch";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// By itself, with this status.
    Exit(i32),
    /// By this signal.
    Signal(i32),
    /// By the launcher, because it took too long.
    Timeout,
    /// It never began; the reason is on standard error.
    NotStarted,
}

/// What one run cost: the process and those of its children that it waited for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// From the start to the end, in nanoseconds.
    pub wall_ns: u64,
    /// CPU time in the program, in nanoseconds.
    pub user_ns: u64,
    /// CPU time in the kernel on its behalf, in nanoseconds.
    pub system_ns: u64,
    /// The largest resident memory of any one of its processes, in KiB.
    pub peak_rss_kib: u64,
    /// Page faults without input or output.
    pub minor_faults: u64,
    /// Page faults that read from a disk.
    pub major_faults: u64,
    /// Times it waited for something.
    pub voluntary_switches: u64,
    /// Times it was interrupted in favour of another process.
    pub involuntary_switches: u64,
}

impl Report {
    /// User and system time together, in nanoseconds.
    pub fn cpu_ns(&self) -> u64 {
        self.user_ns + self.system_ns
    }

    fn not_started() -> Report {
        // SAFETY: a rusage is numbers only, for which zeros are valid.
        Report::new(End::NotStarted, Duration::ZERO, &unsafe { std::mem::zeroed() })
    }

    fn new(end: End, wall: Duration, usage: &libc::rusage) -> Report {
        let nanoseconds =
            |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1_000;
        Report {
            end,
            wall_ns: wall.as_nanos() as u64,
            user_ns: nanoseconds(usage.ru_utime),
            system_ns: nanoseconds(usage.ru_stime),
            peak_rss_kib: usage.ru_maxrss as u64,
            minor_faults: usage.ru_minflt as u64,
            major_faults: usage.ru_majflt as u64,
            voluntary_switches: usage.ru_nvcsw as u64,
            involuntary_switches: usage.ru_nivcsw as u64,
        }
    }
}

/// Becomes a launcher if the command line says so, and returns its exit status then.
pub fn run_if_asked() -> Option<i32> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != WORD {
        return None;
    }
    let seconds = words.next()?.to_str()?.parse().ok()?;
    let words: Vec<OsString> = words.collect();
    let (report, output) = launch(&words, Duration::from_secs(seconds));
    let mut line = serde_json::to_vec(&report).expect("numbers can be written as JSON");
    line.push(b'\n');
    let mut out = std::io::stdout().lock();
    let written = out.write_all(&line).and_then(|()| out.write_all(&output)).and_then(|()| out.flush());
    Some(if written.is_ok() { 0 } else { 1 })
}

/// Starts the program, waits for it, and returns what it cost and what it printed.
fn launch(words: &[OsString], limit: Duration) -> (Report, Vec<u8>) {
    let Some(mut command) = command(words) else {
        eprintln!("cairn-workload launch: the command line has no program after --");
        return (Report::not_started(), Vec::new());
    };
    forbid_core_dumps();
    let start = Instant::now();
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("can't start {}: {error}", command.get_program().display());
            return (Report::not_started(), Vec::new());
        }
    };
    let group = child.id() as libc::pid_t;
    let (finished, ending) = channel::<()>();
    let alarm = std::thread::spawn(move || {
        let late = ending.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
        if late {
            // SAFETY: the child leads its own group and is reaped only after this thread was joined.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
        late
    });
    let output = read_all(&mut child);
    wait_without_reaping(group);
    let wall = start.elapsed();
    drop(finished);
    let late = alarm.join().unwrap_or(false);
    let (status, usage) = reap(group);
    let end = if late {
        End::Timeout
    } else if libc::WIFSIGNALED(status) {
        End::Signal(libc::WTERMSIG(status))
    } else {
        End::Exit(libc::WEXITSTATUS(status))
    };
    (Report::new(end, wall, &usage), output)
}

/// The settings before `--` go to the environment of the program only, never to this process.
fn command(words: &[OsString]) -> Option<Command> {
    let dashes = words.iter().position(|word| word == "--")?;
    let mut command = Command::new(words.get(dashes + 1)?);
    command.args(&words[dashes + 2..]);
    for setting in &words[..dashes] {
        let bytes = setting.as_bytes();
        let equals = bytes.iter().position(|&byte| byte == b'=')?;
        command.env(
            std::ffi::OsStr::from_bytes(&bytes[..equals]),
            std::ffi::OsStr::from_bytes(&bytes[equals + 1..]),
        );
    }
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
    Some(command)
}

/// A crash is a result here, its memory image is not.
fn forbid_core_dumps() {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid for the call. Failure only means that a core file may be written.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &none) };
}

fn read_all(child: &mut Child) -> Vec<u8> {
    let mut output = Vec::new();
    if let Some(mut pipe) = child.stdout.take()
        && let Err(error) = pipe.read_to_end(&mut output)
    {
        eprintln!("cairn-workload launch: can't read what the program printed: {error}");
    }
    output
}

fn wait_without_reaping(pid: libc::pid_t) {
    loop {
        // SAFETY: the structure is numbers only, and the kernel fills it.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the child is ours and not reaped; `info` is valid for the call.
        let result =
            unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, &mut info, libc::WEXITED | libc::WNOWAIT) };
        if result == 0 || std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted {
            return;
        }
    }
}

fn reap(pid: libc::pid_t) -> (i32, libc::rusage) {
    let mut status = 0;
    // SAFETY: the structure is numbers only, and the kernel fills it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the child is ours, both structures are valid for the call.
    while unsafe { libc::wait4(pid, &mut status, 0, &mut usage) } < 0
        && std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    {}
    (status, usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str], limit: Duration) -> (Report, Vec<u8>) {
        launch(&words.iter().map(OsString::from).collect::<Vec<_>>(), limit)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn passes_settings_arguments_and_output() {
        let (report, output) = run(&["COLOUR=grey=2", "--", "sh", "-c", "echo $COLOUR $0", "stone"], LONG);
        assert_eq!(report.end, End::Exit(0));
        assert_eq!(output, b"grey=2 stone\n");
        assert!(report.peak_rss_kib > 100 && report.minor_faults > 10, "{report:?}");
    }

    #[test]
    fn tells_how_it_ended() {
        assert_eq!(run(&["--", "sh", "-c", "exit 7"], LONG).0.end, End::Exit(7));
        assert_eq!(run(&["--", "sh", "-c", "kill -SEGV $$"], LONG).0.end, End::Signal(libc::SIGSEGV));
        assert_eq!(run(&["--", "/nothing/here"], LONG).0.end, End::NotStarted);
        assert_eq!(run(&["A=1"], LONG).0.end, End::NotStarted);
    }

    #[test]
    fn ends_what_takes_too_long_with_its_children() {
        let start = Instant::now();
        let (report, _) = run(&["--", "sh", "-c", "sleep 60 & sleep 60"], Duration::from_millis(200));
        assert_eq!(report.end, End::Timeout);
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn counts_cpu_time_and_memory_of_the_program() {
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let (report, _) = run(&["--", "sh", "-c", script], LONG);
        assert!(report.cpu_ns() > 1_000_000, "{report:?}");
        assert!(report.wall_ns >= report.cpu_ns() / 2, "{report:?}");
    }
}

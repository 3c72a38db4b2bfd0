//! With `--stats` there are two processes, and signals treat them as one.

mod common;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use common::{cairn, clean, compile, scratch};
use nix::pty::openpty;
use nix::sys::signal::{SigHandler, Signal, kill};
use nix::unistd::Pid;

/// A script that says when it is ready, then waits for a signal.
const WAITING: &str = "echo ready; n=0; while [ $n -lt 300 ]; do sleep 0.05; n=$((n+1)); done";

/// Runs a script under `--stats` and waits for its first line.
fn start(script: &str) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut command = cairn();
    command.args(["run", "--stats-file", "/dev/null", "sh", "-c", script]).stdout(Stdio::piped());
    // Who runs the tests in the background, or by nohup, may have them ignore these, which a shell then can't catch.
    // SAFETY: between fork and exec these are two system calls.
    unsafe {
        command.pre_exec(|| {
            for ignored in [Signal::SIGINT, Signal::SIGHUP] {
                nix::sys::signal::signal(ignored, SigHandler::SigDfl)?;
            }
            Ok(())
        })
    };
    let mut child = command.spawn().expect("cairn starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    lines.read_line(&mut first).expect("the script writes");
    assert_eq!(first, "ready\n");
    (child, lines)
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id"))
}

/// The state letter of a process, as `T` for stopped.
fn state(pid: Pid) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned()
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn signals_sent_to_cairn_reach_the_program() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGINT] {
        let name = signal.as_str().trim_start_matches("SIG");
        let (mut child, mut lines) = start(&format!("trap 'echo got {name}; exit 7' {name}; {WAITING}"));
        kill(pid(&child), signal).expect("cairn runs");
        let mut rest = String::new();
        lines.read_to_string(&mut rest).expect("the script ends");
        assert_eq!(rest, format!("got {name}\n"));
        assert_eq!(child.wait().expect("cairn ends").code(), Some(7));
    }
}

#[test]
fn a_signal_that_the_program_does_not_handle_ends_both() {
    let (mut child, _lines) = start(WAITING);
    kill(pid(&child), Signal::SIGTERM).expect("cairn runs");
    assert_eq!(child.wait().expect("cairn ends").signal(), Some(Signal::SIGTERM as i32));
}

#[test]
fn a_program_that_stops_itself_stops_cairn_and_both_go_on() {
    let (mut child, _lines) = start("echo ready; kill -STOP $$; exit 5");
    let cairn = pid(&child);
    until("cairn is stopped", || state(cairn) == "T");
    kill(cairn, Signal::SIGCONT).expect("cairn runs");
    assert_eq!(child.wait().expect("cairn ends").code(), Some(5));
}

/// A shell with job control on a terminal of its own.
struct Terminal {
    keys: File,
    seen: std::sync::mpsc::Receiver<u8>,
    shell: Child,
    text: String,
}

impl Terminal {
    fn new(script: &str) -> Self {
        let pair = openpty(None, None).expect("a terminal");
        let slave = File::from(pair.slave);
        let mut command = clean("bash");
        command.args(["--norc", "-m", "-c", script, env!("CARGO_BIN_EXE_cairn")]);
        command
            .stdin(slave.try_clone().expect("a copy"))
            .stdout(slave.try_clone().expect("a copy"))
            .stderr(slave);
        let own_session = || {
            nix::unistd::setsid()?;
            // SAFETY: makes the terminal on stdin the one of the new session; no memory is touched.
            unsafe { nix::libc::ioctl(0, nix::libc::TIOCSCTTY, 0) };
            Ok(())
        };
        // SAFETY: the hook makes two system calls.
        unsafe { command.pre_exec(own_session) };
        let shell = command.spawn().expect("bash starts");
        drop(command);
        let keys = File::from(pair.master);
        let mut screen = keys.try_clone().expect("a copy");
        let (sender, seen) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut byte = [0];
            while screen.read_exact(&mut byte).is_ok() && sender.send(byte[0]).is_ok() {}
        });
        Terminal { keys, seen, shell, text: String::new() }
    }

    /// Reads until the screen shows `what` after what was expected before.
    fn expect(&mut self, what: &str) {
        let mut new = String::new();
        while !new.ends_with(what) {
            match self.seen.recv_timeout(Duration::from_secs(60)) {
                Ok(byte) => new.push(byte as char),
                Err(_) => panic!("the terminal did not show {what:?} after {:?} but {new:?}", self.text),
            }
        }
        self.text += &new;
    }

    fn press(&mut self, key: u8) {
        self.keys.write_all(&[key]).expect("the terminal takes keys");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// Counts the interrupts of half a second. A shell would not do: a key that arrives while it starts a program with
/// `vfork` stops the new process and leaves the shell waiting for it, with or without Cairn.
const COUNTER: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <time.h>
static volatile int caught;
static void on(int number) { (void)number; caught++; }
int main(void) {
    struct timespec left = {0, 500000000};
    signal(SIGINT, on);
    puts("ready");
    fflush(stdout);
    while (nanosleep(&left, &left)) {}
    printf("caught %d.\n", caught);
    return 3;
}
"#;

#[test]
fn the_interrupt_key_reaches_the_program_once_and_not_cairn() {
    let directory = scratch();
    let program = compile(directory.path(), "counter", COUNTER, &[]);
    let mut terminal = Terminal::new(&format!("\"$0\" run --stats {}; echo status=$?.", program.display()));
    terminal.expect("ready");
    terminal.press(3);
    terminal.expect("caught 1.");
    terminal.expect("exited with status 3");
    terminal.expect("status=3.");
}

#[test]
fn the_suspend_key_stops_the_whole_job_and_fg_continues_it() {
    let directory = scratch();
    let program = compile(directory.path(), "counter", COUNTER, &[]);
    let line = format!("\"$0\" run --stats {}; echo stopped=$?.; fg; echo status=$?.", program.display());
    let mut terminal = Terminal::new(&line);
    terminal.expect("ready");
    terminal.press(26);
    terminal.expect("stopped=148.");
    terminal.expect("caught 0.");
    terminal.expect("status=3.");
}

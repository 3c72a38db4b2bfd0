//! A program runs as if Cairn were not there.

mod common;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use common::{MODES, cairn, clean, compile, executable, output, scratch, stdout, text};
use nix::sys::signal::{SigHandler, SigSet, Signal};

/// What the kernel says about the signals of a process.
const SIGNALS: [&str; 3] = ["grep", "^Sig[IB]", "/proc/self/status"];

#[test]
fn the_exit_status_is_the_programs() {
    for mode in MODES {
        for status in [0, 1, 42, 126, 255] {
            let result = output(cairn().args(mode).args(["sh", "-c", &format!("exit {status}")]));
            assert_eq!(result.status.code(), Some(status), "{mode:?}");
            assert_eq!(text(&result.stderr), "");
        }
    }
}

#[test]
fn a_signal_that_ends_the_program_ends_cairn() {
    for mode in MODES {
        for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGINT, Signal::SIGPIPE, Signal::SIGSEGV] {
            let script = format!("ulimit -c 0; kill -{} $$", signal as i32);
            // Who runs the tests in the background may have them ignore SIGINT, and a shell leaves that as it is.
            let mut command = cairn();
            // SAFETY: between fork and exec this is one system call.
            unsafe {
                command.pre_exec(|| {
                    nix::sys::signal::signal(Signal::SIGINT, SigHandler::SigDfl).map(drop).map_err(Into::into)
                })
            };
            let result = output(command.args(mode).args(["sh", "-c", &script]));
            assert_eq!(result.status.signal(), Some(signal as i32), "{mode:?} {signal}");
        }
    }
}

#[test]
fn arguments_arrive_unchanged() {
    let odd: [&OsStr; 6] = [
        OsStr::new("two words"),
        OsStr::new(""),
        OsStr::new("--stats"),
        OsStr::new("--"),
        OsStr::new("line\nline\\'\""),
        OsStr::from_bytes(b"not \xff UTF-8"),
    ];
    let script = "printf '<%s>' \"$0\" \"$@\"";
    for mode in MODES {
        let ours = output(cairn().args(mode).args(["sh", "-c", script]).args(odd));
        let plain = output(clean("sh").args(["-c", script]).args(odd));
        assert_eq!(ours.stdout, plain.stdout, "{mode:?}");
        assert_eq!(stdout(cairn().args(mode).args(["sh", "-c", "echo $0"])), "sh\n");
    }
}

#[test]
fn streams_pass_through() {
    let data: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
    for mode in MODES {
        let mut child = cairn()
            .args(mode)
            .args(["sh", "-c", "echo error >&2; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("cairn starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let written = data.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&written).expect("cat reads"));
        let result = child.wait_with_output().expect("cairn ends");
        writer.join().expect("the writer ends");
        assert!(result.stdout == data, "{mode:?}: {} bytes came back", result.stdout.len());
        assert_eq!(text(&result.stderr), "error\n");
    }
}

#[test]
fn the_environment_gains_only_the_preload() {
    let lines = |text: String| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let prepare = |command: &mut Command| {
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", "/root")
            .env("ODD", "a=b  c")
            .args(["env"]);
        lines(stdout(command))
    };
    let plain = lines(stdout(
        clean("env").env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/root").env("ODD", "a=b  c"),
    ));
    for mode in MODES {
        let ours = prepare(cairn().args(mode));
        let (added, kept): (Vec<String>, Vec<String>) =
            ours.into_iter().partition(|line| !plain.contains(line));
        assert_eq!(kept, plain, "{mode:?}");
        let names: Vec<&str> = added.iter().map(|line| line.split('=').next().unwrap_or_default()).collect();
        let expected: &[&str] = if mode == MODES[0] {
            &["LD_PRELOAD"]
        } else {
            &["CAIRN_STATS", "CAIRN_STATS_PARENT", "LD_PRELOAD"]
        };
        assert_eq!(names, expected, "{mode:?}");
    }
}

#[test]
fn what_the_user_preloads_is_kept_and_ours_comes_first_and_once() {
    let library = stdout(cairn().arg("library")).trim_end().to_owned();
    // Any other library will do; this one surely exists.
    let maps = stdout(clean("python3").args(["-c", "import math; print(open('/proc/self/maps').read())"]));
    let libm =
        maps.split_whitespace().find(|word| word.contains("/libm.so")).expect("python3 uses libm").to_owned();
    for (old, expected) in [
        (libm.clone(), format!("{library}:{libm}\n")),
        (library.clone(), format!("{library}\n")),
        (format!("{libm} {library}"), format!("{library}:{libm}\n")),
    ] {
        let seen = stdout(cairn().env("LD_PRELOAD", old).args(["run", "sh", "-c", "echo $LD_PRELOAD"]));
        assert_eq!(seen, expected);
    }
}

#[test]
fn the_program_and_its_children_have_the_library() {
    for mode in MODES {
        for line in ["cat /proc/$$/maps", "sh -c 'cat /proc/$$/maps; :'", "env cat /proc/self/maps; :"] {
            let maps = stdout(cairn().args(mode).args(["sh", "-c", line]));
            assert!(maps.contains("/libcairn-"), "{mode:?} {line}");
        }
    }
}

#[test]
fn cairn_may_run_cairn() {
    let program = env!("CARGO_BIN_EXE_cairn");
    for outer in MODES {
        for inner in MODES {
            let mut command = cairn();
            command.args(outer).arg(program).args(inner).args(["sh", "-c", "echo $LD_PRELOAD; exit 9"]);
            let result = output(&mut command);
            assert_eq!(result.status.code(), Some(9));
            assert_eq!(text(&result.stdout).matches("libcairn").count(), 1);
        }
    }
}

#[test]
fn without_statistics_the_process_is_the_program() {
    let child =
        cairn().args(["run", "sh", "-c", "echo $$"]).stdout(Stdio::piped()).spawn().expect("cairn starts");
    let pid = child.id();
    let result = child.wait_with_output().expect("cairn ends");
    assert_eq!(text(&result.stdout).trim_end(), pid.to_string());
}

#[test]
fn ignored_and_blocked_signals_are_inherited() {
    // The standard library gives a new process a fresh state, so a shell and a hook make the odd one.
    let through = |middle: &[&str]| {
        let mut command = clean("sh");
        command.args(["-c", "trap '' PIPE HUP CHLD; exec \"$@\"", "sh"]).args(middle).args(SIGNALS);
        let block = || {
            let mut set = SigSet::empty();
            set.add(Signal::SIGUSR1);
            set.add(Signal::SIGTERM);
            set.thread_block().map_err(Into::into)
        };
        // SAFETY: the hook makes one system call.
        unsafe { command.pre_exec(block) };
        stdout(&mut command)
    };
    let plain = through(&[]);
    for mode in MODES {
        let ours = through(&[&[env!("CARGO_BIN_EXE_cairn")], mode].concat());
        assert_eq!(ours, plain, "{mode:?}");
    }
}

#[test]
fn open_files_are_the_same_even_with_closed_streams() {
    for closing in ["", "<&-", ">&-", "2>&-", "<&- 2>&-", "5</dev/null"] {
        // The list goes to a file, since stdout may be closed.
        let list = "ls -l /proc/self/fd | sed 's/.* \\([0-9]* -> \\)/\\1/; s/[0-9]*\\]//' | grep -v /proc/ >\"$OUT\"";
        let directory = scratch();
        let through = |middle: &[&str]| {
            let file = directory.path().join("list");
            let line = format!("exec \"$@\" {closing}");
            output(
                clean("sh").env("OUT", &file).args(["-c", &line, "sh"]).args(middle).args(["sh", "-c", list]),
            );
            std::fs::read_to_string(file).expect("the list")
        };
        let plain = through(&[]);
        for mode in MODES {
            let ours = through(&[&[env!("CARGO_BIN_EXE_cairn")], mode].concat());
            assert_eq!(ours, plain, "{mode:?} {closing}");
        }
    }
}

#[test]
fn scripts_run() {
    let directory = scratch();
    let path = |name: &str| directory.path().join(name);
    let scripts = [
        executable(&path("plain"), "#!/bin/sh\necho \"ran $1\"\n"),
        executable(&path("env"), "#!/usr/bin/env sh\necho \"ran $1\"\n"),
        executable(&path("split"), "#!/usr/bin/env -S A=1 sh -e\necho \"ran $1\"\n"),
        executable(&path("no first line"), "echo \"ran $1\"\n"),
    ];
    let script_of_script = format!("#!{}\n", scripts[0].display());
    let nested = executable(&path("nested"), script_of_script);
    for mode in MODES {
        for script in &scripts {
            assert_eq!(stdout(cairn().args(mode).arg(script).arg("it")), "ran it\n", "{}", script.display());
        }
        assert_eq!(stdout(cairn().args(mode).arg(&nested)), format!("ran {}\n", nested.display()));
    }
}

#[test]
fn programs_are_found_as_execvp_finds_them() {
    let directory = scratch();
    let sub = |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir(&path).expect("a directory");
        path
    };
    let (first, second) = (sub("first"), sub("second"));
    // A directory, and a file that may not be executed, are passed over.
    std::fs::create_dir(first.join("tool")).expect("a directory");
    std::fs::write(first.join("other"), "").expect("a file");
    let source = "#include <stdio.h>\nint main(int c, char **v) { puts(v[0]); return c - 1; }\n";
    let tool = compile(&second, "tool", source, &[]);
    std::fs::copy(&tool, second.join("other")).expect("a copy");
    let path = format!("{}:{}", first.display(), second.display());
    for mode in MODES {
        for name in ["tool", "other"] {
            assert_eq!(stdout(cairn().env("PATH", &path).args(mode).arg(name)), format!("{name}\n"));
        }
        let here = stdout(cairn().current_dir(&second).env("PATH", "").args(mode).arg("tool"));
        assert_eq!(here, "tool\n");
        assert_eq!(stdout(cairn().current_dir(&second).args(mode).arg("./tool")), "./tool\n");
    }
}

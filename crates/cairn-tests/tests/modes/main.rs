//! Claim: in the modes debug and sampled a fault stops at the instruction and is named with the stacks of the access, of the
//! allocation and of the free; and real programs and the C programs of the other tests work as without.

mod debug;
mod life;
mod limits;
mod older_kernel;
mod programs;
mod sampled;
mod settings;

use cairn_tests::command::{self, Finished};
use cairn_tests::{compile, cprogram};
use std::time::Duration;

/// How a fault ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The instruction itself.
    Fault = libc::SIGSEGV as isize,
    /// A call of ours.
    Refused = libc::SIGABRT as isize,
}

/// Commits a fault of `c/modes/fault.c` in a mode, with further variables; None if there is no compiler.
///
/// `-rdynamic`, so that the functions of the program have names.
pub fn commit(fault: &str, environment: &[(&str, &str)]) -> Option<Finished> {
    let program = compile::program("modes/fault.c", &["-rdynamic"])?;
    let mut command = cprogram::preloaded(&program, &[fault]);
    command.envs(environment.iter().copied());
    Some(command::run(&mut command, Duration::from_secs(30)))
}

/// One part of a report: the line that heads it, and its frames.
pub struct Part<'a> {
    /// What it is about.
    pub head: &'a str,
    /// The lines of the stack.
    pub frames: Vec<&'a str>,
}

/// The parts of a report, the message itself first.
pub fn parts(report: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    for line in report.lines() {
        if line.starts_with("    at ") {
            let part: &mut Part = parts.last_mut().expect("a frame follows a head");
            part.frames.push(line);
        } else {
            parts.push(Part { head: line, frames: Vec::new() });
        }
    }
    parts
}

/// The fault ends so, the message has these words, and the parts that follow are headed by these words, each with a frame in the
/// function named and one in `main`, if it is of the main thread.
#[track_caller]
pub fn is_told(fault: &str, environment: &[(&str, &str)], end: End, words: &[&str], stacks: &[(&str, &str)]) {
    use std::os::unix::process::ExitStatusExt;
    let Some(finished) = commit(fault, environment) else { return };
    let report = finished.err();
    assert_eq!(finished.status.signal(), Some(end as i32), "{fault}: {}\n{report}", finished.status);
    let parts = parts(&report);
    assert!(parts.len() > stacks.len(), "{fault}: {report}");
    for word in words {
        assert!(parts[0].head.contains(word), "{fault}: no {word:?} in {report}");
    }
    let heads: Vec<_> = parts[1..].iter().map(|part| part.head).collect();
    assert_eq!(heads.len(), stacks.len(), "{fault}: other parts: {report}");
    for (part, (head, function)) in parts[1..].iter().zip(stacks) {
        assert!(part.head.starts_with(&format!("  {head} by thread ")), "{fault}: no {head}: {report}");
        assert!(
            part.frames.iter().any(|frame| frame.contains(&format!(" {function}+0x"))),
            "{fault}: no {function}: {report}"
        );
        assert!(!part.frames[0].contains("libcairn"), "{fault}: frames of our own: {report}");
    }
}

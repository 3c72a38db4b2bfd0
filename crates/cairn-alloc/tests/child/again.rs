//! This test program, run again.

use std::process::Command;

/// This program: by what cargo runs it with, if it is for another processor.
pub fn again() -> Command {
    let me = std::env::current_exe().expect("a program has a path");
    let arch = std::env::consts::ARCH.to_uppercase();
    let runner = std::format!("CARGO_TARGET_{arch}_UNKNOWN_LINUX_GNU_RUNNER");
    let Ok(runner) = std::env::var(runner) else { return Command::new(me) };
    let mut words = runner.split_whitespace();
    let mut command = Command::new(words.next().expect("a runner has a name"));
    command.args(words).arg(me);
    command
}

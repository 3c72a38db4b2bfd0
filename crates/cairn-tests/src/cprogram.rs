//! Runs our own C and C++ programs on the library. Each includes `c/check.h`, which fails the program if its
//! `malloc` is not the library's.

use crate::command::{self, Finished};
use crate::{compile, library};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A command that runs a program with the library preloaded.
pub fn preloaded(program: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    library::hide_test_settings(&mut command)
        .args(args)
        .env("LD_PRELOAD", library::shared_object())
        .env("EXPECTED_MALLOC", library::shared_object())
        .env("LC_ALL", "C");
    command
}

/// Compiles `c/<source>` and runs it on the library; it must end with 0 within a minute and a half.
///
/// `None` if there is no compiler.
#[track_caller]
pub fn passes(source: &str, args: &[&str]) -> Option<Finished> {
    let program = compile::program(source, &[])?;
    let finished = command::run(&mut preloaded(&program, args), Duration::from_secs(90));
    finished.expect_success();
    Some(finished)
}

/// How much of a long test is run.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// With `CAIRN_TEST_FULL=1`.
    pub full: usize,
    /// Without, in the default mode.
    pub usual: usize,
    /// Without, in each other mode.
    pub brief: usize,
}

/// The modes of the library that programs run in.
const MODES: &[&str] = &["default", "hardened", "sampled", "debug"];

/// Like [`passes`], in each mode, with the count of this run in place of the argument `N`. What the program prints is shown,
/// past the capture of the test harness if the count is the full one.
#[track_caller]
pub fn passes_in_every_mode(source: &str, args: &[&str], counts: Counts) {
    let Some(program) = compile::program(source, &[]) else { return };
    let full = std::env::var_os("CAIRN_TEST_FULL").is_some_and(|value| value == "1");
    for &mode in MODES {
        let count = match mode {
            _ if full => counts.full,
            "default" => counts.usual,
            _ => counts.brief,
        }
        .to_string();
        let args: Vec<&str> = args.iter().map(|&arg| if arg == "N" { &count } else { arg }).collect();
        let mut command = preloaded(&program, &args);
        if mode != "default" {
            command.env("CAIRN_MODE", mode);
        }
        let limit = Duration::from_secs(if full { 3600 } else { 120 });
        let finished = command::run(&mut command, limit);
        let words = format!("{source} {}, mode {mode}:\n{}", args.join(" "), finished.expect_success().out());
        if full {
            let _ = std::io::stderr().write_all(words.as_bytes());
        } else {
            print!("{words}");
        }
    }
}

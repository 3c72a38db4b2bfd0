//! Runs our own C and C++ programs on the library. Each includes `c/check.h`, which fails the program if its
//! `malloc` is not the library's.

use crate::command::{self, Finished};
use crate::{compile, library};
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

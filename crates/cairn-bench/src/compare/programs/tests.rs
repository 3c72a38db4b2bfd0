//! Each program that is here runs twice, small, without any preload, and says the same both times.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;

/// Runs the load as the launcher does: its settings, nothing on standard input.
fn run(load: &Load) -> Vec<u8> {
    let mut command = Command::new(&load.words[0]);
    command.args(&load.words[1..]).env_remove("LD_PRELOAD").stdin(Stdio::null());
    for setting in &load.settings {
        let (name, value) = setting.split_once('=').expect("NAME=VALUE");
        command.env(name, value);
    }
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}", load.name));
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{complaint}", load.name, output.status);
    output.stdout
}

#[test]
fn every_program_prints_the_same_twice() {
    let scratch = tempfile::tempdir().unwrap();
    let (loads, skipped) = prepare(scratch.path(), 0.05, |_| true).unwrap();
    for reason in &skipped {
        let required = std::env::var_os("CAIRN_REQUIRE_PROGRAMS").is_some_and(|value| value == "1");
        assert!(!required, "{reason}; and CAIRN_REQUIRE_PROGRAMS=1 allows no skip");
        // Written past the capture of the test harness: a skip should be seen in a run that passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    }
    assert_eq!(loads.len() + skipped.len(), PROGRAMS.len());
    for load in &loads {
        let first = run(load);
        // The compilers throw their assembly away; their exit status is the result.
        assert!(
            !first.is_empty() || ["g++", "clang"].contains(&load.name.as_str()),
            "{}: no output",
            load.name
        );
        let second = run(load);
        assert!(first == second, "{}: {} and then {}", load.name, text(&first), text(&second));
    }
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(&output[..output.len().min(400)]).into_owned()
}

#[test]
fn only_the_wanted_are_prepared_and_each_has_its_package() {
    let scratch = tempfile::tempdir().unwrap();
    let (loads, skipped) = prepare(scratch.path(), 0.05, |name| name == "perl").unwrap();
    assert_eq!(loads.len() + skipped.len(), 1);
    assert!(!scratch.path().join("repository.git").exists());
    assert!(packages().contains(&"postgresql") && packages().is_sorted());
    assert!(PROGRAMS.iter().all(|program| !program.packages.is_empty()));
}

//! Claim: a process that does nothing starts on the library with at most 16 page faults and 12 system calls more
//! than without it, and with no thread.
//!
//! All of the preload's cost is counted, the loader's share too; the share of an empty shared object is told beside it.

use cairn_tests::{command, compile, library, programs, tracer};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FAULTS_MORE: i64 = 16;
const CALLS_MORE: i64 = 12;

fn nothing(program: &Path, preload: Option<&Path>) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    if let Some(preload) = preload {
        command.env("LD_PRELOAD", preload);
    }
    command
}

/// The median of many runs.
fn faults(program: &Path, preload: Option<&Path>) -> i64 {
    let run = || command::run(&mut nothing(program, preload), Duration::from_secs(10));
    let mut counts: Vec<i64> = (0..41).map(|_| run().expect_success().minor_faults).collect();
    counts.sort_unstable();
    counts[counts.len() / 2]
}

#[test]
fn few_page_faults() {
    let Some(program) = compile::program("probe/nothing.c", &[]) else { return };
    let empty = compile::shared("probe/empty.c", &[]).expect("a compiler is there");
    let (without, with) = (faults(&program, None), faults(&program, Some(library::shared_object())));
    let of_loader = faults(&program, Some(&empty)) - without;
    let more = with - without;
    println!(
        "{without} page faults without, {with} with: {more} more ({of_loader} for an empty shared object)"
    );
    assert!(with > without, "the preload cost nothing: was it there?");
    assert!(
        more <= FAULTS_MORE,
        "{more} page faults more, not {FAULTS_MORE} ({of_loader} for an empty shared object)"
    );
}

#[test]
fn few_system_calls_and_no_thread() {
    let Some(program) = compile::program("probe/nothing.c", &[]) else { return };
    let empty = compile::shared("probe/empty.c", &[]).expect("a compiler is there");
    let runs = [None, Some(library::shared_object()), Some(&*empty)];
    let traced = runs.map(|preload| tracer::trace(&mut nothing(&program, preload)));
    let [Some(without), Some(with), Some(of_loader)] = traced else {
        return programs::skip("this machine forbids ptrace");
    };
    assert_eq!((without.status, with.status), (0, 0), "the program failed under ptrace");
    assert!(without.calls.len() > 10, "only {:?} seen: the tracer is blind", without.calls);
    let more = with.calls.len() as i64 - without.calls.len() as i64;
    let empty_more = of_loader.calls.len() as i64 - without.calls.len() as i64;
    println!("{more} system calls more ({empty_more} for an empty shared object)");
    assert!(more > 0, "the preload cost nothing: was it there?");
    assert!(
        more <= CALLS_MORE,
        "{more} system calls more, not {CALLS_MORE} ({empty_more} for an empty shared object)\nwithout: {:?}\nwith: {:?}",
        without.calls,
        with.calls
    );
    assert_eq!(with.started, 0, "a thread or process was started");
}

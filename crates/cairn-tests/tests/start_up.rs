//! Claim: a process that does nothing starts on the library with at most 4 page faults and one system call more
//! than on an empty shared object, and with no thread.
//!
//! All of the preload's cost is counted, the loader's share too.

use cairn_tests::{command, compile, library, programs, tracer};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const FAULTS_MORE: i64 = 4;
const CALLS_MORE: usize = 1;

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
    let of_loader = faults(&program, Some(&empty));
    println!(
        "page faults: {without} alone, {of_loader} with an empty shared object, {with} with the library"
    );
    assert!(with > without, "the preload cost nothing: was it there?");
    assert!(with <= of_loader + FAULTS_MORE, "{} page faults more, not {FAULTS_MORE}", with - of_loader);
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
    let counts = [&without, &of_loader, &with].map(|traced| traced.calls.len());
    println!("system calls: {counts:?} alone, with an empty shared object, with the library");
    assert!(counts[2] > counts[0], "the preload cost nothing: was it there?");
    assert!(
        counts[2] <= counts[1] + CALLS_MORE,
        "{} system calls more, not {CALLS_MORE}\nwith an empty shared object: {:?}\nwith the library: {:?}",
        counts[2] - counts[1],
        of_loader.calls,
        with.calls
    );
    assert_eq!(with.started, 0, "a thread or process was started");
}

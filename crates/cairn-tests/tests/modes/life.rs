//! The C programs of the other tests, in each mode: what the heap promises, forks, threads.

use cairn_tests::{command, compile, cprogram};
use std::time::Duration;

/// Every block guarded, and so many slots that most of the sampled ones are. A quarantine that a test of leaks takes for none.
const MODES: [&[(&str, &str)]; 3] = [
    &[("CAIRN_MODE", "debug"), ("CAIRN_GUARD_QUARANTINE", "10000")],
    &[("CAIRN_MODE", "debug"), ("CAIRN_GUARD", "before"), ("CAIRN_GUARD_QUARANTINE", "1000")],
    &[("CAIRN_MODE", "sampled"), ("CAIRN_SAMPLE_RATE", "1"), ("CAIRN_SAMPLE_SLOTS", "1000")],
];

#[track_caller]
fn passes(source: &str, args: &[&str]) {
    let Some(program) = compile::program(source, &[]) else { return };
    for mode in MODES {
        let mut command = cprogram::preloaded(&program, args);
        command.envs(mode.iter().copied());
        command::run(&mut command, Duration::from_secs(120)).expect_success();
    }
}

#[test]
fn what_every_function_promises() {
    for source in [
        "abi/aligned_doors.c",
        "abi/alignment.c",
        "abi/calloc_zero.c",
        "abi/odd_doors.c",
        "abi/reallocarray.c",
        "abi/too_large.c",
        "abi/usable_size.c",
        "abi/zero_size.c",
    ] {
        passes(source, &[]);
    }
}

#[test]
fn forks_of_many_threads() {
    passes("modes/forks.c", &[]);
}

#[test]
fn threads_are_born_and_die() {
    passes("life/fork_births.c", &["0.5"]);
    passes("life/small_stacks.c", &[]);
}

#[test]
fn vfork_and_spawn() {
    passes("life/vfork_spawn.c", &[]);
}

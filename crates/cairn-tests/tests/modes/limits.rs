//! What the modes may take: beyond that blocks are the default engine's, and the program works on.

use cairn_tests::{command, compile, cprogram, programs, tracer};
use std::time::Duration;

#[test]
fn beyond_the_limit_blocks_are_not_guarded_and_that_is_said_once() {
    let Some(program) = compile::program("modes/drawn.c", &[]) else { return };
    let mut command = cprogram::preloaded(&program, &["5000"]);
    command.env("CAIRN_MODE", "debug").env("CAIRN_GUARD_MIB", "4");
    let finished = command::run(&mut command, Duration::from_secs(60));
    let guarded: usize = finished.expect_success().out().trim().parse().expect("a number");
    // A page each, less what the program held before.
    let most = (4 << 20) / page_size();
    assert!(guarded <= most && guarded > most - 100, "{guarded} of {most}");
    let words = finished.err();
    assert_eq!(words.matches("can't guard the next one").count(), 1, "{words}");
    assert_eq!(words.lines().count(), 1, "{words}");
}

/// How large memory is has to be asked once, not for each block beyond the limit.
#[test]
fn beyond_the_limit_no_block_asks_how_large_memory_is() {
    let Some(program) = compile::program("modes/drawn.c", &[]) else { return };
    let mut command = cprogram::preloaded(&program, &["3000"]);
    command.env("CAIRN_MODE", "debug").env("CAIRN_GUARD_MIB", "4");
    let Some(traced) = tracer::trace(&mut command) else {
        return programs::skip("this machine forbids ptrace");
    };
    assert_eq!(traced.status, 0);
    let asked = traced.calls.iter().filter(|call| **call == libc::SYS_sysinfo as u64).count();
    assert!((1..10).contains(&asked), "{asked} times");
}

/// The records and the quarantine are bounded: a program that frees what it takes stays small.
#[test]
fn a_quarantine_of_a_million_blocks_stays_small() {
    let Some(program) = compile::program("modes/drawn.c", &[]) else { return };
    let peak = |count: &str, quarantine: &str| {
        let mut command = cprogram::preloaded(&program, &[count, "free"]);
        command.env("CAIRN_MODE", "debug").env("CAIRN_GUARD_QUARANTINE", quarantine);
        let finished = command::run(&mut command, Duration::from_secs(80));
        assert_eq!(finished.expect_success().out().trim(), count);
        finished.rss_peak_kib
    };
    let few = peak("100", "1000");
    let many = peak("60000", "1000");
    assert!(many < few + 1500, "{few} KiB, then {many} KiB");
}

/// Under `ulimit -v` the pool is smaller, and the program works.
#[test]
fn a_limit_on_address_space_is_kept() {
    let Some(program) = compile::program("modes/drawn.c", &[]) else { return };
    for mode in ["debug", "sampled"] {
        for mib in [256, 1024] {
            let mut command = cprogram::preloaded(&program, &["3000"]);
            command.env("CAIRN_MODE", mode);
            command::limit_address_space(&mut command, mib << 20);
            command::run(&mut command, Duration::from_secs(60)).expect_success();
        }
    }
}

fn page_size() -> usize {
    // SAFETY: sysconf has no preconditions.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}

//! Claim: with little address space, no mappings left, or the smallest stacks, requests fail cleanly or succeed, and
//! nothing breaks.

use cairn_tests::compare::Case;
use cairn_tests::cprogram::{passes, preloaded};
use cairn_tests::{command, compile, programs};
use std::time::Duration;

const MIB: u64 = 1 << 20;

/// Until memory runs out, and on. At least half of the limit must be granted before that: an allocator that keeps
/// most of a small address space for itself does not work in it.
fn run_out(limit: u64) {
    let Some(program) = compile::program("life/out_of_memory.c", &[]) else { return };
    let least = (limit / MIB / 2).to_string();
    let mut command = preloaded(&program, &[&least, &least, &least]);
    command::limit_address_space(&mut command, limit);
    command::run(&mut command, Duration::from_secs(120)).expect_success();
}

#[test]
fn memory_runs_out_at_200_mb() {
    run_out(200 * MIB);
}

#[test]
fn memory_runs_out_at_1_gb() {
    run_out(1024 * MIB);
}

const SCRIPT: &str = "rows = [{'k%d' % i: 'v' * (i % 100), 'n': i} for i in range(30000)]\n\
    import json; text = json.dumps(rows); assert json.loads(text) == rows; print(len(text))\n\
    try:\n    x = bytearray(3 << 30)\nexcept MemoryError:\n    print('MemoryError')\n\
    x = bytearray(20 << 20); print(len(x), sum(x[::4096]))\n";

#[test]
fn python_in_200_mb_and_in_1_gb() {
    let Some(python) = programs::need("python3") else { return };
    let mut ask = std::process::Command::new(python);
    ask.args(["-c", "import sys; print(sys.executable)"]);
    let real = command::run(&mut ask, Duration::from_secs(20)).out().trim().to_owned();
    for limit in [200 * MIB, 1024 * MIB] {
        let case =
            Case::new(&real).args(["-S", "-c", SCRIPT]).env("PYTHONMALLOC", "malloc").address_space(limit);
        let _ = case.compare();
    }
}

#[test]
fn a_full_map_count() {
    let Some(program) = compile::program("life/full_map_count.c", &[]) else { return };
    let finished = command::run(&mut preloaded(&program, &[]), Duration::from_secs(60));
    if finished.status.code() == Some(77) {
        programs::skip("this machine allows more mappings than the test can make (vm.max_map_count)");
        return;
    }
    finished.expect_success();
}

#[test]
fn stacks_of_16_kib() {
    let _ = passes("life/small_stacks.c", &[]);
}

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
fn a_full_map_count_in_every_mode() {
    let Some(program) = compile::program("life/full_map_count.c", &[]) else { return };
    for mode in ["default", "hardened", "debug", "sampled"] {
        let mut command = preloaded(&program, &[]);
        let finished = command::run(command.env("CAIRN_MODE", mode), Duration::from_secs(60));
        if finished.status.code() == Some(77) {
            programs::skip("this machine allows more mappings than the test can make (vm.max_map_count)");
            return;
        }
        finished.expect_success();
    }
}

/// What a program of one number prints under a limit on address space; 0 for no limit. On the library unless `plain`.
fn number(source: &str, args: &[&str], limit: u64, plain: bool) -> Option<f64> {
    let program = compile::program(source, &[])?;
    let mut command = preloaded(&program, args);
    if plain {
        command.env_remove("LD_PRELOAD").env_remove("EXPECTED_MALLOC");
    }
    if limit > 0 {
        command::limit_address_space(&mut command, limit);
    }
    let finished = command::run(&mut command, Duration::from_secs(60));
    Some(finished.expect_success().out().trim().parse().expect("a number"))
}

#[test]
fn large_requests_that_fail_cost_nothing() {
    let blocks_after = |tries| number("life/failed_large.c", &[tries], 0, false);
    let (Some(before), Some(after)) = (blocks_after("0"), blocks_after("100")) else { return };
    assert!(before >= 150.0, "{before} blocks of 1 MiB in 200 MB");
    assert!(after >= before * 0.95, "{after} blocks of 1 MiB after 100 failures, {before} without");
}

/// Where address space is limited a block at the end of the heap grows in place, to the limit, as the C library resizes a mapping.
#[test]
fn a_block_grows_as_far_as_with_the_c_library() {
    for limit in [200 * MIB, 1024 * MIB] {
        let reached = |plain| number("life/grow_to_limit.c", &[], limit, plain);
        let (Some(plain), Some(cairn)) = (reached(true), reached(false)) else { return };
        assert!(cairn >= plain * 0.95, "{} MiB: {cairn} bytes, the C library's {plain}", limit / MIB);
    }
}

/// Where address space is limited, and something else stands behind the heap, it goes on in further regions.
#[test]
fn a_heap_of_several_regions_in_every_mode() {
    let Some(program) = compile::program("life/many_regions.c", &["-w"]) else { return };
    for mode in ["default", "hardened", "debug", "sampled"] {
        for limit in [512 * MIB, 1024 * MIB] {
            let mut command = preloaded(&program, &[]);
            command::limit_address_space(command.env("CAIRN_MODE", mode), limit);
            command::run(&mut command, Duration::from_secs(120)).expect_success();
        }
    }
}

#[test]
fn stacks_of_16_kib() {
    let _ = passes("life/small_stacks.c", &[]);
}

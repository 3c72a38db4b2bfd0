//! Sampled mode, with every block drawn, and with few.

use crate::{End, commit, is_told};
use cairn_tests::{command, compile, cprogram};
use std::time::Duration;

/// The block that the fault is about is among the first of the process, so a slot is free.
const ALL: &[(&str, &str)] =
    &[("CAIRN_MODE", "sampled"), ("CAIRN_SAMPLE_RATE", "1"), ("CAIRN_SAMPLE_SLOTS", "4096")];

const ALLOCATED: (&str, &str) = ("allocated", "allocates");
const FREED: (&str, &str) = ("freed", "frees");

#[test]
fn a_drawn_block_is_guarded_as_in_debug_mode() {
    let after = ["cairn: use after free: read of 0x", ", 16 bytes into a block of 48 bytes"];
    is_told("read-after-free", ALL, End::Fault, &after, &[("accessed", "reads"), ALLOCATED, FREED]);
    let over = ["cairn: overflow: write to 0x", ", 0 bytes behind the end of a block of 48 bytes"];
    is_told("overflow", ALL, End::Fault, &over, &[("accessed", "writes"), ALLOCATED]);
    let twice = ["cairn: double free of 0x"];
    is_told("double-free", ALL, End::Refused, &twice, &[("free", "frees"), ALLOCATED, FREED]);
    let Some(finished) = commit("none", ALL) else { return };
    finished.expect_success();
}

/// Of many blocks, all held, the share that the rate says is drawn: seen by the exact size that only guarded blocks have.
#[test]
fn the_rate_is_kept_and_the_slots_bound_it() {
    let Some(program) = compile::program("modes/drawn.c", &[]) else { return };
    let drawn = |rate: &str, slots: &str| -> usize {
        let mut command = cprogram::preloaded(&program, &["200000"]);
        command.env("CAIRN_MODE", "sampled").env("CAIRN_SAMPLE_RATE", rate).env("CAIRN_SAMPLE_SLOTS", slots);
        let finished = command::run(&mut command, Duration::from_secs(60));
        finished.expect_success().out().trim().parse().expect("a number")
    };
    // One in 500 of 200,000, with room for chance: the deviation is some 12.
    let few = drawn("500", "4096");
    assert!((300..=500).contains(&few), "{few} of 400");
    // Three quarters of the slots are for live blocks.
    assert_eq!(drawn("500", "64"), 48.min(few));
}

/// The modes must not differ in what they hand out, only in where.
#[test]
fn few_slots_are_used_again_and_again() {
    let Some(program) = compile::program("modes/drawn.c", &[]) else { return };
    let mut command = cprogram::preloaded(&program, &["20000", "free"]);
    command.env("CAIRN_MODE", "sampled").env("CAIRN_SAMPLE_RATE", "1").env("CAIRN_SAMPLE_SLOTS", "8");
    let finished = command::run(&mut command, Duration::from_secs(60));
    let drawn: usize = finished.expect_success().out().trim().parse().expect("a number");
    assert!(drawn > 10_000, "{drawn} of 20000");
}

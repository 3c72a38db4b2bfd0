//! Claim: a large block that has to move keeps its contents, and the heap stays whole, whatever the kernel answers: it may
//! refuse the move, refuse it after it has unmapped the destination, or let somebody else have the hole that is left.

use cairn_tests::cprogram::{passes, preloaded};
use cairn_tests::{command, compile, library};
use std::env::join_paths;
use std::time::Duration;

/// Runs the moves with the kernel's answers spoilt (see `c/life/lib_moves.c`).
fn spoilt(settings: &[(&str, &str)]) {
    let Some(between) = compile::shared("life/lib_moves.c", &[]) else { return };
    let program = compile::program("life/realloc_moves.c", &[]).expect("a compiler is there");
    let mut command = preloaded(&program, &[]);
    let preload = join_paths([library::shared_object(), &between]).expect("paths without a colon");
    command.env("LD_PRELOAD", preload).envs(settings.iter().copied());
    command::run(&mut command, Duration::from_secs(60)).expect_success();
}

#[test]
fn moves_succeed() {
    let _ = passes("life/realloc_moves.c", &[]);
}

#[test]
fn blocks_of_several_mappings() {
    let _ = passes("life/realloc_moves.c", &["patches"]);
}

#[test]
fn moves_fail_with_the_destination_gone() {
    spoilt(&[("MOVES_TORN", "1")]);
    spoilt(&[("MOVES_TORN", "3")]);
}

#[test]
fn moves_fail_with_nothing_changed() {
    spoilt(&[("MOVES_REFUSED", "1")]);
    spoilt(&[("MOVES_REFUSED", "3")]);
}

#[test]
fn the_hole_is_taken_by_another_mapping() {
    spoilt(&[("HOLES_TAKEN", "1")]);
    spoilt(&[("HOLES_TAKEN", "3")]);
}

#[test]
fn moves_fail_and_holes_are_taken() {
    spoilt(&[("MOVES_TORN", "3"), ("HOLES_TAKEN", "2")]);
}

#[test]
fn the_limit_falls_below_what_is_there() {
    let _ = passes("life/move_under_limit.c", &[]);
}

#[test]
fn refused_moves_cost_no_memory() {
    let _ = passes("life/refused_moves.c", &[]);
}

//! Debug mode: every fault, at once.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use cairn_tests::{command, compile, cprogram};

use crate::{End, commit, is_told, parts};

const DEBUG: &[(&str, &str)] = &[("CAIRN_MODE", "debug")];
const BEFORE: &[(&str, &str)] = &[("CAIRN_MODE", "debug"), ("CAIRN_GUARD", "before")];

const ALLOCATED: (&str, &str) = ("allocated", "allocates");
const FREED: (&str, &str) = ("freed", "frees");

#[test]
fn a_program_without_a_fault_says_nothing() {
    for environment in [DEBUG, BEFORE] {
        let Some(finished) = commit("none", environment) else { return };
        finished.expect_success();
        assert_eq!(finished.err(), "");
    }
}

#[test]
fn a_use_after_free_stops_at_the_instruction() {
    let read = ["cairn: use after free: read of 0x", ", 16 bytes into a block of 48 bytes that was freed"];
    is_told("read-after-free", DEBUG, End::Fault, &read, &[("accessed", "reads"), ALLOCATED, FREED]);
    let write = ["cairn: use after free: write to 0x", ", 47 bytes into a block of 48 bytes"];
    is_told("write-after-free", DEBUG, End::Fault, &write, &[("accessed", "writes"), ALLOCATED, FREED]);
    let large = ["use after free: read of", ", 3145728 bytes into a block of 5242880 bytes"];
    is_told("large-use-after-free", DEBUG, End::Fault, &large, &[("accessed", "reads"), ALLOCATED, FREED]);
    let stale = ["use after free: write to", ", 0 bytes into a block of 48 bytes"];
    is_told(
        "stale-after-realloc",
        DEBUG,
        End::Fault,
        &stale,
        &[("accessed", "writes"), ALLOCATED, ("freed", "main")],
    );
}

#[test]
fn the_thread_that_freed_is_told() {
    let words = ["use after free: read of"];
    is_told("freed-by-thread", DEBUG, End::Fault, &words, &[("accessed", "reads"), ALLOCATED, FREED]);
    let Some(finished) = commit("freed-by-thread", DEBUG) else { return };
    let report = finished.err();
    let heads: Vec<_> = parts(&report).iter().map(|part| part.head.to_owned()).collect();
    assert_eq!(
        heads[1].replace("accessed", ""),
        heads[2].replace("allocated", ""),
        "the same thread: {report}"
    );
    assert_ne!(heads[2].replace("allocated", ""), heads[3].replace("freed", ""), "another one: {report}");
}

#[test]
fn an_overflow_stops_at_the_instruction() {
    let small = ["cairn: overflow: write to 0x", ", 0 bytes behind the end of a block of 48 bytes"];
    is_told("overflow", DEBUG, End::Fault, &small, &[("accessed", "writes"), ALLOCATED]);
    let large = ["overflow: write to", ", 0 bytes behind the end of a block of 5242880 bytes"];
    is_told("large-overflow", DEBUG, End::Fault, &large, &[("accessed", "writes"), ALLOCATED]);
    let empty = ["overflow: write to", ", 0 bytes behind the end of a block of 0 bytes"];
    is_told("empty", DEBUG, End::Fault, &empty, &[("accessed", "writes"), ALLOCATED]);
    // Five thousand bytes on there is no other block yet.
    let far = ["overflow: read of", ", 4952 bytes behind the end of a block of 48 bytes"];
    is_told("far-overflow", DEBUG, End::Fault, &far, &[("accessed", "reads"), ALLOCATED]);
}

#[test]
fn what_the_alignment_hides_is_found_by_free() {
    let behind = [
        "cairn: overflow, found by free: something wrote to",
        ", 0 bytes behind the end of a block of 41 bytes",
    ];
    is_told("overflow-of-odd", DEBUG, End::Refused, &behind, &[("free", "frees"), ALLOCATED]);
    let before = ["found by free", ", 1 bytes before the begin of a block of 48 bytes"];
    is_told("underflow", DEBUG, End::Refused, &before, &[("free", "frees"), ALLOCATED]);
}

#[test]
fn a_guard_before_the_block_stops_an_underflow() {
    let words = ["cairn: underflow: write to", ", 1 bytes before the begin of a block of 48 bytes"];
    is_told("underflow", BEFORE, End::Fault, &words, &[("accessed", "writes"), ALLOCATED]);
}

#[test]
fn wrong_frees_are_refused_with_both_stacks() {
    let twice = ["cairn: double free of 0x", "(block of 48 bytes; thread "];
    for fault in ["double-free", "double-free-later"] {
        is_told(fault, DEBUG, End::Refused, &twice, &[("free", "frees"), ALLOCATED, FREED]);
    }
    let inside = ["cairn: free of an address inside a block: 0x", ", 16 bytes into a block of 48 bytes"];
    is_told("interior-free", DEBUG, End::Refused, &inside, &[("free", "frees"), ALLOCATED]);
    // 47 and 48 bytes are one to the default mode.
    let wrong =
        ["cairn: free of 0x", " with a wrong size: it is a block of 48 bytes, freed as one of 47 bytes"];
    is_told("wrong-size", DEBUG, End::Refused, &wrong, &[("free", "frees_sized"), ALLOCATED]);
    let realloc = ["cairn: realloc of freed memory at 0x", "block of 48 bytes"];
    is_told("realloc-of-freed", DEBUG, End::Refused, &realloc, &[("realloc", "main"), ALLOCATED, FREED]);
    let size = ["cairn: malloc_usable_size of freed memory at 0x"];
    is_told(
        "usable-size-of-freed",
        DEBUG,
        End::Refused,
        &size,
        &[("malloc_usable_size", "main"), ALLOCATED, FREED],
    );
}

#[test]
fn a_fault_elsewhere_is_not_ours() {
    let Some(finished) = commit("null", DEBUG) else { return };
    assert_eq!(finished.status.signal(), Some(libc::SIGSEGV));
    assert_eq!(finished.err(), "");
}

#[test]
fn a_thread_that_reports_or_waits_is_not_cancelled() {
    let Some(program) = compile::program("modes/cancelled.c", &["-rdynamic"]) else { return };
    for how in ["deferred", "asynchronous"] {
        let mut run = cprogram::preloaded(&program, &[how]);
        let finished = command::run(run.envs(DEBUG.iter().copied()), Duration::from_secs(30));
        let report = finished.err();
        assert_eq!(finished.status.signal(), Some(libc::SIGSEGV), "{how}: {}\n{report}", finished.status);
        let parts = parts(&report);
        let heads: Vec<_> = parts.iter().map(|part| part.head.trim_start()).collect();
        let begins = ["cairn: use after free: read of 0x", "accessed by", "allocated by", "freed by"];
        assert!(
            heads.len() == begins.len()
                && heads.iter().zip(begins).all(|(head, begin)| head.starts_with(begin)),
            "{how}: {report}"
        );
        assert!(parts.last().is_some_and(|last| last.frames.iter().any(|frame| frame.contains(" main+0x"))));
    }
}

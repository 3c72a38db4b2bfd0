//! A kernel that has no guards in its page tables (before Linux 6.13): guards are mappings then, and every mode finds what it finds.

use std::path::Path;
use std::time::Duration;

use cairn_tests::refusal::{self, Begin, Outcome, Plan};
use cairn_tests::{compile, cprogram, programs};

/// Runs a program in a mode as if the kernel knew no guards; None, and said, if this machine can't do that.
#[track_caller]
fn run(program: &Path, args: &[&str], mode: &str) -> Option<Outcome> {
    if !cfg!(target_arch = "x86_64") {
        programs::skip("system calls are refused by writing registers, which is done for x86-64 only");
        return None;
    }
    let mut command = cprogram::preloaded(program, args);
    command.env("CAIRN_MODE", mode).env("CAIRN_SAMPLE_RATE", "1");
    let outcome = refusal::run(&mut command, Plan::Guards, Begin::AtOnce, Duration::from_secs(60));
    let Some(outcome) = outcome else {
        programs::skip("this machine forbids ptrace");
        return None;
    };
    assert!(!outcome.traced.hung, "{mode} {args:?}: {}", outcome.said);
    assert!(outcome.refused.contains_key("madvise"), "{mode} {args:?}: no guard was asked for");
    Some(outcome)
}

/// The fault ends the process by this signal, and the message has these words.
#[track_caller]
fn is_found(source: &str, fault: &str, mode: &str, signal: i32, words: &str) {
    let Some(program) = compile::program(source, &["-rdynamic"]) else { return };
    let Some(outcome) = run(&program, &[fault], mode) else { return };
    let (status, said) = (outcome.traced.status, &outcome.said);
    assert!(
        libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == signal,
        "{mode} {fault}: {status:#x} {said}"
    );
    assert!(said.contains(words), "{mode} {fault}: no {words:?} in {said:?}");
}

#[test]
fn programs_run() {
    let programs = [
        ("life/refused_calls.c", &["1", "3", "strict"][..]),
        ("abi/usable_size.c", &[]),
        ("abi/calloc_zero.c", &[]),
    ];
    for (source, args) in programs {
        let Some(program) = compile::program(source, &[]) else { return };
        for mode in ["hardened", "debug", "sampled"] {
            let Some(outcome) = run(&program, args, mode) else { return };
            assert!(outcome.succeeded(), "{source}, {mode}: {}", outcome.said);
        }
    }
}

#[test]
fn faults_stop_at_the_instruction() {
    for mode in ["debug", "sampled"] {
        let found = |fault, words| is_found("modes/fault.c", fault, mode, libc::SIGSEGV, words);
        found("overflow", "cairn: overflow: write to 0x");
        found("read-after-free", "cairn: use after free: read of 0x");
        found("write-after-free", "cairn: use after free: write to 0x");
    }
    for fault in [
        "overflow-large-1",
        "underflow-large-page",
        "run-away",
        "write-after-free-large",
        "read-after-free-large",
    ] {
        is_found("heap_faults.c", fault, "hardened", libc::SIGSEGV, "");
    }
}

#[test]
fn faults_are_refused() {
    for mode in ["debug", "sampled"] {
        is_found("modes/fault.c", "double-free", mode, libc::SIGABRT, "cairn: double free of 0x");
        is_found(
            "modes/fault.c",
            "interior-free",
            mode,
            libc::SIGABRT,
            "cairn: free of an address inside a block: 0x",
        );
    }
    is_found("heap_faults.c", "double-large", "hardened", libc::SIGABRT, "cairn: double free of 0x");
    is_found("heap_faults.c", "overflow-1", "hardened", libc::SIGABRT, "cairn: overflow of 0x");
    is_found(
        "heap_faults.c",
        "write-after-free",
        "hardened",
        libc::SIGABRT,
        "cairn: write after free into 0x",
    );
}

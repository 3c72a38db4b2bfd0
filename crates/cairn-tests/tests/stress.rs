//! Claim: threads that allocate, pass on, resize and free at random never see a byte changed that isn't theirs.
//!
//! A few seconds each; `cargo run --release -p cairn-tests --bin soak` goes on for as long as one likes.

use cairn_tests::cprogram::passes;

fn stress(pattern: &str) {
    if let Some(finished) = passes("stress/stress.c", &[pattern, "3", "1"]) {
        print!("{}", finished.out());
    }
}

#[test]
fn blocks_are_passed_at_random() {
    stress("pass");
}

#[test]
fn producers_and_consumers() {
    stress("pipeline");
}

#[test]
fn threads_come_and_go() {
    stress("churn");
}

#[test]
fn realloc_chains() {
    stress("realloc");
}

#[test]
fn every_alignment() {
    stress("align");
}

#[test]
fn structures_are_built_and_dropped() {
    stress("bulk");
}

fn audits(arguments: &[&str]) {
    if let Some(finished) = passes("stress/audit.c", arguments) {
        print!("{}", finished.out());
    }
}

/// Thousands of audits among threads that allocate, are born, end and fork: none may find anything.
#[test]
fn audits_never_cry_wolf() {
    audits(&["4"]);
}

/// The same with large blocks that are made smaller and larger: old marks of free blocks come back with bytes that are copied.
#[test]
fn old_bytes_that_come_back_cry_no_wolf() {
    audits(&["4", "large"]);
}

//! The model's runs once more where every free page goes back to the kernel at the next opportunity: what is known of pages
//! (written, never touched, given back) changes all the time, and `calloc` relies on it.
//!
//! A binary of its own, because the setting holds for the process.

mod shadow;

use cairn_alloc::{engine, settings};
use shadow::{run_alone, run_threads, steps};

fn at_once() {
    assert!(settings::DECAY_MS.set(0));
}

#[test]
fn random_operations_by_one_thread() {
    at_once();
    run_alone(11..=13, steps(12_000));
    assert!(engine::statistics().purged_bytes > 10 << 20, "little was given back, so little was tested");
}

#[test]
fn random_operations_by_threads_that_pass_blocks_on_and_end() {
    at_once();
    run_threads(6, steps(3_000));
}

//! Every workload runs here, small, and reports what it did.

use super::*;

/// Runs the workload, which must say its own name and take some time.
#[track_caller]
pub(crate) fn outcome(line: &str) -> Outcome {
    let words = std::iter::once("cairn-workload").chain(line.split(' '));
    let outcome = Options::try_parse_from(words).expect("the command line is valid").outcome();
    assert_eq!(outcome.workload, line.split(' ').next().unwrap());
    assert!(outcome.elapsed_ns > 0, "{line}");
    outcome
}

/// Runs the workload, which must report this many operations.
#[track_caller]
pub(crate) fn check(line: &str, operations: u64) -> Outcome {
    let outcome = outcome(line);
    assert_eq!(outcome.operations, operations, "{line}");
    let quotient = outcome.elapsed_ns as f64 / operations as f64;
    assert!((outcome.ns_per_operation - quotient).abs() < 1e-6, "{line}");
    outcome
}

#[test]
fn single_thread_patterns() {
    check("pairs --ops 1000 --size 16", 1_000);
    check("pairs-rare --ops 800", 800);
    check("ordered --ops 2000", 2_000);
    check("random --ops 1000 --live 500", 1_000);
    check("tree --levels 8 --rounds 2", 2 * 255);
    check("mix --items 200 --rounds 2", 400);
}

#[test]
fn many_threads() {
    check("producer-consumer --pairs 2 --ops 2560", 2_560);
    check("larson --threads 3 --live 50 --ops 100 --generations 4", 1_200);
    check("chains --chains 2 --threads 3 --live 10 --rounds 2", 120);
    check("threads-hot --threads 2 --ops 1000", 2_000);
}

#[test]
fn large_blocks() {
    check("large --ops 20 --live 4 --largest 200000", 20);
    check("realloc --total 1048576 --rounds 1", 256);
    check("realloc --total 1048576 --vectors 16 --rounds 2", 512);
    check("calloc-sparse --ops 20 --largest-mib 3", 20);
}

#[test]
fn scale_changes_the_number_of_operations() {
    check("pairs --ops 1000 --scale 0.1", 100);
    check("tree --levels 4 --rounds 10 --scale 0.01", 15);
}

#[test]
fn phase_reports_memory_at_each_point() {
    let outcome = outcome("phase --live-mb 2");
    let live: Vec<u64> = outcome.points.iter().map(|point| point.live_kib).collect();
    assert_eq!(live.len(), 8);
    for filled in [live[0], live[2], live[4]] {
        assert!((1_950..2_000).contains(&filled), "{live:?}");
    }
    for thinned in [live[1], live[3], live[5]] {
        assert!(thinned < filled_share(live[0], 15), "{live:?}");
    }
    assert_eq!(live[6..], [0, 0]);
    assert!(outcome.points.iter().all(|point| point.resident_kib > 0));
}

fn filled_share(filled: u64, percent: u64) -> u64 {
    filled * percent / 100
}

#[test]
fn startup_runs_processes() {
    check("startup --ops 3", 3);
}

#[test]
fn outcome_survives_json() {
    let outcome = outcome("phase --live-mb 1");
    let text = serde_json::to_string(&outcome).unwrap();
    assert!(!text.contains('\n'));
    let back: Outcome = serde_json::from_str(&text).unwrap();
    assert_eq!(back.points.len(), outcome.points.len());
    assert_eq!(back.operations, outcome.operations);
}

#[test]
fn a_scale_that_makes_no_sense_is_refused() {
    for scale in ["0", "-1", "nan", "inf", "fast"] {
        let line = ["cairn-workload".to_owned(), "pairs".to_owned(), format!("--scale={scale}")];
        assert!(Options::try_parse_from(line).is_err(), "{scale}");
    }
}

//! The patterns of one thread that look at their results or at memory, small.

use clap::Parser;

use crate::Options;
use crate::tests::outcome;

#[test]
fn numbers_are_factored() {
    for number in ["277052533333", "42842938051569091013"] {
        let one = outcome(&format!("factor --number {number} --primes 30 --rounds 1"));
        assert!(one.operations > 10, "{one:?}");
        let three = outcome(&format!("factor --number {number} --primes 30 --rounds 3"));
        assert_eq!(three.operations, 3 * one.operations);
    }
}

#[test]
fn functions_are_minimised() {
    let narrow = outcome("cover --variables 8 --cubes 12 --functions 20");
    let wide = outcome("cover --variables 40 --cubes 8 --functions 3");
    assert!(narrow.operations > 20 * 12 && wide.operations > 3 * 8);
    assert_eq!(narrow.operations, outcome("cover --variables 8 --cubes 12 --functions 20").operations);
}

#[test]
fn aligned_blocks() {
    assert_eq!(outcome("aligned --live 100 --ops 2000").operations, 2_000);
    assert_eq!(outcome("aligned --live 10 --most-aligned 16 --ops 50").operations, 50);
    let refused = ["cairn-workload", "aligned", "--most-aligned", "48"];
    assert!(Options::try_parse_from(refused).is_err());
}

#[test]
fn after_free_tells_what_lives_at_each_point() {
    for kind in ["", " --large"] {
        let outcome = outcome(&format!("after-free --live-mb 8 --seconds 0.1{kind}"));
        let live: Vec<u64> = outcome.points.iter().map(|point| point.live_kib).collect();
        assert_eq!(live.len(), 5);
        assert!((7_800..9_000).contains(&live[0]), "{live:?}");
        assert!(live[1] < live[0] / 10 && live[1] > live[0] / 60, "{live:?}");
        assert_eq!(live[2..], [live[1]; 3]);
        assert!(outcome.points.iter().all(|point| point.resident_kib > point.live_kib));
        assert_eq!(outcome.points[4].at, "0.1 s later");
    }
}

#[test]
fn growing_vectors_report_their_peak() {
    for vectors in [1, 8] {
        let outcome = outcome(&format!("realloc --vectors {vectors} --total 8388608 --rounds 2"));
        assert_eq!(outcome.operations, 2 * 2_048);
        let [grown, highest] = &outcome.points[..] else { panic!("{:?}", outcome.points) };
        assert_eq!((grown.live_kib, highest.live_kib), (8_192, 8_192));
        assert!(grown.resident_kib >= 8_192, "{grown:?}");
        // The kernel counts what is resident in batches of some dozen pages for each thread.
        assert!(highest.resident_kib + 1_024 >= grown.resident_kib, "{highest:?} {grown:?}");
    }
}

#[test]
fn sparse_blocks_report_what_was_touched() {
    let outcome = outcome("calloc-sparse --ops 30 --live 2 --largest-mib 4");
    assert_eq!(outcome.operations, 30);
    let [before, most] = &outcome.points[..] else { panic!("{:?}", outcome.points) };
    assert_eq!(before.live_kib, 0);
    // One page for each MiB of two blocks of 1 to 4 MiB, or one such block at the start.
    assert!(most.live_kib.is_multiple_of(4) && (4..=32).contains(&most.live_kib), "{most:?}");
    assert!(most.resident_kib > most.live_kib);
}

//! The Rust programs, small, on this program's own allocator.

use clap::Parser;

use crate::Options;
use crate::tests::outcome;

#[test]
fn boxes_are_built_and_replaced() {
    let one = outcome("boxes --items 2000 --rounds 1");
    // Six kinds, and somewhat more than a third of each is replaced.
    assert!((12_000..24_000).contains(&one.operations), "{one:?}");
    assert_eq!(one.points.len(), 1);
    let three = outcome("boxes --items 2000 --rounds 3");
    assert_eq!((three.operations, three.points.len()), (3 * one.operations, 2));
    // 24 + 40 + 56 + 72 bytes, four pointers, a node of 40 and a link of 24.
    assert!(three.points.iter().all(|point| point.live_kib == 2_000 * 288 / 1_024));
    outcome("boxes --items 1 --rounds 1");
}

#[test]
fn strings_come_and_go() {
    assert_eq!(outcome("strings --live 20 --words 30 --documents 200").operations, 6_000);
    assert_eq!(outcome("strings --live 500 --words 5 --documents 40").operations, 200);
}

#[test]
fn every_request_is_answered() {
    assert_eq!(outcome("channels --threads 2 --batch 8 --ops 800").operations, 800);
    assert_eq!(outcome("channels --threads 6 --batch 5 --ops 300").operations, 300);
    let refused = ["cairn-workload", "channels", "--threads", "1"];
    assert!(Options::try_parse_from(refused).is_err());
}

#[test]
fn documents_are_parsed_and_kept() {
    assert_eq!(outcome("json --live 4 --ops 200").operations, 200);
    assert_eq!(outcome("json --threads 3 --live 2 --ops 300").operations, 300);
}

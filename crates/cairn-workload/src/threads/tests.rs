//! Every workload of several threads runs here, small: it counts what it did, and checks its own objects while it runs.

use crate::tests::check;

#[test]
fn all_to_all() {
    check("xmalloc --threads 2 --batch 10 --ops 1000", 1_000);
    // Three threads are one producer and two consumers.
    check("xmalloc --threads 3 --batch 16 --ops 320 --largest 500", 320);
    check("xmalloc --threads 8 --batch 16 --ops 6400", 6_400);
}

#[test]
fn false_sharing() {
    check("cache-thrash --threads 3 --ops 10 --writes 1000", 30);
    check("cache-scratch --threads 3 --ops 10 --writes 1000 --size 3", 30);
    check("cache-scratch --threads 1 --ops 1", 1);
}

#[test]
fn random_lifetimes() {
    let operations = |line| {
        let words = ["cairn-workload", "mstress"].into_iter().chain(str::split(line, ' '));
        <crate::Options as clap::Parser>::try_parse_from(words).unwrap().outcome().operations
    };
    let some = operations("--threads 4 --lives 5 --ops 1600");
    assert!((20 * 100..20 * 1_600).contains(&some), "{some}");
    assert_eq!(
        some,
        operations("--threads 4 --lives 5 --ops 1600"),
        "lifetimes must not depend on the schedule"
    );
    assert_ne!(some, operations("--threads 4 --lives 6 --ops 1600"));
}

#[test]
fn a_share_is_freed_by_a_neighbour() {
    // 4 threads with 6 rounds of 10 replacements and 3 batches of 10 each.
    check("rptest --threads 4 --rounds 24 --ops 10 --live 50", 4 * (60 + 30));
    check("rptest --threads 1 --rounds 40 --ops 10 --live 5", 400 + 200);
    check("sh8bench --threads 3 --rounds 3 --bursts 2 --blocks 50", 3 * 15 * 2 * 50);
    check("sh8bench --threads 1 --rounds 1 --bursts 1 --blocks 7", 15 * 7);
}

#[test]
fn working_sets_and_bursts() {
    check("alloc-test --threads 3 --ops 3000 --places 300", 3_000);
    check("alloc-test --threads 1 --ops 10000 --places 10 --largest 100000", 10_000);
    check("sh6bench --rounds 2 --bursts 3 --blocks 50", 2 * 15 * 3 * 50);
}

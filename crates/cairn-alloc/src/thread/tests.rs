//! Claims about the pacing of bins: while the heap grows idle ones are closed sooner, but not at once; and capacity that was refused is not
//! asked for again before there is a reason, or before some misses.

use std::vec::Vec;

use super::capacity::{LUMP, THREAD_BYTES_MIN};
use super::*;
use crate::audit::tests::{allocate, free, in_a_process_of_its_own};
use crate::class;

/// Has the bin for a size filled, for the first time, and tells how many looks find it idle until it is closed; `between` comes
/// before each.
fn looks_until_closed(size: usize, mut between: impl FnMut()) -> usize {
    let class = class::of_size(size);
    let blocks: Vec<_> = (0..40).map(|_| allocate(size)).collect();
    blocks.into_iter().for_each(free);
    let heap = current().expect("a heap");
    let capacity = || heap.bins[class].capacity(&heap.cold[class]);
    assert!(capacity() > 5);
    // The first look finds the bin used.
    heap.close_idle();
    let closed = (1..100).find(|_| {
        between();
        heap.close_idle();
        capacity() == 0
    });
    closed.expect("an idle bin is closed some time")
}

fn growths() {
    let usual = looks_until_closed(100, || ());
    let growing = looks_until_closed(200, || {
        let before = pages::growths();
        allocate(3 << 20);
        assert_ne!(pages::growths(), before);
    });
    assert!(growing > 2, "closed after {growing} looks while the heap grew");
    assert!(usual >= 3 * growing, "closed after {usual} looks, and after {growing} while the heap grew");
    // What was free already serves.
    free(allocate(6 << 20));
    let growths = pages::growths();
    let turning = looks_until_closed(300, || free(allocate(4 << 20)));
    assert_eq!(pages::growths(), growths);
    assert_eq!(
        turning, growing,
        "looks after which a bin was closed while spans were used for something else"
    );
}

#[test]
fn growth_closes_idle_bins_sooner_but_not_at_once() {
    in_a_process_of_its_own("thread::tests::growth_closes_idle_bins_sooner_but_not_at_once", growths);
}

/// The capacity of the bin for a size, after it asked for more.
fn ask(heap: &Heap, size: usize) -> usize {
    heap.adapt(class::of_size(size), Miss::Full)
}

/// The same while all bins together have as much as they may.
fn ask_in_a_crowd(heap: &Heap, size: usize) -> usize {
    const MUCH: usize = 1 << 40;
    CAPACITY_BYTES.fetch_add(MUCH, Relaxed);
    let capacity = ask(heap, size);
    CAPACITY_BYTES.fetch_sub(MUCH, Relaxed);
    capacity
}

/// A bin was refused what it asked for, and is so once more although there is room now.
fn refused(heap: &Heap, size: usize) -> usize {
    let capacity = ask_in_a_crowd(heap, size);
    assert_eq!(ask(heap, size), capacity, "what was refused is asked for at the next miss");
    capacity
}

fn refusals() {
    const LARGE: usize = 8000;
    let heap = current().expect("a heap");
    // With less than this no thread is refused anything.
    assert!(heap.charge(THREAD_BYTES_MIN));
    let capacity = ask(heap, LARGE);
    assert!(capacity > 0);

    assert_eq!(refused(heap, LARGE), capacity);
    assert!(ask(heap, 16) > 0, "a bin that wants less is refused with it");
    let misses = (1..1000).find(|_| {
        heap.misses.fetch_add(1, Relaxed);
        ask(heap, LARGE) > capacity
    });
    assert!(misses.is_some_and(|misses| misses > 4), "asked for again after {misses:?} misses");

    let capacity = refused(heap, LARGE);
    heap.close(class::of_size(16));
    assert!(ask(heap, LARGE) > capacity, "what a bin gave up is not to be had");

    let capacity = refused(heap, LARGE);
    // As in the child of a fork, which this might be: nobody else has a heap.
    bury_the_dead();
    assert!(ask(heap, LARGE) > capacity, "a refusal among many threads outlives them");
}

fn lumps() {
    let heap = current().expect("a heap");
    // To the begin of a lump.
    let rest = LUMP - heap.capacity_bytes.load(Relaxed) % LUMP;
    assert!(heap.charge(rest));
    let begin = CAPACITY_BYTES.load(Relaxed);
    let counted = || CAPACITY_BYTES.load(Relaxed) - begin;
    assert!((0..LUMP / 16).all(|_| heap.charge(16) && counted() == LUMP));
    assert!(heap.charge(1) && counted() == 2 * LUMP);
    heap.discharge(1);
    assert_eq!(counted(), LUMP);
    heap.discharge(LUMP);
    assert_eq!(counted(), 0);
}

#[test]
fn what_all_bins_may_hold_is_counted_in_lumps() {
    let name = "thread::tests::what_all_bins_may_hold_is_counted_in_lumps";
    in_a_process_of_its_own(name, lumps);
}

#[test]
fn what_was_refused_is_not_asked_for_again_without_a_reason() {
    let name = "thread::tests::what_was_refused_is_not_asked_for_again_without_a_reason";
    in_a_process_of_its_own(name, refusals);
}

//! The stacks with real threads, and what needs none. The models are in crates/cairn-model.

extern crate std;

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::vec::Vec;
use std::{ptr, thread};

use super::{
    BATCH_MAX, BATCHES_MAX, Batch, BatchId, BatchPool, CHUNKS, FIRST_CHUNK, Head, Ordering, TransferStack,
};

/// Memory that is never given back, filled with garbage: the pool must not rely on zeros.
fn leak(bytes: usize) -> *mut u8 {
    Vec::leak(std::vec![0xAAAA_AAAA_AAAA_AAAA_u64; bytes.div_ceil(8)]).as_mut_ptr().cast()
}

/// An address that is never followed.
fn block(number: usize) -> *mut u8 {
    ptr::without_provenance_mut(number)
}

fn take(pool: &BatchPool, blocks: &[*mut u8]) -> BatchId {
    let id = pool.take(leak).unwrap();
    // SAFETY: just taken.
    unsafe { Batch::fill(pool.get(id), blocks) };
    id
}

/// # Safety
/// The caller has the batch.
unsafe fn contents(pool: &BatchPool, id: BatchId) -> Vec<*mut u8> {
    // SAFETY: the caller has the batch, and the slice is copied at once.
    unsafe { Batch::blocks(pool.get(id)) }.to_vec()
}

#[test]
fn the_head_keeps_its_fields_apart() {
    for top in [None, Some(0), Some(1), Some(BATCHES_MAX - 1)] {
        for depth in [0, 1, 255] {
            for version in [0, 1, u32::MAX] {
                let head = Head { top, depth, version };
                assert_eq!(Head::from_word(head.word()), head);
            }
        }
    }
    assert_eq!(Head::from_word(Head::EMPTY), Head { top: None, depth: 0, version: 0 });
    let wrapped = Head { top: None, depth: 0, version: u32::MAX }.pushed(5);
    assert_eq!(wrapped, Head { top: Some(5), depth: 1, version: 0 });
}

#[test]
fn every_number_has_a_place_of_its_own() {
    let mut expected = (0, 0);
    for number in 0..if cfg!(miri) { 1000 } else { BATCHES_MAX } {
        assert_eq!(BatchId(number).place(), expected, "batch {number}");
        expected.1 += 1;
        if expected.1 == (FIRST_CHUNK as usize) << expected.0 {
            expected = (expected.0 + 1, 0);
        }
    }
    assert!(cfg!(miri) || expected == (CHUNKS, 0));
}

#[test]
fn last_in_is_first_out_and_depth_is_limited() {
    let (pool, stack) = (BatchPool::new(), TransferStack::new());
    assert_eq!(stack.pop(&pool), None);
    let ids: Vec<_> = (1..=4).map(|n| take(&pool, &[block(n), block(n + 100)])).collect();
    for &id in &ids[..3] {
        assert_eq!(stack.push(&pool, id, 3), Ok(()));
        stack.check(&pool).unwrap();
    }
    assert_eq!(stack.depth(), 3);
    assert_eq!(stack.push(&pool, ids[3], 3), Err(ids[3]));
    assert_eq!(stack.push(&pool, ids[3], 0), Err(ids[3]));
    for n in (1..=3).rev() {
        let id = stack.pop(&pool).unwrap();
        // SAFETY: just popped.
        assert_eq!(unsafe { contents(&pool, id) }, [block(n), block(n + 100)]);
        stack.check(&pool).unwrap();
        pool.give(id);
    }
    assert_eq!((stack.depth(), stack.pop(&pool)), (0, None));
}

#[test]
fn a_batch_is_filled_and_drained_from_its_end() {
    let pool = BatchPool::new();
    let all: Vec<_> = (1..=BATCH_MAX).map(block).collect();
    let batch = pool.get(take(&pool, &all));
    const LEFT: usize = BATCH_MAX - 24;
    let mut out = [ptr::null_mut(); BATCH_MAX];
    // SAFETY: taken above and never passed on, in all that follows.
    unsafe {
        assert_eq!(Batch::blocks(batch), all);
        assert_eq!(Batch::drain(batch, &mut out[..24]), (24, LEFT));
        assert_eq!(out[..24], all[LEFT..]);
        assert!(out[24].is_null(), "nothing is written behind what was asked for");
        assert_eq!(Batch::blocks(batch), &all[..LEFT]);
        assert_eq!(Batch::drain(batch, &mut []), (0, LEFT));
        assert_eq!(Batch::drain(batch, &mut out), (LEFT, 0));
        assert_eq!(out[..LEFT], all[..LEFT]);
        assert_eq!(Batch::drain(batch, &mut out), (0, 0));
        Batch::fill(batch, &all[..1]);
        assert_eq!(Batch::blocks(batch), &all[..1]);
    }
}

#[test]
fn memory_is_asked_for_late_seldom_and_may_be_missing() {
    let pool = BatchPool::new();
    assert_eq!(pool.take(|_| ptr::null_mut()), None);
    assert_eq!(pool.take(|_| ptr::null_mut()), None, "a refusal must not stay for ever");
    let asked = AtomicUsize::new(0);
    let source = |bytes: usize| {
        assert!(
            bytes >> asked.fetch_add(1, Relaxed) <= 4096,
            "{bytes} bytes are more than a page doubled each time"
        );
        leak(bytes)
    };
    let first: Vec<_> = (0..FIRST_CHUNK).map(|_| pool.take(source).unwrap()).collect();
    assert_eq!(asked.load(Relaxed), 1);
    for &id in &first {
        pool.give(id);
    }
    // What was given back is used again.
    let mut again: Vec<_> = (0..FIRST_CHUNK).map(|_| pool.take(source).unwrap().0).collect();
    assert_eq!(asked.load(Relaxed), 1);
    again.sort_unstable();
    assert_eq!(again, (0..FIRST_CHUNK).collect::<Vec<_>>());
    let mut addresses: Vec<_> = (0..100).map(|_| pool.get(pool.take(source).unwrap()).addr()).collect();
    addresses.extend(first.iter().map(|&id| pool.get(id).addr()));
    addresses.sort_unstable();
    assert!(addresses.windows(2).all(|pair| pair[1] - pair[0] >= size_of::<Batch>()), "batches overlap");
    assert_eq!(asked.load(Relaxed), 6, "3 + 6 + 12 + 24 + 48 batches are ten too few");
}

#[test]
fn a_thread_that_meets_another_one_fetching_memory_goes_its_way() {
    let pool = BatchPool::new();
    let inner = pool.take(|bytes| {
        assert_eq!(pool.take(|_| panic!("two at once")), None);
        leak(bytes)
    });
    assert!(inner.is_some());
    assert!(pool.take(leak).is_some());
}

#[test]
fn the_audit_finds_each_kind_of_harm() {
    let pool = BatchPool::new();
    let verdict = |change: &dyn Fn(&mut Head, *mut Batch)| {
        let stack = TransferStack::new();
        let below = take(&pool, &[block(1)]);
        let top = take(&pool, &[block(2)]);
        stack.push(&pool, below, 9).unwrap();
        stack.push(&pool, top, 9).unwrap();
        stack.check(&pool).unwrap();
        let mut head = Head::from_word(stack.head.load(Relaxed));
        change(&mut head, pool.get(top));
        stack.head.store(head.word(), Relaxed);
        stack.check(&pool).unwrap_err()
    };
    assert_eq!(verdict(&|head, _| head.depth = 1), "is longer than its depth");
    assert_eq!(verdict(&|head, _| head.depth = 3), "is shorter than its depth");
    assert_eq!(verdict(&|head, _| head.top = None), "is shorter than its depth");
    assert_eq!(verdict(&|head, _| head.top = Some(500)), "holds a batch that was never carved");
    // SAFETY: `top` was carved, and this test is the only thread.
    let cut = |_: &mut Head, top: *mut Batch| unsafe { (*top).next.store(0, Relaxed) };
    assert_eq!(verdict(&cut), "is shorter than its depth");
    // SAFETY: as above.
    let swell = |_: &mut Head, top: *mut Batch| unsafe {
        (*top).count.store(BATCH_MAX as u32 + 1, Ordering::Relaxed)
    };
    assert_eq!(verdict(&swell), "holds a batch that says it carries more than it can");
}

/// Threads take blocks from one stack and push them on to another. Each block is a token with a number; a token that two
/// threads hold at once, or that is lost, is found.
#[test]
fn nothing_is_lost_or_doubled_between_threads() {
    const STACKS: usize = 2;
    let (threads, rounds, tokens) = if cfg!(miri) { (3, 40, 12) } else { (4, 100_000, 300) };
    let pool = BatchPool::new();
    let stacks = [const { TransferStack::new() }; STACKS];
    let holder: Vec<AtomicU32> = (0..=tokens).map(|_| AtomicU32::new(0)).collect();
    let grab = |token: *mut u8, me: u32| {
        let was = holder[token.addr()].swap(me, Relaxed);
        assert_eq!(was, 0, "token {} is held twice", token.addr());
    };
    let let_go = |token: *mut u8, me: u32| {
        let was = holder[token.addr()].swap(0, Relaxed);
        assert_eq!(was, me, "token {} was taken away", token.addr());
    };
    let handed_over = AtomicUsize::new(0);
    let left_over: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|me| {
                let (pool, stacks, grab, let_go, handed_over) =
                    (&pool, &stacks, &grab, &let_go, &handed_over);
                scope.spawn(move || {
                    // Each thread begins with a share of the tokens.
                    let mut mine: Vec<_> =
                        (1..=tokens).filter(|token| token % threads == me).map(block).collect();
                    mine.iter().for_each(|&token| grab(token, me as u32 + 1));
                    for round in 0..rounds {
                        let stack = &stacks[(round / 3 + me) % STACKS];
                        if (round + me) % 2 == 0 {
                            let size = mine.len().min(1 + round % BATCH_MAX);
                            let give: Vec<_> = mine.drain(..size).collect();
                            let Some(id) = pool.take(leak) else {
                                mine.extend(give);
                                continue;
                            };
                            give.iter().for_each(|&token| let_go(token, me as u32 + 1));
                            // SAFETY: just taken.
                            unsafe { Batch::fill(pool.get(id), &give) };
                            if let Err(id) = stack.push(pool, id, 5) {
                                pool.give(id);
                                give.iter().for_each(|&token| grab(token, me as u32 + 1));
                                mine.extend(give);
                            }
                        } else if let Some(id) = stack.pop(pool) {
                            // SAFETY: just popped.
                            let got = unsafe { contents(pool, id) };
                            got.iter().for_each(|&token| grab(token, me as u32 + 1));
                            handed_over.fetch_add(1, Relaxed);
                            mine.extend(got);
                            pool.give(id);
                        }
                        if round % 1024 == 0 {
                            thread::yield_now();
                        }
                    }
                    mine.iter().for_each(|&token| let_go(token, me as u32 + 1));
                    // Addresses may not cross threads as pointers.
                    mine.iter().map(|token| token.addr()).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    let mut all = left_over;
    for stack in &stacks {
        stack.check(&pool).unwrap();
        while let Some(id) = stack.pop(&pool) {
            // SAFETY: just popped.
            all.extend(unsafe { contents(&pool, id) }.iter().map(|token| token.addr()));
        }
    }
    all.sort_unstable();
    assert_eq!(all, (1..=tokens).collect::<Vec<_>>());
    assert!(handed_over.load(Relaxed) > 0, "the threads never met");
}

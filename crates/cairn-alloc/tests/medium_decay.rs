//! Claim: the pages of free medium blocks go back in time, in a small heap too, where nothing but medium blocks comes and goes: no bin misses, and the
//! thread never rests. Also where the one that comes and goes lies on a shelf.
//!
//! A test program of its own: the windows of the decay are as short as it says from the start.
#![cfg(target_arch = "x86_64")]

mod process;

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cairn_alloc::{engine, settings};
use process::{blocks, free_all, resident, shadow, written};

const SIZE: usize = 100_000;

/// A lone thread's blocks go to their slabs.
#[test]
fn free_medium_blocks_lose_their_pages() {
    let _alone = shadow::alone();
    lose_their_pages();
}

#[test]
fn free_medium_blocks_lose_their_pages_where_there_are_shelves() {
    let _alone = shadow::alone();
    let (done, is_done) = channel::<()>();
    let (born, is_born) = channel();
    let other = std::thread::spawn(move || {
        let block = written(SIZE);
        born.send(()).expect("a listener");
        is_done.recv().expect_err("no word, only the end");
        free_all([block]);
    });
    is_born.recv().expect("it is there");
    free_all([written(SIZE)]);
    assert!(engine::statistics().threads >= 2);
    lose_their_pages();
    drop(done);
    other.join().expect("it ends");
}

fn lose_their_pages() {
    assert!(settings::DECAY_MS.set(50));
    // Slabs of three: each keeps one.
    let (kept, freed): (Vec<_>, Vec<_>) =
        blocks(180, SIZE).into_iter().enumerate().partition(|(at, _)| at % 3 == 0);
    free_all(freed.iter().map(|(_, block)| *block));
    // One slab that stays, so that no span comes and goes with it.
    let stays = written(40_000);
    let pages = || freed.iter().map(|(_, block)| resident(*block, SIZE)).sum::<usize>();
    let before = pages();
    assert!(before > 1000, "{before} pages");
    let begin = Instant::now();
    while pages() > before / 10 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{} of {before} pages are still there", pages());
        (0..1000).for_each(|_| free_all([written(40_000)]));
    }
    free_all(kept.into_iter().map(|(_, block)| block).chain([stays]));
}

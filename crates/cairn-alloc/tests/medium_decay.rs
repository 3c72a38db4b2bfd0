//! Claim: the pages of free medium blocks go back in time, in a small heap too, where nothing but medium blocks comes and goes: no bin misses, and the
//! thread never rests.
//!
//! A test program of its own: the windows of the decay are as short as it says from the start.
#![cfg(target_arch = "x86_64")]

mod process;

use std::time::{Duration, Instant};

use cairn_alloc::settings;
use process::{blocks, free_all, resident, written};

const SIZE: usize = 100_000;

#[test]
fn free_medium_blocks_lose_their_pages() {
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

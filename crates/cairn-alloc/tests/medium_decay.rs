//! Claim: the pages of free medium blocks go back in time, in a small heap too, where nothing but medium blocks comes and goes: no bin misses, and the
//! thread never rests.
//!
//! A test program of its own: the windows of the decay are as short as it says from the start.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::undocumented_unsafe_blocks)] // the test owns the blocks that it names, and frees each once

use std::time::{Duration, Instant};

use cairn_alloc::{engine, settings};
use cairn_core::os::page_size;

const SIZE: usize = 100_000;

fn allocate(size: usize) -> *mut u8 {
    let block = engine::allocate_slow(size);
    assert!(!block.is_null());
    unsafe { block.write_bytes(0xff, size) };
    block
}

fn free(block: *mut u8) {
    unsafe { engine::free_slow(block) };
}

/// How many whole pages of a block are in memory.
fn resident(block: *mut u8) -> usize {
    let page = page_size();
    let first = block.addr().next_multiple_of(page);
    let mut pages = vec![0u8; (block.addr() + SIZE - first) / page];
    let at = block.with_addr(first);
    assert_eq!(unsafe { libc::mincore(at.cast(), pages.len() * page, pages.as_mut_ptr()) }, 0);
    pages.iter().filter(|page| **page & 1 != 0).count()
}

#[test]
fn free_medium_blocks_lose_their_pages() {
    assert!(settings::DECAY_MS.set(50));
    let blocks: Vec<_> = (0..180).map(|_| allocate(SIZE)).collect();
    // Slabs of three: each keeps one.
    let (kept, freed): (Vec<_>, Vec<_>) = blocks.into_iter().enumerate().partition(|(at, _)| at % 3 == 0);
    freed.iter().for_each(|(_, block)| free(*block));
    // One slab that stays, so that no span comes and goes with it.
    let stays = allocate(40_000);
    let pages = || freed.iter().map(|(_, block)| resident(*block)).sum::<usize>();
    let before = pages();
    assert!(before > 1000, "{before} pages");
    let begin = Instant::now();
    while pages() > before / 10 {
        assert!(begin.elapsed() < Duration::from_secs(20), "{} of {before} pages are still there", pages());
        (0..1000).for_each(|_| free(allocate(40_000)));
    }
    free(stays);
    kept.into_iter().for_each(|(_, block)| free(block));
}

//! What tests share that look at the whole process: blocks that are written to, and which pages the kernel has given.
#![allow(dead_code)] // each test uses a part
#![allow(clippy::undocumented_unsafe_blocks)] // who calls owns the blocks that it names, and frees each once

#[path = "../shadow/mod.rs"]
pub mod shadow;

use std::sync::MutexGuard;
use std::thread;

use cairn_alloc::{engine, settings};
use cairn_core::os::page_size;
pub use shadow::{allocate, free};

pub const MIB: usize = 1 << 20;

/// Alone: no other thread has bins (the harness doesn't wait for the end of a test's thread), nothing decays by time, and what other
/// tests have left has no pages.
pub fn alone() -> MutexGuard<'static, ()> {
    let guard = shadow::alone();
    settings::DECAY_MS.set(settings::DECAY_MS.max);
    while engine::statistics().threads > 0 {
        thread::yield_now();
    }
    engine::trim(0);
    guard
}

pub fn blocks(count: usize, size: usize) -> Vec<*mut u8> {
    (0..count).map(|_| written(size)).collect()
}

pub fn written(size: usize) -> *mut u8 {
    let block = allocate(size);
    assert!(!block.is_null());
    unsafe { block.write_bytes(0xff, size) };
    block
}

pub fn free_all(blocks: impl IntoIterator<Item = *mut u8>) {
    blocks.into_iter().for_each(|block| unsafe { free(block) });
}

/// How many pages of a range are in memory.
pub fn resident(block: *mut u8, bytes: usize) -> usize {
    let page = page_size();
    let first = block.addr().next_multiple_of(page);
    let mut pages = vec![0u8; (block.addr() + bytes - first) / page];
    let at = block.with_addr(first);
    assert_eq!(unsafe { libc::mincore(at.cast(), pages.len() * page, pages.as_mut_ptr()) }, 0);
    pages.iter().filter(|page| **page & 1 == 1).count()
}

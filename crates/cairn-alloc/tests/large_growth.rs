//! Claim: vectors that are filled one after the other, and not to their ends, have no pages there, however often they grew before.
//!
//! A test program of its own: what became of vectors that grew is known for the whole process.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::undocumented_unsafe_blocks)] // the test owns the blocks that it names, and frees each once

mod process;

use cairn_alloc::engine;
use cairn_core::os::page_size;
use process::{MIB, allocate, blocks, free_all, resident};

/// Each is written to until it needs room for the last time. That it grew says nothing about what becomes of that.
#[test]
fn vectors_that_grow_by_themselves_end_without_pages() {
    const FIRST: usize = 100_000;
    // From the first chunk on, huge pages are forbidden elsewhere, where the system would give them to whoever touches a page.
    free_all(blocks(150, FIRST));
    engine::trim(0);
    let sizes = std::iter::successors(Some(FIRST), |size| Some(size + size / 2));
    let sizes: Vec<_> = sizes.take_while(|size| *size <= 9 * MIB).collect();
    let &[.., written, last] = &sizes[..] else { unreachable!("twelve sizes") };
    let all: Vec<_> = (0..40)
        .map(|_| {
            let mut block = allocate(FIRST);
            let mut used = 0;
            for &size in &sizes {
                block = unsafe { engine::reallocate(block, size) };
                if size <= written {
                    unsafe { block.add(used).write_bytes(1, size - used) };
                    used = size;
                }
            }
            block
        })
        .collect();
    let first = written.next_multiple_of(page_size());
    let pages: usize = all.iter().map(|block| resident(block.wrapping_add(first), last - first)).sum();
    let (bytes, added) = (pages * page_size(), all.len() * (last - written));
    assert!(bytes <= added / 32, "{bytes} bytes in memory of {added} that nobody wrote to");
    free_all(all);
}

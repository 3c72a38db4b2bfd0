//! Claim: large blocks stop moving by page-table entries long before the process runs out of mappings.
//!
//! A test program of its own: the moves of a process are counted as long as it lives.

use std::alloc::{GlobalAlloc, Layout};

use cairn_alloc::Cairn;
use cairn_alloc::class::MEDIUM_MAX;

/// A large block, of the least that there are: after the first some thousand moves it is too small.
const SIZE: usize = MEDIUM_MAX + 4096;

/// Has a block moved whose place behind it is taken, and keeps both.
fn moved() {
    let layout = Layout::from_size_align(SIZE, 8).unwrap();
    // SAFETY: the blocks are live and of this layout; they are never freed.
    unsafe {
        let [block, behind] = [(); 2].map(|()| Cairn.alloc(layout));
        assert!(!block.is_null() && !behind.is_null());
        // The kernel joins mappings of which nothing was touched.
        block.write(1);
        behind.write(2);
        let block = Cairn.realloc(block, layout, 2 * SIZE);
        assert_eq!(block.read(), 1);
    }
}

fn mappings() -> usize {
    std::fs::read_to_string("/proc/self/maps").expect("/proc is there").lines().count()
}

#[test]
fn many_moves_leave_mappings_to_the_program() {
    let begin = mappings();
    (0..1000).for_each(|_| moved());
    let early = mappings() - begin;
    assert!(early > 100, "blocks are moved at first, and {early} mappings are not what that leaves");
    (0..9000).for_each(|_| moved());
    let many = mappings();
    (0..1000).for_each(|_| moved());
    let late = mappings().saturating_sub(many);
    assert!(late * 10 < early, "{early} mappings by the first 1000 blocks, still {late} by the last 1000");
}

//! The engine against a shadow model: random operations, by one thread and by several, with contents, overlap, alignment
//! and zeroing checked at each step, and the engine's count of live blocks throughout and at the end.

#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

mod shadow;

use cairn_alloc::engine;
use shadow::{allocate, alone, expect_counted, free, run_alone, run_threads, steps};

#[test]
fn random_operations_by_one_thread() {
    run_alone(1..=3, steps(12_000));
}

#[test]
fn random_operations_by_threads_that_pass_blocks_on_and_end() {
    run_threads(8, steps(3_000));
}

#[test]
fn the_impossible_is_refused_and_nothing_is_lost() {
    let _alone = alone();
    assert!(allocate(usize::MAX).is_null());
    assert!(allocate(isize::MAX as usize + 1).is_null());
    assert!(allocate(isize::MAX as usize).is_null());
    assert!(engine::allocate_aligned(1 << 62, 1).is_null());
    let block = allocate(100_000);
    unsafe {
        block.write_bytes(7, 100_000);
        assert!(engine::reallocate(block, isize::MAX as usize).is_null());
        assert_eq!(*block.add(99_999), 7);
        free(block);
        free(std::ptr::null_mut());
    }
    expect_counted([].iter());
}

#[test]
fn large_blocks_grow_in_place_or_move_with_their_contents() {
    let _alone = alone();
    unsafe {
        let mut size = 40_000;
        let mut block = allocate(size);
        block.write_bytes(3, size);
        let mut places = std::collections::HashSet::new();
        while size < 200 << 20 {
            let new = size + size / 2;
            block = engine::reallocate(block, new);
            places.insert(block);
            assert!(*block == 3 && *block.add(size - 1) == 3);
            block.add(size).write_bytes(3, new - size);
            size = new;
        }
        // Where address space is short, blocks get no room that they perhaps never use.
        let roomy = engine::statistics().reserved_bytes >= 64 << 30;
        assert!(places.len() <= 12 || !roomy, "{} places: room to grow is missing", places.len());
        block = engine::reallocate(block, 50_000);
        assert_eq!(*block.add(49_999), 3);
        free(block);
    }
    expect_counted([].iter());
}

/// Blocks large enough for huge pages: what they hold is kept when they grow, move and shrink, and what they leave behind is not
/// seen by a zeroed block, not even behind the bytes that they were asked for.
#[test]
fn blocks_with_huge_pages_keep_their_contents_and_leave_none() {
    const MIB: usize = 1 << 20;
    let _alone = alone();
    let stamp = |at: usize| (at >> 12) as u8 | 1;
    let mark = |block: *mut u8, from: usize, to: usize| {
        (from.next_multiple_of(4096)..to)
            .step_by(4096)
            .for_each(|at| unsafe { block.add(at).write(stamp(at)) });
    };
    let keeps = |block: *mut u8, to: usize| {
        (0..to).step_by(4096).all(|at| unsafe { block.add(at).read() } == stamp(at))
    };
    for round in 0..3 {
        let mut size = 20 * MIB + 4096 * round;
        let mut block = allocate(size);
        mark(block, 0, size);
        while size < 150 * MIB {
            let new = size + size / 2;
            block = unsafe { engine::reallocate(block, new) };
            assert!(keeps(block, size), "grown to {new} bytes in round {round}");
            mark(block, size, new);
            size = new;
        }
        block = unsafe { engine::reallocate(block, 30 * MIB) };
        assert!(keeps(block, 30 * MIB), "shrunk in round {round}");
        unsafe { free(block) };
        let zeroed = engine::allocate_zeroed(200 * MIB);
        assert!(
            (0..200 * MIB).step_by(4096).all(|at| unsafe { zeroed.add(at).read() } == 0),
            "calloc in round {round}"
        );
        unsafe { free(zeroed) };
    }
    expect_counted([].iter());
}

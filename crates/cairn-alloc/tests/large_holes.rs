//! Claim: a freed large block's pages serve the next block that fits, wherever they begin: that fresh memory for blocks of 2 MiB and
//! more begins at a huge page must not make holes useless.
//!
//! A binary of its own, because it looks at addresses: nobody else may use the engine.

use cairn_alloc::engine;

const MIB: usize = 1 << 20;

fn filled(bytes: usize) -> *mut u8 {
    let block = engine::allocate_slow(bytes);
    assert!(!block.is_null());
    // SAFETY: the block has so many bytes.
    unsafe { block.write_bytes(1, bytes) };
    block
}

fn free(block: *mut u8) {
    // SAFETY: each block of the test is freed once.
    unsafe { engine::free_slow(block) };
}

#[test]
fn a_hole_of_the_very_size_is_used_again() {
    // (No block that would come out of a chunk, the rest of which would join the hole.)
    let keep = [filled(17 * MIB), filled(300_000)];
    let hole = filled(17 * MIB);
    let behind = filled(20 * MIB);
    free(hole);
    let again = filled(17 * MIB);
    assert_eq!(again, hole, "fresh memory, with a hole of the same size at hand");

    // One that does not begin at a huge page: a little of its begin is in use.
    free(again);
    let first = filled(300_000);
    assert_eq!(first, hole);
    let committed = engine::statistics().committed_bytes;
    let second = filled(16 * MIB + 65_536);
    assert!(
        (hole.addr()..behind.addr()).contains(&second.addr()),
        "fresh memory instead of an unaligned hole"
    );
    assert_eq!(engine::statistics().committed_bytes, committed);
    keep.into_iter().chain([first, second, behind]).for_each(free);
}

//! Claim: a wrong free that nothing in the block gives away is named when it reaches the slab, and ends the process.
//!
//! Each fault is committed in a child, this same test program started with the fault's name in its environment.

#![allow(clippy::undocumented_unsafe_blocks)] // each child commits a fault on purpose

mod child;

use std::alloc::GlobalAlloc;

use cairn_alloc::{Cairn, engine};
use child::{each_is_named, is_named, layout};

#[global_allocator]
static HEAP: Cairn = Cairn;

/// A size that nothing else in this program allocates, so that its blocks come from one slab.
const SIZE: usize = 112;

/// What is freed into a bin that is closed is looked up at once; into one that is open, not before it goes to its slab.
unsafe fn opens_the_bin(block: *mut u8) {
    unsafe { Cairn.dealloc(block, layout(SIZE, 8)) };
}

#[test]
fn freed_twice_and_written_to_in_between() {
    let test = "freed_twice_and_written_to_in_between";
    is_named(test, &["double free", "block of 112 bytes"], || unsafe {
        let blocks = [(); 400].map(|()| Cairn.alloc(layout(SIZE, 8)));
        Cairn.dealloc(blocks[300], layout(SIZE, 8));
        engine::trim(0);
        blocks[300].write_bytes(7, SIZE);
        opens_the_bin(blocks[100]);
        Cairn.dealloc(blocks[300], layout(SIZE, 8));
        engine::trim(0);
    });
}

/// The slab is empty after the first one, and goes.
#[test]
fn freed_twice_as_the_only_block_of_its_slab() {
    const LARGER: usize = 5000;
    let test = "freed_twice_as_the_only_block_of_its_slab";
    is_named(test, &["double free", "block of 5120 bytes"], || unsafe {
        let block = Cairn.alloc(layout(LARGER, 8));
        Cairn.dealloc(block, layout(LARGER, 8));
        block.write_bytes(7, LARGER);
        Cairn.dealloc(block, layout(LARGER, 8));
        engine::trim(0);
    });
}

#[test]
fn freed_inside_the_block() {
    is_named("freed_inside_the_block", &["inside a block", "block of 112 bytes"], || unsafe {
        let blocks = [(); 400].map(|()| Cairn.alloc(layout(SIZE, 8)));
        blocks[300].write_bytes(7, SIZE);
        opens_the_bin(blocks[100]);
        Cairn.dealloc(blocks[300].add(16), layout(SIZE, 8));
        engine::trim(0);
    });
}

/// However many blocks the bin got at first, the first one that was never handed out is among these.
#[test]
fn freed_behind_the_last_block() {
    each_is_named("freed_behind_the_last_block", 1..200, &["block of 112 bytes"], |behind| unsafe {
        let [block, other] = [(); 2].map(|()| Cairn.alloc(layout(SIZE, 8)));
        engine::trim(0);
        opens_the_bin(other);
        Cairn.dealloc(block.add(behind * SIZE), layout(SIZE, 8));
        engine::trim(0);
    });
}

//! Claim: the Rust door names a block freed twice at once and a wrong `Layout` at the latest when the bin is flushed, and ends the process.
//!
//! Each fault is committed in a child, this same test program started with the fault's name in its environment.

#![allow(clippy::undocumented_unsafe_blocks)] // each child commits a fault on purpose

mod child;

use std::alloc::GlobalAlloc;

use cairn_alloc::{Cairn, engine};
use child::{each_is_named, is_named, layout};

#[global_allocator]
static HEAP: Cairn = Cairn;

#[test]
fn freed_twice() {
    is_named("freed_twice", &["double free", "24 bytes, class 3"], || unsafe {
        let block = Cairn.alloc(layout(24, 8));
        Cairn.dealloc(block, layout(24, 8));
        Cairn.dealloc(block, layout(24, 8));
        // Named at once, not when the thread ends and its bins go to their slabs.
        std::process::exit(0);
    });
}

#[test]
fn freed_twice_in_the_least_class() {
    is_named("freed_twice_in_the_least_class", &["double free", "8 bytes, class 1"], || unsafe {
        let blocks = [(); 3].map(|()| Cairn.alloc(layout(8, 8)));
        for block in blocks {
            block.cast::<u64>().write(7);
            Cairn.dealloc(block, layout(8, 8));
        }
        Cairn.dealloc(blocks[0], layout(8, 8));
    });
}

#[test]
fn freed_twice_and_the_page_is_gone() {
    is_named("freed_twice_and_the_page_is_gone", &["double free", "block of 40 bytes"], || unsafe {
        let blocks: Vec<_> = (0..20_000).map(|_| Cairn.alloc(layout(40, 8))).collect();
        for (i, block) in blocks.iter().enumerate() {
            if i % 400 != 0 {
                Cairn.dealloc(*block, layout(40, 8));
            }
        }
        engine::trim(0);
        Cairn.dealloc(blocks[10_001], layout(40, 8));
        engine::trim(0);
    });
}

#[test]
fn freed_twice_while_it_waits_in_a_bin_and_its_page_was_gone() {
    let test = "freed_twice_while_it_waits_in_a_bin_and_its_page_was_gone";
    is_named(test, &["double free", "block of 64 bytes"], || unsafe {
        let blocks: Vec<_> = (0..5_000).map(|_| Cairn.alloc(layout(64, 8))).collect();
        let (kept, mut freed): (Vec<_>, Vec<_>) =
            blocks.into_iter().enumerate().partition(|(i, _)| i % 500 == 0);
        freed.sort_by_key(|(_, block)| block.addr());
        for (_, block) in &freed {
            Cairn.dealloc(*block, layout(64, 8));
        }
        engine::trim(0);
        // On until the last one handed out, and the next one, which waits in the bin now, are in a page that was wholly free.
        let page = |block: *mut u8| block.addr() / 4096;
        let mut taken = Vec::new();
        let next = loop {
            let block = Cairn.alloc(layout(64, 8));
            taken.push(block);
            let next = freed.iter().map(|(_, next)| *next).find(|next| next.addr() > block.addr()).unwrap();
            let in_page = freed.iter().filter(|(_, other)| page(*other) == page(next)).count();
            if in_page == 64 && page(block) == page(next) && taken.len() > 4 {
                break next;
            }
        };
        Cairn.dealloc(next, layout(64, 8));
        // Before the thread ends, and its bins go to their slabs.
        drop(kept);
        std::process::exit(0);
    });
}

#[test]
fn freed_as_larger() {
    is_named("freed_as_larger", &["wrong size", "block of 24 bytes", "block of 40 bytes"], || unsafe {
        let block = Cairn.alloc(layout(24, 8));
        Cairn.dealloc(block, layout(40, 8));
        engine::trim(0);
    });
}

#[test]
fn freed_as_large() {
    is_named("freed_as_large", &["wrong size", "block of 24 bytes", "large block"], || unsafe {
        let block = Cairn.alloc(layout(24, 8));
        Cairn.dealloc(block, layout(1 << 20, 8));
    });
}

#[test]
fn a_large_block_freed_as_small() {
    is_named("a_large_block_freed_as_small", &["large block"], || unsafe {
        let block = Cairn.alloc(layout(1 << 20, 8));
        Cairn.dealloc(block, layout(32, 8));
        engine::trim(0);
    });
}

#[test]
fn freed_inside_a_large_block() {
    is_named(
        "freed_inside_a_large_block",
        &["inside a large block", "64 bytes behind its begin"],
        || unsafe {
            let block = Cairn.alloc(layout(1 << 20, 8));
            Cairn.dealloc(block.add(64), layout(1 << 20, 8));
        },
    );
}

/// As C's `free_sized` does it, for a small block and a large one.
#[test]
fn freed_by_a_size_that_it_does_not_have() {
    const GIVEN: [(usize, usize); 5] =
        [(100, 200), (100, 32), (100, 1 << 20), (1 << 20, 100), (1 << 20, 2 << 20)];
    let test = "freed_by_a_size_that_it_does_not_have";
    each_is_named(test, 0..GIVEN.len(), &["wrong size"], |number| unsafe {
        let (size, given) = GIVEN[number];
        let block = engine::allocate_slow(size);
        engine::free_sized_slow(block, given, 1);
        // Named at once.
        std::process::exit(0);
    });
}

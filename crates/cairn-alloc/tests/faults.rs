//! Claim: the Rust door names a block freed twice at once and a wrong `Layout` at the latest when the bin is flushed, and ends the process.
//!
//! Each fault is committed in a child, this same test program started with the fault's name in its environment.

#![allow(clippy::undocumented_unsafe_blocks)] // each child commits a fault on purpose

mod child;

use std::alloc::GlobalAlloc;

use cairn_alloc::statistics::ClassStatistics;
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

/// What the statistics say of the class that serves 70,000 bytes.
fn medium_class() -> ClassStatistics {
    engine::statistics().classes.into_iter().find(|class| class.block_size == 73_728).unwrap()
}

/// Two medium blocks, of which the second one is free: on a shelf, or in its slab.
unsafe fn medium_blocks(on_shelf: bool) -> [*mut u8; 2] {
    let blocks = [(); 2].map(|()| unsafe { Cairn.alloc(layout(70_000, 8)) });
    unsafe { Cairn.dealloc(blocks[1], layout(70_000, 8)) };
    assert_eq!(medium_class().stack_blocks, 1, "the harness has another thread");
    if !on_shelf {
        engine::trim(0);
    }
    blocks
}

/// At once, although no mark is in it: its slab knows that nobody holds it, or is gone.
#[test]
fn a_medium_block_freed_twice() {
    each_is_named("a_medium_block_freed_twice", 0..4, &["double free"], |number| unsafe {
        let blocks = medium_blocks(number < 2);
        if number % 2 == 1 {
            Cairn.dealloc(blocks[0], layout(70_000, 8));
        }
        if number == 3 {
            engine::trim(0);
            assert_eq!(medium_class().slab_bytes, 0);
        }
        Cairn.dealloc(blocks[1], layout(70_000, 8));
        std::process::exit(0);
    });
}

#[test]
fn a_medium_block_resized_after_it_was_freed() {
    let test = "a_medium_block_resized_after_it_was_freed";
    each_is_named(test, 0..2, &["realloc", "freed before", "73728 bytes"], |number| unsafe {
        let blocks = medium_blocks(number == 0);
        engine::reallocate(blocks[1], 90_000);
        std::process::exit(0);
    });
}

#[test]
fn a_medium_block_freed_by_another_layout() {
    const GIVEN: [usize; 2] = [120_000, 1 << 20];
    each_is_named(
        "a_medium_block_freed_by_another_layout",
        0..2,
        &["wrong size", "73728"],
        |number| unsafe {
            let block = Cairn.alloc(layout(70_000, 8));
            Cairn.dealloc(block, layout(GIVEN[number], 8));
            std::process::exit(0);
        },
    );
}

/// One that was made smaller stays where it is, and may be freed by its new size.
#[test]
fn a_medium_block_that_shrank_may_be_freed_as_what_it_is() {
    unsafe {
        let block = engine::allocate_slow(36_864);
        assert_eq!(engine::reallocate(block, 20_000), block);
        engine::free_sized_slow(block, 20_000, 1);
        let (old, new) = (layout(256 << 10, 8), layout(140 << 10, 8));
        let block = Cairn.alloc(old);
        assert_eq!(Cairn.realloc(block, old, new.size()), block);
        Cairn.dealloc(block, new);
    }
}

#[test]
fn freed_inside_a_medium_block() {
    is_named(
        "freed_inside_a_medium_block",
        &["inside a block", "73728 bytes", "4096 bytes into it"],
        || unsafe {
            let block = Cairn.alloc(layout(70_000, 8));
            Cairn.dealloc(block.add(4096), layout(70_000, 8));
            std::process::exit(0);
        },
    );
}

/// As C's `free_sized` does it, for blocks of each kind.
#[test]
fn freed_by_a_size_that_it_does_not_have() {
    const GIVEN: [(usize, usize); 9] = [
        (100, 200),
        (100, 32),
        (100, 1 << 20),
        (1 << 20, 100),
        (1 << 20, 2 << 20),
        (100, 70_000),
        (70_000, 100),
        (70_000, 120_000),
        (70_000, 60_000),
    ];
    let test = "freed_by_a_size_that_it_does_not_have";
    each_is_named(test, 0..GIVEN.len(), &["wrong size"], |number| unsafe {
        let (size, given) = GIVEN[number];
        let block = engine::allocate_slow(size);
        engine::free_sized_slow(block, given, 1);
        // Named at once.
        std::process::exit(0);
    });
}

//! Claim: in debug mode the Rust door names a block freed twice and a wrong `Layout` at once, to the byte, with the stacks.
//!
//! Nothing here has Cairn as its allocator: the thread that commits the fault is then the only one that has used Cairn, and may enter a mode.

#![allow(clippy::undocumented_unsafe_blocks)] // each child commits a fault on purpose

mod child;

use std::alloc::GlobalAlloc;

use cairn_alloc::Cairn;
use cairn_alloc::mode::{self, Mode};
use child::{is_named, layout};

/// The fault is the last thing that the child does: its end has nothing to flush that could find it late.
#[track_caller]
fn is_named_at_once(test: &str, words: &[&str], commit: impl FnOnce()) {
    is_named(test, words, || {
        assert_eq!(mode::enter(Mode::Debug), Ok(()));
        commit();
        std::process::exit(0);
    });
}

#[test]
fn freed_as_one_byte_more() {
    let words = ["free of 0x", "wrong size", "a block of 24 bytes, freed as one of 25 bytes"];
    is_named_at_once("freed_as_one_byte_more", &words, || unsafe {
        Cairn.dealloc(Cairn.alloc(layout(24, 8)), layout(25, 8));
    });
}

#[test]
fn freed_as_smaller() {
    let words = ["wrong size", "a block of 5000 bytes, freed as one of 40 bytes"];
    is_named_at_once("freed_as_smaller", &words, || unsafe {
        Cairn.dealloc(Cairn.alloc(layout(5000, 8)), layout(40, 8));
    });
}

#[test]
fn freed_with_another_alignment() {
    let words = ["wrong size", "a block of 40 bytes, freed as one of 40 bytes, alignment 4096"];
    is_named_at_once("freed_with_another_alignment", &words, || unsafe {
        let blocks = [(); 3].map(|()| Cairn.alloc(layout(40, 8)));
        let block = blocks.into_iter().find(|block| block.addr() % 4096 != 0).expect("an end at a guard");
        Cairn.dealloc(block, layout(40, 4096));
    });
}

#[test]
fn a_large_block_freed_as_small() {
    let words = ["wrong size", "a block of 1048576 bytes, freed as one of 32 bytes"];
    is_named_at_once("a_large_block_freed_as_small", &words, || unsafe {
        Cairn.dealloc(Cairn.alloc(layout(1 << 20, 8)), layout(32, 8));
    });
}

#[test]
fn resized_with_a_wrong_size() {
    let words = ["wrong size", "a block of 24 bytes"];
    is_named_at_once("resized_with_a_wrong_size", &words, || unsafe {
        Cairn.realloc(Cairn.alloc(layout(24, 8)), layout(40, 8), 100);
    });
}

#[test]
fn freed_twice() {
    is_named_at_once("freed_twice", &["double free", "block of 24 bytes"], || unsafe {
        let block = Cairn.alloc(layout(24, 8));
        Cairn.dealloc(block, layout(24, 8));
        Cairn.dealloc(block, layout(24, 8));
    });
}

#[test]
fn right_layouts_are_not_named() {
    // In a thread of its own, but in this process: whoever else runs here only starts children.
    assert_eq!(mode::enter(Mode::Debug), Ok(()));
    for (size, align) in [(0, 1), (1, 1), (24, 8), (40, 64), (5000, 4096), (1 << 20, 16), (3 << 20, 1 << 20)]
    {
        unsafe {
            let block = Cairn.alloc_zeroed(layout(size.max(1), align));
            assert!(!block.is_null() && block.addr().is_multiple_of(align));
            let block = Cairn.realloc(block, layout(size.max(1), align), size + 77);
            assert!(!block.is_null() && block.addr().is_multiple_of(align));
            Cairn.dealloc(block, layout(size + 77, align));
        }
    }
}

//! A binary tree of a million nodes, built, walked and dropped, again and again.
//!
//! Models syntax trees, DOMs, maps: bulk that is built and dropped as a whole. Built recursively and not by
//! inserting random keys, since the search for the place would take most of the time and hide the allocator.
//! Stresses bulk refill and bulk flush, and the order in which recycled blocks come back: where that is
//! scattered, the walk pays for it in cache misses, which is why the walk is in the timed part.

use std::hint::black_box;
use std::ptr::NonNull;
use std::time::Instant;

use clap::Args;

use crate::heap::{Block, Heap};
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Tree {
    /// Levels of the tree: 20 levels are 1,048,575 nodes
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=26))]
    levels: u32,
    /// How often the tree is built and dropped
    #[arg(long, default_value_t = 10)]
    rounds: u64,
}

/// 48 bytes: two children, and a payload of a key and three words.
struct Node {
    left: Option<NonNull<Node>>,
    right: Option<NonNull<Node>>,
    key: u64,
    payload: [u64; 3],
}

const _: () = assert!(size_of::<Node>() == 48);

/// Builds a tree of that many levels, parents before children.
fn build(heap: Heap, levels: u32, key: u64) -> Option<NonNull<Node>> {
    if levels == 0 {
        return None;
    }
    let node: NonNull<Node> = heap.alloc(size_of::<Node>()).address().cast();
    let left = build(heap, levels - 1, 2 * key);
    let right = build(heap, levels - 1, 2 * key + 1);
    // SAFETY: the block is live, has the size of a node, and malloc aligns to 16.
    unsafe { node.write(Node { left, right, key, payload: [key; 3] }) };
    Some(node)
}

/// Adds up the tree, from left to right.
fn walk(tree: Option<NonNull<Node>>) -> u64 {
    let Some(node) = tree else { return 0 };
    // SAFETY: nodes are live and initialised from `build` until `drop_tree`.
    let node = unsafe { node.as_ref() };
    walk(node.left).wrapping_add(node.key ^ node.payload[2]).wrapping_add(walk(node.right))
}

/// Frees the tree, children before their parents, as the destructor of a `Box` tree does.
fn drop_tree(heap: Heap, tree: Option<NonNull<Node>>) {
    let Some(node) = tree else { return };
    // SAFETY: the node is live until it is freed at the end of this function; `tree` was the only way to it.
    unsafe {
        drop_tree(heap, node.as_ref().left);
        drop_tree(heap, node.as_ref().right);
        heap.free(Block::at(node.cast()));
    }
}

impl Workload for Tree {
    fn run(&self, scale: Scale) -> Outcome {
        let heap = Heap::of_this_process();
        let rounds = scale.of(self.rounds);
        let nodes = (1u64 << self.levels) - 1;
        let start = Instant::now();
        for _ in 0..rounds {
            let tree = build(heap, self.levels, 1);
            black_box(walk(tree));
            drop_tree(heap, tree);
        }
        let elapsed = start.elapsed();
        Outcome::new("tree", "one node built, walked and dropped", rounds * nodes, elapsed)
    }
}

//! Threads that serve requests by themselves: for each they build a document of small nodes, keep the last few, and drop the oldest.
//!
//! Models the workers of a server, a compiler's threads, parallel tests: nothing is handed from thread to thread, and all that a request took goes at once.
//! Documents differ in size, so what a thread frees at a time is now more, now less than it needs next, and than an allocator keeps for it. Stresses
//! what becomes of the rest: where it goes to the other threads, cache lines go with it, and after a while the blocks of one thread lie between those of
//! another, so that both wait for lines that only one of them needs.

use std::collections::VecDeque;
use std::ptr::NonNull;

use clap::Args;

use super::crew;
use crate::heap::{Block, Heap};
use crate::random::Random;
use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Requests {
    /// Number of threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Requests that each thread serves
    #[arg(long, default_value_t = 4000)]
    requests: u64,
    /// Documents that each thread keeps
    #[arg(long, default_value_t = 8)]
    kept: usize,
    /// Levels of a document: on each of them three nodes of four have two children, the others one
    #[arg(long, default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..=20))]
    levels: u32,
    /// Largest text of a node in bytes; the smallest is 8
    #[arg(long, default_value_t = 100)]
    text: usize,
}

/// Two children, and a text.
struct Node {
    children: [Option<NonNull<Node>>; 2],
    text: Block,
    length: usize,
    value: u64,
}

const _: () = assert!(size_of::<Node>() <= 48);

impl Requests {
    fn build(&self, heap: Heap, random: &mut Random, levels: u32) -> NonNull<Node> {
        let node: NonNull<Node> = heap.alloc(size_of::<Node>()).address().cast();
        let length = random.between(8, self.text.max(8));
        let text = heap.alloc(length);
        let mut children = [None; 2];
        if levels > 1 {
            let count = if random.below(4) > 0 { 2 } else { 1 };
            children[..count].fill_with(|| Some(self.build(heap, random, levels - 1)));
        }
        // SAFETY: the block is live, has the size of a node, and malloc aligns to 16.
        unsafe { node.write(Node { children, text, length, value: length as u64 }) };
        node
    }
}

/// Counts what a document has, and frees it; returns its nodes.
fn drop_document(heap: Heap, document: NonNull<Node>) -> u64 {
    // SAFETY: the node is live and initialised since `build`; `document` is the only way to it.
    let Node { children, text, length, value } = unsafe { document.read() };
    assert_eq!(length as u64, value);
    heap.free(text);
    let below: u64 = children.into_iter().flatten().map(|child| drop_document(heap, child)).sum();
    // SAFETY: it is live until here.
    heap.free(unsafe { Block::at(document.cast()) });
    below + 1
}

impl Workload for Requests {
    fn run(&self, scale: Scale) -> Outcome {
        let (threads, requests) = (self.threads.max(1), scale.of(self.requests));
        let serve = |thread: usize| {
            let (heap, mut random) = (Heap::of_this_process(), Random::new(thread as u64));
            let mut kept = VecDeque::new();
            let mut nodes = 0;
            for _ in 0..requests {
                kept.push_back(self.build(heap, &mut random, self.levels));
                if kept.len() > self.kept
                    && let Some(oldest) = kept.pop_front()
                {
                    nodes += drop_document(heap, oldest);
                }
            }
            nodes + kept.into_iter().map(|document| drop_document(heap, document)).sum::<u64>()
        };
        let (elapsed, nodes) = crew::timed(threads, |thread| thread, |_, thread| serve(thread));
        Outcome::new("requests", "one node built and dropped", nodes.into_iter().sum(), elapsed)
    }
}

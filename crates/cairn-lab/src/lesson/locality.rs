//! `locality`: one tree, its nodes inside the free blocks or beside them, and what a search touches.
//!
//! ```text
//!   in the blocks     ┌────────────┐     ┌────────────┐           a node is where its block is: anywhere in the heap
//!                     │ node │ ... │ ... │ node │ ... │ ...
//!   beside them       ┌──┬──┬──┬──┬──┬──┐                         all nodes are in one array
//!                     └──┴──┴──┴──┴──┴──┘
//! ```
//! A real heap ([`BestFitTree`]) gets thousands of holes. The same tree code (`cairn_core::avl`) then builds the same tree over
//! nodes that note every access ([`nodes`]); that it *is* the heap's tree is checked, parent by parent, search by search.

mod nodes;

use std::alloc::Layout;
use std::cell::Cell;
use std::collections::BTreeMap;

use cairn_core::avl::Tree;
use cairn_core::os;
use cairn_heap::{BestFitTree, Heap, Map};
use serde::Serialize;

use super::exact::Exact;
use crate::policies::Setup;
use nodes::{LINE, NODE, Noted, Notes, Place};

/// Holes in the heap.
const HOLES: usize = 4096;

/// Payload of its blocks in bytes, from and to.
const SIZES: (usize, usize) = (64, 8128);

/// Payload that is searched for.
const WANTED: (usize, usize) = (64, 8000);

/// Searches, and insertions.
const TRIES: usize = 1000;

/// Address space for the heap, in bytes.
const ROOM: usize = 1 << 28;

/// What an operation touched, over all tries.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Touched {
    /// Pages, on average.
    pub pages_mean: f64,
    /// Pages, at most.
    pub pages_max: usize,
    /// Cache lines, on average.
    pub lines_mean: f64,
    /// Cache lines, at most.
    pub lines_max: usize,
    /// Different pages that all tries together touched.
    pub pages_in_all: usize,
    /// Different cache lines that all tries together touched.
    pub lines_in_all: usize,
}

/// The tree in one of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Layer {
    /// A search for the tightest hole.
    pub search: Touched,
    /// The insertion of a freed block.
    pub insert: Touched,
    /// Pages on which the tree lies.
    pub pages: usize,
}

/// What the lesson computed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Locality {
    /// Bytes of the heap.
    pub heap: usize,
    /// Holes, each a node of the tree.
    pub holes: usize,
    /// Levels of the tree.
    pub levels: usize,
    /// Nodes that a search looked at, on average.
    pub looked_at_mean: f64,
    /// Searches, and insertions.
    pub tries: usize,
    /// Bytes of a page.
    pub page: usize,
    /// Bytes of a cache line.
    pub line: usize,
    /// Bytes of a node beside the blocks.
    pub node: usize,
    /// The tree inside the free blocks.
    pub in_blocks: Layer,
    /// The tree beside them.
    pub beside: Layer,
}

/// Runs the lesson.
///
/// # Errors
/// If there is no memory for the heap, or the two trees are not the same.
pub fn run() -> Result<Locality, String> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut heap: TreeHeap = Heap::new(Map::new(ROOM));
    let holes = make_holes(&mut heap, &mut random)?;
    let mut nodes = Noted::new(&holes);
    let mut tree = Tree::new();
    for n in 0..holes.len() as u32 {
        tree.insert(&mut nodes, n);
    }
    let levels = same_tree(&heap, &nodes)?;
    let (mut search, mut insert) = (Sums::default(), Sums::default());
    let mut looked_at = 0;
    for _ in 0..TRIES {
        let payload = random.between(WANTED);
        let need = Setup::Textbook.block_size(payload);
        nodes.forget();
        let steps = Cell::new(0);
        let found = tree.first_where(&nodes, |nodes, n| {
            steps.set(steps.get() + 1);
            nodes.size(n) >= need
        });
        search.add(&nodes);
        looked_at += steps.get();
        let found = found.ok_or_else(|| format!("no hole has {need} bytes"))?;
        let way = Way { steps: steps.get(), taken: nodes.address(found) };
        if allocate_and_free(&mut heap, payload)? != way {
            return Err(format!("a search for {need} bytes went another way than the heap's"));
        }
        // What the heap did with its tree: the hole went, what was left of it came; then that went, and the whole hole came.
        tree.remove(&mut nodes, found);
        if let Some(whole) = nodes.cut(found, need) {
            tree.insert(&mut nodes, found);
            tree.remove(&mut nodes, found);
            nodes.restore(found, whole);
        }
        nodes.forget();
        tree.insert(&mut nodes, found);
        insert.add(&nodes);
    }
    same_tree(&heap, &nodes)?;
    let pages = nodes.pages();
    let layer = |place: Place| Layer {
        search: search.touched(place),
        insert: insert.touched(place),
        pages: pages[place as usize],
    };
    Ok(Locality {
        heap: heap.extent(),
        holes: holes.len(),
        levels,
        looked_at_mean: looked_at as f64 / TRIES as f64,
        tries: TRIES,
        page: os::page_size(),
        line: LINE,
        node: NODE,
        in_blocks: layer(Place::InBlocks),
        beside: layer(Place::Beside),
    })
}

type TreeHeap = Heap<Map, BestFitTree, Exact>;

/// Fills the heap with blocks of random sizes and frees every second one, in random order. Gives address and size of each
/// hole, in that order.
fn make_holes(heap: &mut TreeHeap, random: &mut Random) -> Result<Vec<(usize, usize)>, String> {
    let mut blocks = Vec::new();
    for index in 0..2 * HOLES {
        let layout = Layout::from_size_align(random.between(SIZES), 1).map_err(|error| error.to_string())?;
        let block = heap.allocate(layout).map_err(|error| format!("the lesson's heap: {error}"))?;
        if index % 2 == 0 {
            blocks.push(block);
        }
    }
    // Fisher and Yates.
    for last in (1..blocks.len()).rev() {
        blocks.swap(last, random.between((0, last)));
    }
    for block in &blocks {
        // SAFETY: the block is live, is freed once, and nobody uses it.
        unsafe { heap.deallocate(*block) }.map_err(|fault| fault.to_string())?;
    }
    let sizes: BTreeMap<usize, usize> = heap.blocks().map(|block| (block.address, block.size)).collect();
    Ok(blocks.iter().map(|block| block.addr().get()).map(|address| (address, sizes[&address])).collect())
}

/// Checks that each node has the parent that the heap's own tree gives it; gives the number of levels.
fn same_tree(heap: &TreeHeap, nodes: &Noted) -> Result<usize, String> {
    let mut entries = BTreeMap::new();
    heap.index(&mut |entry| {
        entries.insert(entry.address, entry);
    });
    if !nodes.parents().eq(entries.values().map(|entry| (entry.address, entry.parent))) {
        return Err("the tree beside the blocks is not the heap's".to_owned());
    }
    Ok(entries.values().map(|entry| entry.level + 1).max().unwrap_or(0))
}

/// How a search went.
#[derive(PartialEq, Eq)]
struct Way {
    /// Nodes looked at.
    steps: u64,
    /// The address of the hole that was taken.
    taken: usize,
}

/// Lets the heap itself search, by an allocation, whose block is freed at once: the rest is joined to it again, so the holes
/// are as they were.
fn allocate_and_free(heap: &mut TreeHeap, payload: usize) -> Result<Way, String> {
    let before = heap.meter().steps();
    let layout = Layout::from_size_align(payload, 1).map_err(|error| error.to_string())?;
    let block = heap.allocate(layout).map_err(|error| format!("the lesson's heap: {error}"))?;
    let steps = heap.meter().steps() - before;
    // SAFETY: the block is live, is freed once, and nobody uses it.
    unsafe { heap.deallocate(block) }.map_err(|fault| fault.to_string())?;
    Ok(Way { steps, taken: block.addr().get() })
}

/// What was touched, summed up, for both places.
#[derive(Default)]
struct Sums([Sum; 2]);

impl Sums {
    fn add(&mut self, nodes: &Noted) {
        for (sum, notes) in self.0.iter_mut().zip(nodes.notes().iter()) {
            sum.add(notes);
        }
    }

    fn touched(&self, place: Place) -> Touched {
        self.0[place as usize].touched()
    }
}

/// What was touched, summed up.
#[derive(Default)]
struct Sum {
    tries: usize,
    lines: usize,
    lines_max: usize,
    pages: usize,
    pages_max: usize,
    all: Notes,
}

impl Sum {
    fn add(&mut self, notes: &Notes) {
        let (lines, pages) = (notes.lines.len(), notes.pages());
        self.tries += 1;
        self.lines += lines;
        self.lines_max = self.lines_max.max(lines);
        self.pages += pages;
        self.pages_max = self.pages_max.max(pages);
        self.all.lines.extend(&notes.lines);
    }

    fn touched(&self) -> Touched {
        let tries = self.tries.max(1) as f64;
        Touched {
            pages_mean: self.pages as f64 / tries,
            pages_max: self.pages_max,
            lines_mean: self.lines as f64 / tries,
            lines_max: self.lines_max,
            pages_in_all: self.all.pages(),
            lines_in_all: self.all.lines.len(),
        }
    }
}

/// Numbers that look random and are the same in every run (xorshift).
struct Random(u64);

impl Random {
    /// From the first number to the second, both included.
    fn between(&mut self, (low, high): (usize, usize)) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        low + (self.0 >> 11) as usize % (high - low + 1)
    }
}

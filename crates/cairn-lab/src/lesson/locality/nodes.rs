//! Nodes of a tree that note every access to them.
//!
//! Their values are in one array. Each access is noted twice: with the field's own address in the array, and with the address at
//! which a heap keeps the same field in the free block:
//!
//! ```text
//!            -8        0       4       8       12      16
//!    block   │ header  │ left  │ right │ parent│ height│       the header has the size
//!    node    │ size  │ at    │ left  │ right │ parent│ height│  24 bytes
//! ```

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use cairn_core::avl;
use cairn_core::os;

use crate::policies::Setup;

/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// Bytes of a node in the array.
pub(super) const NODE: usize = size_of::<Node>();

/// Where the nodes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Inside the free blocks.
    InBlocks,
    /// In an array beside the heap.
    Beside,
}

/// What was touched.
#[derive(Default)]
pub(super) struct Notes {
    /// Numbers of cache lines: the address divided by the line's size.
    pub(super) lines: BTreeSet<usize>,
}

impl Notes {
    /// How many pages.
    pub(super) fn pages(&self) -> usize {
        let pages: BTreeSet<usize> = self.lines.iter().map(|line| line * LINE / os::page_size()).collect();
        pages.len()
    }
}

/// No node.
const NONE: u32 = u32::MAX;

/// A node, as one would keep it beside the blocks.
#[repr(C)]
struct Node {
    size: u32,
    /// The block, from the first hole on.
    at: u32,
    left: u32,
    right: u32,
    parent: u32,
    height: u8,
}

/// What a block was before it was cut.
pub(super) struct Whole {
    size: u32,
    at: u32,
}

/// The nodes of a tree over holes.
pub(super) struct Noted {
    nodes: Vec<Node>,
    /// The address that `at` counts from.
    base: usize,
    /// What was touched, in each [`Place`].
    notes: RefCell<[Notes; 2]>,
}

/// Distance of a field from the payload's address, in a block.
const SIZE_IN_BLOCK: isize = -8;
const LEFT_IN_BLOCK: isize = 0;
const RIGHT_IN_BLOCK: isize = 4;
const PARENT_IN_BLOCK: isize = 8;
const HEIGHT_IN_BLOCK: isize = 12;

impl Noted {
    /// Nodes for holes of these addresses and sizes; they are in no tree yet.
    pub(super) fn new(holes: &[(usize, usize)]) -> Noted {
        let base = holes.iter().map(|(address, _)| *address).min().unwrap_or(0);
        let node = |&(address, size): &(usize, usize)| Node {
            size: size as u32,
            at: (address - base) as u32,
            left: NONE,
            right: NONE,
            parent: NONE,
            height: 0,
        };
        let nodes = holes.iter().map(node).collect();
        Noted { nodes, base, notes: RefCell::default() }
    }

    /// Forgets what was touched.
    pub(super) fn forget(&self) {
        *self.notes.borrow_mut() = Default::default();
    }

    /// What was touched since.
    pub(super) fn notes(&self) -> Ref<'_, [Notes; 2]> {
        self.notes.borrow()
    }

    /// Cuts `need` bytes from the low end of a node's block, which is in no tree. Gives what it was, or none if too little would be
    /// left for a block.
    pub(super) fn cut(&mut self, n: u32, need: usize) -> Option<Whole> {
        let node = &mut self.nodes[n as usize];
        let whole = Whole { size: node.size, at: node.at };
        if (node.size as usize) < need + Setup::Textbook.smallest() {
            return None;
        }
        node.size -= need as u32;
        node.at += need as u32;
        Some(whole)
    }

    /// Undoes a cut.
    pub(super) fn restore(&mut self, n: u32, whole: Whole) {
        let node = &mut self.nodes[n as usize];
        (node.size, node.at) = (whole.size, whole.at);
    }

    /// The address of a node's block.
    pub(super) fn address(&self, n: u32) -> usize {
        self.base + self.nodes[n as usize].at as usize
    }

    /// The size of a node's block: an access.
    pub(super) fn size(&self, n: u32) -> usize {
        self.note(n, SIZE_IN_BLOCK, |node| (&raw const node.size).addr());
        self.nodes[n as usize].size as usize
    }

    /// Block and parent's block of each node, in the order of addresses.
    pub(super) fn parents(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        let parent = |node: &Node| (node.parent != NONE).then(|| self.address(node.parent));
        let all: BTreeMap<usize, Option<usize>> =
            self.nodes.iter().map(|node| (self.base + node.at as usize, parent(node))).collect();
        all.into_iter()
    }

    /// How many pages have a node, in each place.
    pub(super) fn pages(&self) -> [usize; 2] {
        self.forget();
        for n in 0..self.nodes.len() as u32 {
            self.size(n);
            self.note(n, HEIGHT_IN_BLOCK, |node| (&raw const node.height).addr());
        }
        self.notes().each_ref().map(Notes::pages)
    }

    fn note(&self, n: u32, in_block: isize, beside: impl Fn(&Node) -> usize) {
        let mut notes = self.notes.borrow_mut();
        let in_block = self.address(n).wrapping_add_signed(in_block);
        notes[Place::InBlocks as usize].lines.insert(in_block / LINE);
        notes[Place::Beside as usize].lines.insert(beside(&self.nodes[n as usize]) / LINE);
    }
}

/// A link as the tree wants it.
fn link(n: u32) -> Option<u32> {
    (n != NONE).then_some(n)
}

impl avl::Nodes for Noted {
    type Id = u32;

    fn left(&self, n: u32) -> Option<u32> {
        self.note(n, LEFT_IN_BLOCK, |node| (&raw const node.left).addr());
        link(self.nodes[n as usize].left)
    }
    fn set_left(&mut self, n: u32, to: Option<u32>) {
        self.note(n, LEFT_IN_BLOCK, |node| (&raw const node.left).addr());
        self.nodes[n as usize].left = to.unwrap_or(NONE);
    }
    fn right(&self, n: u32) -> Option<u32> {
        self.note(n, RIGHT_IN_BLOCK, |node| (&raw const node.right).addr());
        link(self.nodes[n as usize].right)
    }
    fn set_right(&mut self, n: u32, to: Option<u32>) {
        self.note(n, RIGHT_IN_BLOCK, |node| (&raw const node.right).addr());
        self.nodes[n as usize].right = to.unwrap_or(NONE);
    }
    fn parent(&self, n: u32) -> Option<u32> {
        self.note(n, PARENT_IN_BLOCK, |node| (&raw const node.parent).addr());
        link(self.nodes[n as usize].parent)
    }
    fn set_parent(&mut self, n: u32, to: Option<u32>) {
        self.note(n, PARENT_IN_BLOCK, |node| (&raw const node.parent).addr());
        self.nodes[n as usize].parent = to.unwrap_or(NONE);
    }
    fn height(&self, n: u32) -> u8 {
        self.note(n, HEIGHT_IN_BLOCK, |node| (&raw const node.height).addr());
        self.nodes[n as usize].height
    }
    fn set_height(&mut self, n: u32, to: u8) {
        self.note(n, HEIGHT_IN_BLOCK, |node| (&raw const node.height).addr());
        self.nodes[n as usize].height = to;
    }
    fn less(&self, a: u32, b: u32) -> bool {
        let key = |n| (self.size(n), self.address(n));
        key(a) < key(b)
    }
}

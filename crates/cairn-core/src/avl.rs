//! A balanced tree whose nodes live wherever their owner keeps them.
//!
//! The page heap keeps its nodes in descriptors outside the memory it manages, a classic heap keeps them inside its
//! free blocks. So the tree owns no node and knows no address: it moves *ids* about and reads and writes the links
//! through [`Nodes`], which its owner implements and which compiles to direct loads and stores.
//!
//! ```text
//!                 parent                height(none) = 0
//!                   │                   height(n)    = 1 + max(height(left), height(right))
//!                   n                   | height(left) - height(right) | <= 1
//!              ┌────┴────┐              l in left subtree of n   =>  less(l, n)
//!            left      right            r in right subtree of n  =>  less(n, r)
//! ```
//!
//! Also `parent(child) == n` *iff* `child` is `left(n)` or `right(n)`, and the root has no parent. [`Tree::check`]
//! audits all of it.
//!
//! # Cost
//! A tree of n nodes is at most 1.44 log2(n) high: 46 levels for 2^32 nodes. Each operation walks one path down and a part
//! of it up again: the way up ends at the first node whose height stays as it was, mostly two or three levels
//! up, and nothing is written above it. No recursion, no allocation; heights are written only when they change.
#![forbid(unsafe_code)]

mod audit;

use core::fmt::Debug;

/// Where the links of the nodes are kept, and how nodes compare.
///
/// The links of a node that is in no tree mean nothing: the tree writes all of them when the node comes in and
/// leaves them as they are when it goes.
pub trait Nodes {
    /// The name of a node: an index or an address.
    type Id: Copy + Eq + Debug;

    /// The root of what is less than `n`.
    fn left(&self, n: Self::Id) -> Option<Self::Id>;
    /// Changes [`left`](Self::left).
    fn set_left(&mut self, n: Self::Id, to: Option<Self::Id>);
    /// The root of what is greater than `n`.
    fn right(&self, n: Self::Id) -> Option<Self::Id>;
    /// Changes [`right`](Self::right).
    fn set_right(&mut self, n: Self::Id, to: Option<Self::Id>);
    /// The node of which `n` is a child.
    fn parent(&self, n: Self::Id) -> Option<Self::Id>;
    /// Changes [`parent`](Self::parent).
    fn set_parent(&mut self, n: Self::Id, to: Option<Self::Id>);
    /// The number of levels of the subtree at `n`, itself included.
    fn height(&self, n: Self::Id) -> u8;
    /// Changes [`height`](Self::height).
    fn set_height(&mut self, n: Self::Id, to: u8);

    /// Whether `a` comes before `b`: a strict total order, which must not change for nodes that are in a tree.
    fn less(&self, a: Self::Id, b: Self::Id) -> bool;

    /// Whether `n` names a place that may be looked at. The audit asks before it follows a link that may be damaged.
    fn exists(&self, _n: Self::Id) -> bool {
        true
    }
}

/// A tree over nodes that live in a [`Nodes`]; each call must be given the same one.
#[derive(Clone, Debug)]
pub struct Tree<Id> {
    root: Option<Id>,
    len: usize,
}

impl<Id> Default for Tree<Id> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<Id: Copy + Eq + Debug> Tree<Id> {
    /// A tree without nodes.
    pub const fn new() -> Self {
        Self { root: None, len: 0 }
    }

    /// Whether no node is in the tree.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// How many nodes are in the tree.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Puts `n` into the tree, in which it must not be already.
    #[inline]
    pub fn insert<N: Nodes<Id = Id>>(&mut self, nodes: &mut N, n: Id) {
        let mut parent = None;
        let mut goes_left = false;
        let mut at = self.root;
        while let Some(here) = at {
            debug_assert!(here != n, "{n:?} is in the tree already");
            parent = at;
            goes_left = nodes.less(n, here);
            at = if goes_left { nodes.left(here) } else { nodes.right(here) };
        }
        nodes.set_left(n, None);
        nodes.set_right(n, None);
        nodes.set_parent(n, parent);
        nodes.set_height(n, 1);
        match parent {
            None => self.root = Some(n),
            Some(parent) if goes_left => nodes.set_left(parent, Some(n)),
            Some(parent) => nodes.set_right(parent, Some(n)),
        }
        self.len += 1;
        self.settle(nodes, parent);
    }

    /// Takes `n` out of the tree, in which it must be.
    #[inline]
    pub fn remove<N: Nodes<Id = Id>>(&mut self, nodes: &mut N, n: Id) {
        let parent = nodes.parent(n);
        // The lowest node whose subtree has become less high, or may have.
        let lowest = match (nodes.left(n), nodes.right(n)) {
            (None, only) | (only, None) => {
                self.replace_child(nodes, parent, n, only);
                if let Some(only) = only {
                    nodes.set_parent(only, parent);
                }
                parent
            }
            (Some(left), Some(right)) => {
                // The next node takes the place of `n`, with its height: the walk up compares with it.
                let next = leftmost(nodes, right);
                let lowest = if next == right { next } else { Self::unhook_leftmost(nodes, next, right) };
                nodes.set_left(next, Some(left));
                nodes.set_parent(left, Some(next));
                nodes.set_height(next, nodes.height(n));
                self.replace_child(nodes, parent, n, Some(next));
                nodes.set_parent(next, parent);
                Some(lowest)
            }
        };
        self.len -= 1;
        self.settle(nodes, lowest);
    }

    /// The least node for which `reached` holds. `reached` must be monotone: once it holds for a node it holds for all
    /// greater ones. With nodes ordered by (length, address) and `reached` as "long enough", this is best fit.
    #[inline]
    pub fn first_where<N: Nodes<Id = Id>>(&self, nodes: &N, reached: impl Fn(&N, Id) -> bool) -> Option<Id> {
        let mut best = None;
        let mut at = self.root;
        while let Some(here) = at {
            at = if reached(nodes, here) {
                best = at;
                nodes.left(here)
            } else {
                nodes.right(here)
            };
        }
        best
    }

    /// The least node.
    #[inline]
    pub fn first<N: Nodes<Id = Id>>(&self, nodes: &N) -> Option<Id> {
        self.root.map(|root| leftmost(nodes, root))
    }

    /// The greatest node.
    #[inline]
    pub fn last<N: Nodes<Id = Id>>(&self, nodes: &N) -> Option<Id> {
        self.root.map(|root| rightmost(nodes, root))
    }

    /// The least of the nodes greater than `n`, which must be in the tree.
    pub fn next<N: Nodes<Id = Id>>(&self, nodes: &N, n: Id) -> Option<Id> {
        if let Some(right) = nodes.right(n) {
            return Some(leftmost(nodes, right));
        }
        let mut child = n;
        let mut up = nodes.parent(n);
        while let Some(here) = up {
            if nodes.right(here) != Some(child) {
                break;
            }
            child = here;
            up = nodes.parent(here);
        }
        up
    }

    /// The greatest of the nodes less than `n`, which must be in the tree.
    pub fn prev<N: Nodes<Id = Id>>(&self, nodes: &N, n: Id) -> Option<Id> {
        if let Some(left) = nodes.left(n) {
            return Some(rightmost(nodes, left));
        }
        let mut child = n;
        let mut up = nodes.parent(n);
        while let Some(here) = up {
            if nodes.left(here) != Some(child) {
                break;
            }
            child = here;
            up = nodes.parent(here);
        }
        up
    }

    /// Makes heights and balance right again from `at` upwards, and stops where nothing changes any more.
    ///
    /// On entry, and at each step, the subtrees below `at` are right, and `height(at)` is what it was before the change.
    /// If a subtree comes out as high as it was, nothing above it can be wrong.
    #[inline]
    fn settle<N: Nodes<Id = Id>>(&mut self, nodes: &mut N, mut at: Option<Id>) {
        while let Some(here) = at {
            let before = nodes.height(here);
            let (left, right) = (nodes.left(here), nodes.right(here));
            let (left_height, right_height) = (height(nodes, left), height(nodes, right));
            if left_height.abs_diff(right_height) <= 1 {
                let now = 1 + left_height.max(right_height);
                if now == before {
                    return;
                }
                nodes.set_height(here, now);
                at = nodes.parent(here);
                continue;
            }
            let top = match (left, right) {
                (Some(left), _) if left_height > right_height => self.lower_left(nodes, here, left),
                (_, Some(right)) => self.lower_right(nodes, here, right),
                // A difference of two or more needs a child on the higher side.
                _ => return,
            };
            if nodes.height(top) == before {
                return;
            }
            at = nodes.parent(top);
        }
    }

    /// The left side of `here` is two levels higher than its right one: raises `left`, or the inner one of its children
    /// if that is the higher one, to the place of `here`. Gives the node that is there now.
    fn lower_left<N: Nodes<Id = Id>>(&mut self, nodes: &mut N, here: Id, left: Id) -> Id {
        let (outer, inner) = (nodes.left(left), nodes.right(left));
        let (outer_height, inner_height) = (height(nodes, outer), height(nodes, inner));
        let parent = nodes.parent(here);
        let (top, orphan) = match inner {
            Some(middle) if inner_height > outer_height => {
                // `middle` goes to the top, its children to either side.
                let (to_left, to_right) = (nodes.left(middle), nodes.right(middle));
                link_right(nodes, left, to_left);
                nodes.set_height(left, inner_height);
                nodes.set_left(middle, Some(left));
                nodes.set_parent(left, Some(middle));
                (middle, to_right)
            }
            _ => (left, inner),
        };
        link_left(nodes, here, orphan);
        nodes.set_right(top, Some(here));
        nodes.set_parent(here, Some(top));
        self.replace_child(nodes, parent, here, Some(top));
        nodes.set_parent(top, parent);
        refresh_height(nodes, here);
        refresh_height(nodes, top);
        top
    }

    /// The mirror image of [`lower_left`](Self::lower_left).
    fn lower_right<N: Nodes<Id = Id>>(&mut self, nodes: &mut N, here: Id, right: Id) -> Id {
        let (outer, inner) = (nodes.right(right), nodes.left(right));
        let (outer_height, inner_height) = (height(nodes, outer), height(nodes, inner));
        let parent = nodes.parent(here);
        let (top, orphan) = match inner {
            Some(middle) if inner_height > outer_height => {
                let (to_left, to_right) = (nodes.left(middle), nodes.right(middle));
                link_left(nodes, right, to_right);
                nodes.set_height(right, inner_height);
                nodes.set_right(middle, Some(right));
                nodes.set_parent(right, Some(middle));
                (middle, to_left)
            }
            _ => (right, inner),
        };
        link_right(nodes, here, orphan);
        nodes.set_left(top, Some(here));
        nodes.set_parent(here, Some(top));
        self.replace_child(nodes, parent, here, Some(top));
        nodes.set_parent(top, parent);
        refresh_height(nodes, here);
        refresh_height(nodes, top);
        top
    }

    /// Takes `next`, the leftmost node under `right` and not `right` itself, from its parent and puts it above
    /// `right`. Gives that parent.
    fn unhook_leftmost<N: Nodes<Id = Id>>(nodes: &mut N, next: Id, right: Id) -> Id {
        // `next` is not `right`, so it was reached from a parent; were it not, `right` is where to go on from.
        let parent = nodes.parent(next).unwrap_or(right);
        let orphan = nodes.right(next);
        link_left(nodes, parent, orphan);
        nodes.set_right(next, Some(right));
        nodes.set_parent(right, Some(next));
        parent
    }

    /// Makes what points down to `old` point to `new`. The link up from `new` is left to the caller.
    #[inline]
    fn replace_child<N: Nodes<Id = Id>>(
        &mut self,
        nodes: &mut N,
        parent: Option<Id>,
        old: Id,
        new: Option<Id>,
    ) {
        match parent {
            None => {
                debug_assert!(self.root == Some(old), "{old:?} is not in this tree");
                self.root = new;
            }
            Some(parent) if nodes.left(parent) == Some(old) => nodes.set_left(parent, new),
            Some(parent) => {
                debug_assert!(nodes.right(parent) == Some(old), "{old:?} is not in this tree");
                nodes.set_right(parent, new);
            }
        }
    }
}

#[inline]
fn height<N: Nodes>(nodes: &N, n: Option<N::Id>) -> u8 {
    n.map_or(0, |n| nodes.height(n))
}

#[inline]
fn refresh_height<N: Nodes>(nodes: &mut N, n: N::Id) {
    let (left, right) = (nodes.left(n), nodes.right(n));
    let now = 1 + height(nodes, left).max(height(nodes, right));
    if nodes.height(n) != now {
        nodes.set_height(n, now);
    }
}

#[inline]
fn link_left<N: Nodes>(nodes: &mut N, parent: N::Id, child: Option<N::Id>) {
    nodes.set_left(parent, child);
    if let Some(child) = child {
        nodes.set_parent(child, Some(parent));
    }
}

#[inline]
fn link_right<N: Nodes>(nodes: &mut N, parent: N::Id, child: Option<N::Id>) {
    nodes.set_right(parent, child);
    if let Some(child) = child {
        nodes.set_parent(child, Some(parent));
    }
}

#[inline]
fn leftmost<N: Nodes>(nodes: &N, mut n: N::Id) -> N::Id {
    while let Some(left) = nodes.left(n) {
        n = left;
    }
    n
}

#[inline]
fn rightmost<N: Nodes>(nodes: &N, mut n: N::Id) -> N::Id {
    while let Some(right) = nodes.right(n) {
        n = right;
    }
    n
}

//! The audit of a tree: each invariant of [`Tree`], looked at.

use core::fmt::Debug;

use super::{Nodes, Tree, height};
use crate::audit::Broken;

impl<Id: Copy + Eq + Debug> Tree<Id> {
    /// Audits the whole tree and names the first invariant that does not hold.
    ///
    /// It ends even on a tree that is broken: a step down is taken only to a node that names its parent and is less
    /// high than it, so no path can close on itself, and no more nodes are entered than there should be.
    pub fn check<N: Nodes<Id = Id>>(&self, nodes: &N) -> Result<(), Broken<Id>> {
        let Some(root) = self.root else {
            return if self.len == 0 {
                Ok(())
            } else {
                Err(Broken::whole("a tree without root claims to have nodes"))
            };
        };
        if !nodes.exists(root) {
            return Err(Broken::at(root, "a link leads out of the tree's memory"));
        }
        if nodes.parent(root).is_some() {
            return Err(Broken::at(root, "the root has a parent"));
        }
        check_node(nodes, root)?;
        let mut entered = 1;
        let mut visited_before = None;
        let mut came_from = nodes.parent(root);
        let mut at = Some(root);
        while let Some(here) = at {
            let (parent, left, right) = (nodes.parent(here), nodes.left(here), nodes.right(here));
            let from_above = came_from == parent;
            let from_left = !from_above && came_from == left;
            let step = if from_above && left.is_some() {
                left
            } else if from_above || from_left {
                // Everything less than `here` has been visited: now it is its turn.
                if visited_before.is_some_and(|before| !nodes.less(before, here)) {
                    return Err(Broken::at(here, "a node is not less than its successor"));
                }
                visited_before = at;
                right
            } else {
                None
            };
            if let Some(child) = step {
                entered += 1;
                if entered > self.len {
                    return Err(Broken::at(here, "more nodes are linked than the tree claims to have"));
                }
                check_node(nodes, child)?;
            }
            came_from = at;
            at = step.or(parent);
        }
        if entered == self.len {
            Ok(())
        } else {
            Err(Broken::whole("fewer nodes are linked than the tree claims to have"))
        }
    }
}

/// What one node and its children must satisfy; the order is checked by the caller.
fn check_node<N: Nodes>(nodes: &N, n: N::Id) -> Result<(), Broken<N::Id>> {
    let (left, right) = (nodes.left(n), nodes.right(n));
    if left.is_some() && left == right {
        return Err(Broken::at(n, "a node is the left and the right child at once"));
    }
    for child in [left, right].into_iter().flatten() {
        if !nodes.exists(child) {
            return Err(Broken::at(n, "a link leads out of the tree's memory"));
        }
        if nodes.parent(child) != Some(n) {
            return Err(Broken::at(child, "a child names another parent"));
        }
        if nodes.height(child) >= nodes.height(n) {
            return Err(Broken::at(child, "a child is as high as its parent"));
        }
    }
    let (left_height, right_height) = (height(nodes, left), height(nodes, right));
    if nodes.height(n) != 1 + left_height.max(right_height) {
        return Err(Broken::at(n, "a height is wrong"));
    }
    if left_height.abs_diff(right_height) > 1 {
        return Err(Broken::at(n, "a node is out of balance"));
    }
    Ok(())
}

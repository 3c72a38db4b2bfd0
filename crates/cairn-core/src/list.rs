//! A doubly linked list whose nodes live wherever their owner keeps them.
//!
//! As the [tree](crate::avl) does, it moves *ids* about and reaches the links through a trait, here [`Links`]. The
//! slabs of one class, sorted by how full they are, hang in such lists.
//!
//! ```text
//!   first ─► a ◄──► b ◄──► c ◄─ last          prev(first) and next(last) are none
//! ```
//!
//! `next(a) == b` *iff* `prev(b) == a`. [`List::check`] audits it. Every other operation takes constant time.
#![forbid(unsafe_code)]

use core::fmt::Debug;

use crate::audit::Broken;

/// Where the links of the nodes are kept.
///
/// The links of a node that is in no list mean nothing: the list writes both when the node comes in and leaves
/// them as they are when it goes.
pub trait Links {
    /// The name of a node: an index or an address.
    type Id: Copy + Eq + Debug;

    /// The node after `n`.
    fn next(&self, n: Self::Id) -> Option<Self::Id>;
    /// Changes [`next`](Self::next).
    fn set_next(&mut self, n: Self::Id, to: Option<Self::Id>);
    /// The node before `n`.
    fn prev(&self, n: Self::Id) -> Option<Self::Id>;
    /// Changes [`prev`](Self::prev).
    fn set_prev(&mut self, n: Self::Id, to: Option<Self::Id>);

    /// Whether `n` names a place that may be looked at. The audit asks before it follows a link that may be damaged.
    fn exists(&self, _n: Self::Id) -> bool {
        true
    }
}

/// A list over nodes that live in a [`Links`]; each call must be given the same one.
#[derive(Clone, Debug)]
pub struct List<Id> {
    first: Option<Id>,
    last: Option<Id>,
}

impl<Id> Default for List<Id> {
    fn default() -> Self {
        Self { first: None, last: None }
    }
}

impl<Id: Copy + Eq + Debug> List<Id> {
    /// A list without nodes.
    pub const fn new() -> Self {
        Self { first: None, last: None }
    }

    /// Whether no node is in the list.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The node at the front.
    #[inline]
    pub const fn first(&self) -> Option<Id> {
        self.first
    }

    /// The node at the back.
    #[inline]
    pub const fn last(&self) -> Option<Id> {
        self.last
    }

    /// Puts `n`, which is in no list, at the front.
    #[inline]
    pub fn push_first<L: Links<Id = Id>>(&mut self, links: &mut L, n: Id) {
        debug_assert!(self.first != Some(n), "{n:?} is in the list already");
        links.set_prev(n, None);
        links.set_next(n, self.first);
        match self.first {
            Some(second) => links.set_prev(second, Some(n)),
            None => self.last = Some(n),
        }
        self.first = Some(n);
    }

    /// Puts `n`, which is in no list, at the back.
    #[inline]
    pub fn push_last<L: Links<Id = Id>>(&mut self, links: &mut L, n: Id) {
        debug_assert!(self.last != Some(n), "{n:?} is in the list already");
        links.set_next(n, None);
        links.set_prev(n, self.last);
        match self.last {
            Some(before) => links.set_next(before, Some(n)),
            None => self.first = Some(n),
        }
        self.last = Some(n);
    }

    /// Puts `n`, which is in no list, in front of `successor`, which is in this one.
    #[inline]
    pub fn insert_before<L: Links<Id = Id>>(&mut self, links: &mut L, n: Id, successor: Id) {
        let Some(before) = links.prev(successor) else { return self.push_first(links, n) };
        links.set_prev(n, Some(before));
        links.set_next(n, Some(successor));
        links.set_next(before, Some(n));
        links.set_prev(successor, Some(n));
    }

    /// Takes `n` out of the list, in which it must be.
    #[inline]
    pub fn remove<L: Links<Id = Id>>(&mut self, links: &mut L, n: Id) {
        let (prev, next) = (links.prev(n), links.next(n));
        match prev {
            Some(prev) => links.set_next(prev, next),
            None => {
                debug_assert!(self.first == Some(n), "{n:?} is not in this list");
                self.first = next;
            }
        }
        match next {
            Some(next) => links.set_prev(next, prev),
            None => {
                debug_assert!(self.last == Some(n), "{n:?} is not in this list");
                self.last = prev;
            }
        }
    }

    /// Takes the node at the front.
    #[inline]
    pub fn pop_first<L: Links<Id = Id>>(&mut self, links: &mut L) -> Option<Id> {
        let n = self.first?;
        self.remove(links, n);
        Some(n)
    }

    /// Audits the whole list, counts its nodes, and names the first invariant that does not hold.
    ///
    /// It ends even on a list that is broken: each step is taken only to a node that names the one before it, so a path
    /// that came back to a node would have to come back to the first one, which names none.
    pub fn check<L: Links<Id = Id>>(&self, links: &L) -> Result<usize, Broken<Id>> {
        let mut count = 0;
        let mut before = None;
        let mut at = self.first;
        while let Some(n) = at {
            if !links.exists(n) {
                return Err(Broken::at(before.unwrap_or(n), "a link leads out of the list's memory"));
            }
            if links.prev(n) != before {
                return Err(Broken::at(n, "a node of a list does not name the one before it"));
            }
            count += 1;
            before = at;
            at = links.next(n);
        }
        if self.last == before {
            Ok(count)
        } else {
            Err(Broken::whole("a list does not end at its last node"))
        }
    }
}

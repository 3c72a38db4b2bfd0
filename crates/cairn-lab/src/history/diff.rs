//! What one operation changed, as a small edit: a history of ten thousand operations has to fit in a page.
//!
//! Blocks are told apart by everything that they are, so a block that changed is removed and added. The index is a sequence; its edit is
//! turned (a rover moves), then loses places, then gains places. An AVL rotation changes few parents, so that
//! depths are left out and found again from the parents.

use std::collections::{HashMap, HashSet};

use super::{Block, Entry, Op, Snapshot};

/// A free block's place in the index, without what can be found elsewhere (its size, its depth).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// Where the block begins.
    pub offset: usize,
    /// The list or bin.
    pub list: usize,
    /// Where its parent in the tree begins.
    pub parent: Option<usize>,
}

/// The edit from one index to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexEdit {
    /// First, turn the sequence to the left by this many places.
    pub turn: usize,
    /// Then, remove these places, ascending, counted before any is removed.
    pub removed: Vec<usize>,
    /// Then, insert these, each so that it has this place in the end, ascending.
    pub added: Vec<(usize, Link)>,
}

/// One operation and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What the program asked for.
    pub op: Op,
    /// What came of it, in words.
    pub words: String,
    /// Bytes that the heap has taken afterwards.
    pub extent: usize,
    /// Where the blocks began that are gone or changed, ascending.
    pub removed: Vec<usize>,
    /// The blocks that are new or changed, ascending.
    pub added: Vec<Block>,
    /// The change of the index.
    pub index: IndexEdit,
}

impl Step {
    /// The edit from one snapshot to the next.
    pub fn between(op: Op, words: String, before: &Snapshot, after: &Snapshot) -> Step {
        let (removed, added) = block_changes(&before.blocks, &after.blocks);
        let index = index_changes(&links(&before.index), &links(&after.index));
        Step { op, words, extent: after.extent, removed, added, index }
    }

    /// The snapshot after this step.
    pub fn apply(&self, before: Snapshot) -> Snapshot {
        let gone: HashSet<usize> = self.removed.iter().copied().collect();
        let mut blocks: Vec<Block> =
            before.blocks.into_iter().filter(|block| !gone.contains(&block.offset)).collect();
        blocks.extend(&self.added);
        blocks.sort_unstable_by_key(|block| block.offset);
        let mut after = Snapshot { extent: self.extent, blocks, index: Vec::new() };
        after.index = entries(&self.index.apply(links(&before.index)), &after);
        after
    }
}

impl IndexEdit {
    /// The sequence after this edit.
    fn apply(&self, mut links: Vec<Link>) -> Vec<Link> {
        if !links.is_empty() {
            let turn = self.turn % links.len();
            links.rotate_left(turn);
        }
        for place in self.removed.iter().rev() {
            links.remove(*place);
        }
        for (place, link) in &self.added {
            links.insert(*place, *link);
        }
        links
    }
}

/// Offsets of the blocks that are not in `new`, and the blocks that are not in `old`; both are in address order.
fn block_changes(old: &[Block], new: &[Block]) -> (Vec<usize>, Vec<Block>) {
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new.peek()) {
            (Some(gone), Some(come)) if gone == come => {
                old.next();
                new.next();
            }
            (Some(gone), come) if come.is_none_or(|come| gone.offset <= come.offset) => {
                removed.push(gone.offset);
                old.next();
            }
            (_, Some(come)) => {
                added.push(**come);
                new.next();
            }
            (_, None) => return (removed, added),
        }
    }
}

/// The edit from one sequence to another.
fn index_changes(old: &[Link], new: &[Link]) -> IndexEdit {
    if old == new {
        return IndexEdit::default();
    }
    straight_changes(old, new)
        .or_else(|| turned_changes(old, new))
        // The order is another one altogether: everything goes, everything comes.
        .unwrap_or_else(|| IndexEdit {
            turn: 0,
            removed: (0..old.len()).collect(),
            added: new.iter().copied().enumerate().collect(),
        })
}

/// The edit without a turn, if the links that stay keep their order.
fn straight_changes(old: &[Link], new: &[Link]) -> Option<IndexEdit> {
    let head = old.iter().zip(new).take_while(|(left, right)| left == right).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail =
        old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(left, right)| left == right).count();
    let old_middle = &old_rest[..old_rest.len() - tail];
    let new_middle = &new_rest[..new_rest.len() - tail];
    let was: HashSet<&Link> = old_middle.iter().collect();
    let is: HashSet<&Link> = new_middle.iter().collect();
    let kept_old = old_middle.iter().filter(|link| is.contains(link));
    let kept_new = new_middle.iter().filter(|link| was.contains(link));
    if !kept_old.eq(kept_new) {
        return None;
    }
    let removed = (head..).zip(old_middle).filter(|(_, link)| !is.contains(link)).map(|(place, _)| place);
    let added = (head..).zip(new_middle).filter(|(_, link)| !was.contains(link));
    Some(IndexEdit {
        turn: 0,
        removed: removed.collect(),
        added: added.map(|(place, link)| (place, *link)).collect(),
    })
}

/// The edit with a turn: the old sequence begins where the new one does.
fn turned_changes(old: &[Link], new: &[Link]) -> Option<IndexEdit> {
    let first = new.iter().find_map(|link| old.iter().position(|other| other == link))?;
    let mut turned = old.to_vec();
    turned.rotate_left(first);
    straight_changes(&turned, new).map(|edit| IndexEdit { turn: first, ..edit })
}

fn links(index: &[Entry]) -> Vec<Link> {
    index.iter().map(|entry| Link { offset: entry.offset, list: entry.list, parent: entry.parent }).collect()
}

/// The index's entries with sizes from the blocks and depths from the parents.
fn entries(links: &[Link], snapshot: &Snapshot) -> Vec<Entry> {
    let parents: HashMap<usize, Option<usize>> =
        links.iter().map(|link| (link.offset, link.parent)).collect();
    let level = |link: &Link| {
        let up = |offset: &usize| parents.get(offset).copied().flatten();
        // A tree has no more levels than entries, so that even a wrong one ends.
        std::iter::successors(link.parent, up).take(links.len()).count()
    };
    let size = |link: &Link| snapshot.block(link.offset).map_or(0, |block| block.size);
    links
        .iter()
        .map(|link| Entry {
            offset: link.offset,
            size: size(link),
            list: link.list,
            parent: link.parent,
            level: level(link),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(offset: usize) -> Link {
        Link { offset, list: 0, parent: None }
    }

    fn sequence(offsets: &[usize]) -> Vec<Link> {
        offsets.iter().copied().map(link).collect()
    }

    fn edit(old: &[usize], new: &[usize]) -> IndexEdit {
        let edit = index_changes(&sequence(old), &sequence(new));
        assert_eq!(edit.apply(sequence(old)), sequence(new), "{old:?} to {new:?} by {edit:?}");
        edit
    }

    #[test]
    fn an_edit_of_the_index_leads_from_one_to_the_other() {
        for (old, new) in [
            (&[][..], &[][..]),
            (&[], &[1, 2]),
            (&[1, 2], &[]),
            (&[1, 2, 3], &[3, 2, 1]),
            (&[1, 2, 3], &[4, 5]),
            (&[1, 2, 3, 4], &[3, 9, 4, 1]),
        ] {
            edit(old, new);
        }
    }

    #[test]
    fn common_changes_are_small() {
        assert_eq!(edit(&[1, 2, 3], &[9, 1, 2, 3]).added.len(), 1);
        assert_eq!(edit(&[1, 2, 3, 4], &[9, 1, 3, 4]).removed, [1]);
        let turned = edit(&[1, 2, 3, 4, 5], &[4, 5, 1, 2, 3]);
        assert_eq!((turned.turn, turned.removed.len(), turned.added.len()), (3, 0, 0));
    }

    #[test]
    fn a_new_parent_changes_one_link() {
        let mut new = sequence(&[1, 2, 3]);
        new[1].parent = Some(3);
        let edit = index_changes(&sequence(&[1, 2, 3]), &new);
        assert_eq!((edit.removed.as_slice(), edit.added.len()), (&[1][..], 1));
    }
}

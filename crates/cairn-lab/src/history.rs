//! A heap's blocks and free index after each operation of a trace.
//!
//! ```text
//!   a heap ──(Raw: addresses)──► Recorder ──► History: a snapshot, then one small edit per operation
//!                                        └──► Still:   one snapshot, and the curve around it
//! ```
//! A moment is counted in operations: moment 0 is the empty heap, moment `n` is after the `n`-th operation. Places are
//! offsets from the heap's first block, so that a picture is the same on every run.
//!
//! Invariants: a snapshot's blocks are in address order and don't overlap; `History::at(n)` built from the edits equals the snapshot
//! that was seen (the tests compare them).

mod diff;
mod record;
mod run;
mod words;

use serde::Serialize;

pub use self::diff::{IndexEdit, Link, Step};
pub use self::record::{Keep, Raw, Recorder, Recording};
pub use self::run::{curve, record};
pub use self::words::{bytes, count, place};
pub use crate::trace::Op;

/// Bytes of the header word in front of each payload.
pub const HEADER: usize = 8;

/// The list of the heap's top: the free block at its end, which a policy takes only when nothing in its index fits.
pub const TOP: usize = cairn_heap::Entry::TOP;

/// What a block is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It belongs to the program.
    Used,
    /// It can be given out.
    Free,
    /// It was freed and is not yet merged with its neighbours.
    Waiting,
}

/// Whose a used block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// The trace's number for it.
    pub id: u32,
    /// The bytes that were asked for.
    pub payload: usize,
    /// The operation that allocated it.
    pub born: usize,
}

/// A block of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Where it begins (its header word), from the heap's first block.
    pub offset: usize,
    /// The whole block with its header word, in bytes.
    pub size: usize,
    /// What it is doing.
    pub state: State,
    /// Whose it is; only a used block is somebody's.
    #[serde(flatten)]
    pub owner: Option<Owner>,
}

impl Block {
    /// Where the next block begins.
    pub fn end(&self) -> usize {
        self.offset + self.size
    }

    /// Bytes inside a used block that are neither header nor asked for.
    pub fn waste(&self) -> usize {
        self.owner.map_or(0, |owner| self.size.saturating_sub(HEADER + owner.payload))
    }
}

/// A free block in the policy's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// Where the block begins.
    pub offset: usize,
    /// The whole block, in bytes.
    pub size: usize,
    /// The number of the list or bin that it is in; [`TOP`] for the heap's top, which is `null` in JSON.
    #[serde(serialize_with = "list_or_null")]
    pub list: usize,
    /// Where its parent begins, in a tree.
    pub parent: Option<usize>,
    /// How deep it lies in a tree: the root at 0.
    pub level: usize,
}

/// A number for machines that read all numbers as floating point could not hold [`TOP`].
fn list_or_null<S: serde::Serializer>(list: &usize, serializer: S) -> Result<S::Ok, S::Error> {
    (*list != TOP).then_some(*list).serialize(serializer)
}

/// A heap at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Bytes that the heap has taken.
    pub extent: usize,
    /// Every block, in address order.
    pub blocks: Vec<Block>,
    /// The free blocks in the policy's own order.
    pub index: Vec<Entry>,
}

impl Snapshot {
    /// The block that begins here.
    pub fn block(&self, offset: usize) -> Option<&Block> {
        let place = self.blocks.binary_search_by_key(&offset, |block| block.offset).ok()?;
        self.blocks.get(place)
    }

    /// The block in which this place lies.
    pub fn containing(&self, offset: usize) -> Option<&Block> {
        let after = self.blocks.partition_point(|block| block.offset <= offset);
        self.blocks.get(after.checked_sub(1)?).filter(|block| offset < block.end())
    }

    /// The sums that are shown beside the picture.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { extent: self.extent, ..Totals::default() };
        for block in &self.blocks {
            match block.state {
                State::Used => {
                    totals.used_blocks += 1;
                    totals.live += block.owner.map_or(0, |owner| owner.payload);
                    totals.waste += block.waste();
                }
                State::Free | State::Waiting => {
                    totals.free_blocks += usize::from(block.state == State::Free);
                    totals.waiting_blocks += usize::from(block.state == State::Waiting);
                    totals.free_bytes += block.size;
                    totals.largest_free = totals.largest_free.max(block.size);
                }
            }
        }
        totals
    }
}

/// An index without the heap's top, and the top.
pub fn without_top(index: &[Entry]) -> (&[Entry], Option<&Entry>) {
    match index.split_last() {
        Some((last, rest)) if last.list == TOP => (rest, Some(last)),
        _ => (index, None),
    }
}

/// The sums over a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Bytes that the heap has taken.
    pub extent: usize,
    /// Bytes that the program asked for and has not freed.
    pub live: usize,
    /// Blocks of the program.
    pub used_blocks: usize,
    /// Bytes inside used blocks that are neither header nor asked for.
    pub waste: usize,
    /// Blocks that can be given out.
    pub free_blocks: usize,
    /// Blocks that were freed and wait to be merged.
    pub waiting_blocks: usize,
    /// Bytes in free and waiting blocks.
    pub free_bytes: usize,
    /// The largest free or waiting block, in bytes.
    pub largest_free: usize,
}

impl Totals {
    /// Live payload in per cent of the extent; of an empty heap 100, for it wastes nothing.
    pub fn utilisation(&self) -> f64 {
        if self.extent == 0 { 100.0 } else { 100.0 * self.live as f64 / self.extent as f64 }
    }
}

/// The two curves of a heap's life at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Bytes that the program asked for and has not freed.
    pub live: usize,
    /// Bytes that the heap has taken.
    pub extent: usize,
}

/// The form of a policy's free index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// One list.
    List,
    /// Several lists, by size.
    Bins,
    /// A search tree.
    Tree,
}

impl Shape {
    /// The form of this policy's index: named policies are known, others are judged by what an index shows.
    pub fn of(policy: &str, index: &[Entry]) -> Shape {
        if policy.contains("tree") || index.iter().any(|entry| entry.parent.is_some()) {
            Shape::Tree
        } else if policy.contains("segregated")
            || policy.contains("two-level")
            || index.iter().any(|entry| entry.list > 0 && entry.list != TOP)
        {
            Shape::Bins
        } else {
            Shape::List
        }
    }
}

/// One moment of a heap, with the curve of its whole life: what a still picture shows.
#[derive(Clone, Debug, Serialize)]
pub struct Still {
    /// The trace's name.
    pub trace: String,
    /// The policy's name.
    pub policy: String,
    /// The moment: after this many operations.
    pub at: usize,
    /// The last operation, if there was one.
    #[serde(skip)]
    pub op: Option<Op>,
    /// What the last operation did, in words.
    pub words: String,
    /// The heap.
    pub snapshot: Snapshot,
    /// The curves, one point for each moment from 0 on.
    #[serde(skip)]
    pub curve: Vec<Point>,
}

/// A heap's life from one moment to another.
#[derive(Clone, Debug)]
pub struct History {
    /// The trace's name.
    pub trace: String,
    /// The policy's name.
    pub policy: String,
    /// The form of its free index.
    pub shape: Shape,
    /// The moment of `start`.
    pub from: usize,
    /// The heap at that moment.
    pub start: Snapshot,
    /// What each operation after it changed.
    pub steps: Vec<Step>,
    /// The curves, one point for each moment from 0 on, over the whole trace.
    pub curve: Vec<Point>,
}

impl History {
    /// The last moment.
    pub fn to(&self) -> usize {
        self.from + self.steps.len()
    }

    /// The heap at a moment, rebuilt from the edits; the nearest moment that the history has.
    pub fn at(&self, moment: usize) -> Snapshot {
        let count = moment.clamp(self.from, self.to()) - self.from;
        self.steps.iter().take(count).fold(self.start.clone(), |snapshot, step| step.apply(snapshot))
    }

    /// One moment of it, as a still picture shows it.
    pub fn still(&self, moment: usize) -> Still {
        let at = moment.clamp(self.from, self.to());
        let step = (at - self.from).checked_sub(1).and_then(|place| self.steps.get(place));
        Still {
            trace: self.trace.clone(),
            policy: self.policy.clone(),
            at,
            op: step.map(|step| step.op),
            words: step.map_or_else(|| words::beginning(at), |step| step.words.clone()),
            snapshot: self.at(at),
            curve: self.curve.clone(),
        }
    }
}

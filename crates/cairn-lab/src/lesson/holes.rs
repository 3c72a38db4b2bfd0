//! `holes`: the same holes and the same requests under each placement policy.
//!
//! ```text
//!   PREPARE  blocks  A │ B │ C │ D │ E │ F end      then B and C go, B is taken again and goes again, E A D F go
//!            holes   A   B   C   D   E   F          F was freed last; next-fit goes on from where B was taken
//!   story    one request, the same in each: who takes which hole? Then more of them, until a heap has to grow.
//! ```
//! No story proves a policy right. Two are told: one in which the tightest hole is the wise choice, and one in which it isn't.

use std::alloc::Layout;
use std::ptr::NonNull;

use cairn_heap::State;
use serde::Serialize;

use super::reuse::{Piece, Use};
use crate::policies::{AnyHeap, HEADER, Memory, POLICIES, Policy, Setup};
use crate::trace::{Op, Trace};

/// The holes in the order of their addresses: name, bytes of the whole block.
const HOLES: [(char, usize); 6] = [('A', 640), ('B', 1536), ('C', 336), ('D', 800), ('E', 576), ('F', 704)];

/// Bytes of the used blocks between them.
const BETWEEN: usize = 64;

/// The request that every story begins with, in bytes of the whole block.
const QUESTION: usize = 528;

/// The stories: name, title, the requests after the first.
const STORIES: [(&str, &str, &[usize]); 2] = [
    (
        "large-later",
        "Then the program asks for as much as each of the larger holes has",
        &[1536, 800, 704, 640],
    ),
    (
        "pairs-later",
        "Then it asks for sizes of which two fit into the largest hole together",
        &[768, 768, 784],
    ),
];

/// The heaps are those of `cairn replay --config textbook`: each block is cut from a hole's low end.
const SETUP: Setup = Setup::Textbook;

/// Address space for a heap of this lesson, in bytes.
const ROOM: usize = 1 << 20;

/// A hole at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hole {
    /// Its name.
    pub name: char,
    /// Bytes from the heap's first block.
    pub offset: usize,
    /// Its bytes.
    pub bytes: usize,
}

/// Where a request was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// In a hole, or in what was left of it.
    Hole {
        /// Its name.
        name: char,
        /// Bytes that were left of it.
        left: usize,
    },
    /// In memory for which the heap grew before.
    Beyond,
    /// The heap grew by so many bytes.
    Grew(usize),
}

/// A policy's way through a story.
#[derive(Clone, Debug, Serialize)]
pub struct Played {
    /// The policy.
    pub policy: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Where each request was met.
    pub choices: Vec<Choice>,
    /// Bytes by which the heap grew in all.
    pub grew: usize,
    /// Free bytes at the end.
    pub free: usize,
    /// Holes that were looked at in all searches.
    pub looked_at: u64,
}

/// A story.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// A short name that doesn't change.
    pub name: &'static str,
    /// What happens, for people.
    pub title: &'static str,
    /// The requests, in bytes of the whole block.
    pub requests: Vec<usize>,
    /// Each policy's way.
    pub played: Vec<Played>,
    /// The same as a trace.
    #[serde(skip)]
    ops: Vec<Op>,
}

/// What the lesson computed.
#[derive(Clone, Debug, Serialize)]
pub struct Holes {
    /// The holes at the beginning, in the order of their addresses.
    pub holes: Vec<Hole>,
    /// The whole heap at the beginning.
    pub heap: Vec<Piece>,
    /// The first request of each story, in bytes of the whole block.
    pub question: usize,
    /// Bytes of payload in a block of that size.
    pub payload: usize,
    /// The hole that was freed last.
    pub freed_last: char,
    /// The hole that was used and freed before the others: next-fit goes on behind it.
    pub used_before: char,
    /// The stories.
    pub stories: Vec<Story>,
}

impl Holes {
    /// The first request's choice under the policy of this name.
    pub fn chosen(&self, policy: &str) -> Option<Choice> {
        let played = &self.stories.first()?.played;
        played.iter().find(|played| played.policy == policy)?.choices.first().copied()
    }
}

/// The stories as traces.
pub fn traces(holes: &Holes) -> Vec<Trace> {
    holes.stories.iter().map(|story| Trace::new(story.name, story.ops.clone())).collect()
}

/// Runs the lesson.
///
/// # Errors
/// If there is no memory for a heap, or the policies begin with different holes.
pub fn run() -> Result<Holes, String> {
    let memory = Memory::new(ROOM).ok_or("there is no address space for the lesson's heap")?;
    let mut first: Option<(Vec<Hole>, Vec<Piece>)> = None;
    let mut stories = Vec::new();
    for (name, title, then) in STORIES {
        let requests: Vec<usize> = std::iter::once(QUESTION).chain(then.iter().copied()).collect();
        let mut played = Vec::new();
        let mut ops = Vec::new();
        for policy in POLICIES {
            let mut stage = Stage::new(policy, &memory);
            stage.prepare()?;
            let picture = (stage.holes(), stage.pieces());
            if *first.get_or_insert_with(|| picture.clone()) != picture {
                return Err(format!("{} does not begin with the same holes as the others", policy.name));
            }
            played.push(stage.play(policy, &requests)?);
            ops = stage.ops;
        }
        stories.push(Story { name, title, requests, played, ops });
    }
    let (holes, heap) = first.ok_or("there is no policy")?;
    let payload = QUESTION - HEADER;
    Ok(Holes { holes, heap, question: QUESTION, payload, freed_last: 'F', used_before: 'B', stories })
}

/// A heap in use.
struct Stage {
    heap: Box<dyn AnyHeap>,
    /// The block of each id.
    blocks: Vec<NonNull<u8>>,
    /// The ids of the blocks where the holes are to be.
    ids: Vec<(char, u32)>,
    /// The requests so far.
    ops: Vec<Op>,
}

impl Stage {
    fn new(policy: &Policy, memory: &Memory) -> Stage {
        Stage { heap: policy.make(SETUP, memory), blocks: Vec::new(), ids: Vec::new(), ops: Vec::new() }
    }

    fn allocate(&mut self, block: usize) -> Result<u32, String> {
        let size = block - HEADER;
        let layout = Layout::from_size_align(size, 1).map_err(|error| error.to_string())?;
        let at = self.heap.allocate(layout).map_err(|error| format!("the lesson's heap: {error}"))?;
        let id = self.blocks.len() as u32;
        self.blocks.push(at);
        self.ops.push(Op::Allocate { id, size });
        Ok(id)
    }

    /// Frees the block where a hole is to be.
    fn free(&mut self, name: char) -> Result<(), String> {
        let id = self.ids.iter().find(|(known, _)| *known == name).map_or(0, |(_, id)| *id);
        self.ops.push(Op::Free { id });
        // SAFETY: the block is live, and nobody uses it.
        unsafe { self.heap.free(self.blocks[id as usize]) }.map_err(|fault| fault.to_string())
    }

    /// The heap of the module's drawing, without a free byte behind the last hole.
    fn prepare(&mut self) -> Result<(), String> {
        for (name, bytes) in HOLES {
            let id = self.allocate(bytes)?;
            self.ids.push((name, id));
            self.allocate(BETWEEN)?;
        }
        let mut rest = 0;
        self.heap.blocks(&mut |block| rest += if block.state == State::Used { 0 } else { block.size });
        if rest >= SETUP.smallest() {
            self.allocate(rest)?;
        }
        for name in ['B', 'C'] {
            self.free(name)?;
        }
        let again = self.allocate(HOLES[1].1)?;
        self.ids[1].1 = again;
        for name in ['B', 'E', 'A', 'D', 'F'] {
            self.free(name)?;
        }
        Ok(())
    }

    /// The heap's first block.
    fn base(&self) -> usize {
        self.blocks[0].addr().get()
    }

    fn holes(&self) -> Vec<Hole> {
        let mut holes = Vec::new();
        self.heap.blocks(&mut |block| {
            if block.state != State::Used {
                let name = HOLES.get(holes.len()).map_or('?', |(name, _)| *name);
                holes.push(Hole { name, offset: block.address - self.base(), bytes: block.size });
            }
        });
        holes
    }

    fn pieces(&self) -> Vec<Piece> {
        let holes = self.holes();
        let mut pieces = Vec::new();
        self.heap.blocks(&mut |block| {
            let hole = holes.iter().find(|hole| hole.offset == block.address - self.base());
            let is = if hole.is_some() { Use::Hole } else { Use::Live };
            pieces.push(Piece { name: hole.map(|hole| hole.name), bytes: block.size, is });
        });
        pieces
    }

    fn play(&mut self, policy: &'static Policy, requests: &[usize]) -> Result<Played, String> {
        let holes = self.holes();
        let begin = self.heap.extent();
        let looked_at = self.heap.counts().steps;
        let mut choices = Vec::new();
        for &request in requests {
            let extent = self.heap.extent();
            let id = self.allocate(request)?;
            let offset = self.blocks[id as usize].addr().get() - self.base();
            let hole = holes.iter().find(|hole| (hole.offset..hole.offset + hole.bytes).contains(&offset));
            choices.push(match hole {
                _ if self.heap.extent() > extent => Choice::Grew(self.heap.extent() - extent),
                Some(hole) => Choice::Hole { name: hole.name, left: self.left(hole) },
                None => Choice::Beyond,
            });
        }
        let totals = self.heap.check().map_err(|violation| violation.to_string())?;
        Ok(Played {
            policy: policy.name,
            what: policy.what,
            choices,
            grew: self.heap.extent() - begin,
            free: totals.free_bytes,
            looked_at: self.heap.counts().steps - looked_at,
        })
    }

    /// Free bytes in what was a hole.
    fn left(&self, hole: &Hole) -> usize {
        let range = self.base() + hole.offset..self.base() + hole.offset + hole.bytes;
        let mut left = 0;
        self.heap.blocks(&mut |block| {
            if block.state != State::Used && range.contains(&block.address) {
                left += block.size;
            }
        });
        left
    }
}

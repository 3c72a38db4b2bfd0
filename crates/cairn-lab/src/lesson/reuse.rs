//! `reuse`: ten requests on a heap that never uses memory again, and on one that does.
//!
//! ```text
//!   CALLS ──┬─► Heap, and free is not told to it        without reuse       ┐ blocks with headers: the real heap,
//!           ├─► Heap                                    with reuse          ┘ its blocks as it lists them
//!           ├─► payload laid out in a plain list        both, without metadata: what the payload alone would take
//!           └─► greatest sum of what is live            perfect reuse: no heap can do with less
//! ```

use std::alloc::Layout;
use std::ptr::NonNull;

use cairn_heap::{BlockInfo, FirstFitAddress, Heap, Map};
use serde::Serialize;

use super::exact::Exact;
use crate::policies::{HEADER, Setup};
use crate::trace::{Op, Trace};

/// The requests; blocks are named by letters.
const CALLS: [Call; 10] = [
    Call::Malloc('a', 4096),
    Call::Free('a'),
    Call::Malloc('b', 4096),
    Call::Malloc('c', 4096),
    Call::Malloc('d', 4096),
    Call::Free('b'),
    Call::Free('c'),
    Call::Malloc('e', 5000),
    Call::Malloc('f', 10),
    Call::Malloc('g', 10),
];

/// Address space for a heap of this lesson, in bytes.
const ROOM: usize = 1 << 20;

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// A block of so many bytes, and its name.
    Malloc(char, usize),
    /// The block of this name goes.
    Free(char),
}

/// What a piece of the heap is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// A live block.
    Live,
    /// A hole, which the next request may take.
    Hole,
    /// A block that was freed, in a heap that never uses it again.
    Lost,
}

/// A piece of the heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// The block's name; none in a hole.
    pub name: Option<char>,
    /// Its bytes, header and rounding included.
    pub bytes: usize,
    /// What it is.
    pub is: Use,
}

/// How the heap with reuse met a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It grew by so many bytes.
    Grew(usize),
    /// It took a hole of so many bytes, so many of which are left.
    Took {
        /// The hole before.
        hole: usize,
        /// What is left of it.
        left: usize,
    },
    /// The freed block became a hole of so many bytes, so many neighbours joined to it.
    Freed {
        /// The hole now.
        hole: usize,
        /// Neighbours that were holes already.
        joined: usize,
    },
}

/// Both heaps after a request.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The request.
    pub call: Call,
    /// How the heap with reuse met it.
    pub outcome: Outcome,
    /// The heap without reuse.
    pub without: Vec<Piece>,
    /// The heap with reuse.
    pub with: Vec<Piece>,
}

/// Bytes that are needed for all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Need {
    /// No byte is used again.
    pub without_reuse: usize,
    /// Holes are used again, the lowest that fits.
    pub with_reuse: usize,
    /// Perfect reuse: the greatest sum of live blocks. No heap can do with less.
    pub perfect: usize,
}

/// What the lesson computed.
#[derive(Clone, Debug, Serialize)]
pub struct Reuse {
    /// The requests, and the heaps after each.
    pub steps: Vec<Step>,
    /// Payload alone: no headers, no rounding.
    pub payload: Need,
    /// Whole blocks: header, payload, rounding.
    pub blocks: Need,
    /// Bytes of a header.
    pub header: usize,
    /// What a block's size is rounded up to a multiple of.
    pub align: usize,
    /// Bytes of the smallest block.
    pub smallest: usize,
    /// What the heap needs once, whatever is in it: the bytes that the two heaps took from their source beyond their blocks.
    pub once: usize,
}

/// The requests as a trace.
pub fn trace() -> Trace {
    let id = |name: char| name as u32 - 'a' as u32;
    let op = |call: &Call| match *call {
        Call::Malloc(name, size) => Op::Allocate { id: id(name), size },
        Call::Free(name) => Op::Free { id: id(name) },
    };
    Trace::new("reuse", CALLS.iter().map(op).collect())
}

/// Runs the lesson.
///
/// # Errors
/// If there is no memory for a heap.
pub fn run() -> Result<Reuse, String> {
    let mut without = Side::new(false);
    let mut with = Side::new(true);
    let mut steps = Vec::new();
    for call in CALLS {
        without.apply(call)?;
        let outcome = with.apply(call)?;
        steps.push(Step { call, outcome, without: without.pieces(), with: with.pieces() });
    }
    let setup = Setup::Textbook;
    let end = |side: &Side| side.pieces().iter().map(|piece| piece.bytes).sum();
    let blocks = Need {
        without_reuse: end(&without),
        with_reuse: end(&with),
        perfect: peak(|size| setup.block_size(size)),
    };
    let payload = Need { without_reuse: plain(false), with_reuse: plain(true), perfect: peak(|size| size) };
    Ok(Reuse {
        steps,
        payload,
        blocks,
        header: HEADER,
        align: setup.align(),
        smallest: setup.smallest(),
        once: with.heap.extent() - blocks.with_reuse,
    })
}

/// One of the two heaps.
struct Side {
    heap: Heap<Map, FirstFitAddress, Exact>,
    /// Whether the heap is told of a free.
    tell: bool,
    /// Every block it ever gave and still holds: name, address, whether it is live.
    given: Vec<(char, NonNull<u8>, bool)>,
    /// The end of the highest block it ever gave. The heap may have a few bytes more, for its next block.
    end: usize,
}

impl Side {
    fn new(tell: bool) -> Side {
        Side { heap: Heap::new(Map::new(ROOM)), tell, given: Vec::new(), end: 0 }
    }

    fn apply(&mut self, call: Call) -> Result<Outcome, String> {
        match call {
            Call::Malloc(name, size) => self.malloc(name, size),
            Call::Free(name) => self.free(name),
        }
    }

    fn malloc(&mut self, name: char, size: usize) -> Result<Outcome, String> {
        let before = self.pieces();
        let layout = Layout::from_size_align(size, 1).map_err(|error| error.to_string())?;
        let block = self.heap.allocate(layout).map_err(|error| format!("the lesson's heap: {error}"))?;
        let bytes = self.heap.usable_size(block).map_err(|fault| fault.to_string())? + HEADER;
        self.given.push((name, block, true));
        self.end = self.end.max(block.addr().get() + bytes);
        let bytes_of = |pieces: &[Piece]| pieces.iter().map(|piece| piece.bytes).sum::<usize>();
        let after = self.pieces();
        let grew = bytes_of(&after) - bytes_of(&before);
        if grew > 0 {
            return Ok(Outcome::Grew(grew));
        }
        // Nothing in front of the new block has changed, so where it is now there was the hole.
        let index = after.iter().position(|piece| piece.name == Some(name)).unwrap_or(0);
        let hole = before.get(index).map_or(0, |piece| piece.bytes);
        Ok(Outcome::Took { hole, left: hole - bytes })
    }

    fn free(&mut self, name: char) -> Result<Outcome, String> {
        let index = self.given.iter().position(|(given, _, live)| *given == name && *live);
        let index = index.ok_or_else(|| format!("block {name} is not live"))?;
        let block = self.given[index].1;
        if !self.tell {
            self.given[index].2 = false;
            return Ok(Outcome::Freed { hole: 0, joined: 0 });
        }
        let holes = |pieces: &[Piece]| pieces.iter().filter(|piece| piece.is == Use::Hole).count();
        let before = self.pieces();
        self.given.remove(index);
        // SAFETY: the block is live, and nobody uses it.
        unsafe { self.heap.deallocate(block) }.map_err(|fault| fault.to_string())?;
        let joined = holes(&before) + 1 - holes(&self.pieces());
        let at = block.addr().get();
        let hole = self.blocks().find(|info| (info.address..info.address + info.size).contains(&at));
        Ok(Outcome::Freed { hole: hole.map_or(0, |info| info.size), joined })
    }

    /// The blocks up to `end`.
    fn blocks(&self) -> impl Iterator<Item = BlockInfo> {
        let known = self.heap.blocks().filter(|block| block.address < self.end);
        known.map(|block| BlockInfo { size: block.size.min(self.end - block.address), ..block })
    }

    fn pieces(&self) -> Vec<Piece> {
        let piece = |block: BlockInfo| {
            let given = self.given.iter().find(|(_, at, _)| at.addr().get() == block.address);
            let is = match given {
                Some((.., true)) => Use::Live,
                Some((.., false)) => Use::Lost,
                None => Use::Hole,
            };
            Piece { name: given.map(|(name, ..)| *name), bytes: block.size, is }
        };
        self.blocks().map(piece).collect()
    }
}

/// The greatest sum of the sizes of live blocks.
fn peak(size_of: impl Fn(usize) -> usize) -> usize {
    let mut live: Vec<(char, usize)> = Vec::new();
    let mut most = 0;
    for call in CALLS {
        match call {
            Call::Malloc(name, size) => live.push((name, size_of(size))),
            Call::Free(name) => live.retain(|(other, _)| *other != name),
        }
        most = most.max(live.iter().map(|(_, size)| size).sum());
    }
    most
}

/// The end of a heap that keeps its books elsewhere and rounds nothing: payload lies at the lowest place where it fits, or with
/// `reuse` off always at the end.
fn plain(reuse: bool) -> usize {
    // Name, first byte, byte behind the last; in the order of addresses.
    let mut laid: Vec<(char, usize, usize)> = Vec::new();
    let mut end = 0;
    for call in CALLS {
        match call {
            Call::Malloc(name, size) => {
                let ends = std::iter::once(0).chain(laid.iter().map(|(.., end)| *end));
                let starts = laid.iter().map(|(_, start, _)| *start).chain([usize::MAX]);
                let gaps: Vec<(usize, usize)> = ends.zip(starts).collect();
                let fits = |(start, end): &(usize, usize)| end - start >= size;
                let index = if reuse { gaps.iter().position(fits).unwrap_or(laid.len()) } else { laid.len() };
                laid.insert(index, (name, gaps[index].0, gaps[index].0 + size));
                end = end.max(gaps[index].0 + size);
            }
            Call::Free(name) if reuse => laid.retain(|(other, ..)| *other != name),
            Call::Free(_) => {}
        }
    }
    end
}

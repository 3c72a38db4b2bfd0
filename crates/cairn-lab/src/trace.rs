//! An allocation trace: what a program asked of its heap, in order.
//!
//! The form on disk is that of the malloc-lab courses, a `.rep` file, plain or compressed with gzip:
//!
//! ```text
//!   20000        suggested heap size            (kept, not used)
//!   2            ids: 0 to ids - 1 are used
//!   5            operations: so many lines follow
//!   1            weight                         (kept, not used)
//!   a 0 512      p0 = malloc(512)
//!   a 1 0        p1 = malloc(0)                 a block without payload; it still has an address of its own
//!   r 0 640      p0 = realloc(p0, 640)          of an id that has no block: malloc(640)
//!   f 1          free(p1)
//!   f 0          free(p0)
//! ```
//!
//! An id may be used again after its block was freed, and blocks may be left at the end. Invariants of a [`Trace`] that
//! was read or passed [`Trace::validate`]: an id is allocated only while it has no block and freed only while it has
//! one; ids are below [`Trace::ids`]; no size exceeds [`SIZE_MAX`].

mod error;
mod read;
mod write;

pub use error::TraceError;

use std::collections::HashSet;

/// The largest size of one request that a trace may hold: half the address space of a process. A larger one is a
/// damaged file.
pub const SIZE_MAX: usize = 1 << 47;

/// One request of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// `p[id] = malloc(size)`; `id` has no block.
    Allocate {
        /// The name of the block.
        id: u32,
        /// Bytes of payload.
        size: usize,
    },
    /// `p[id] = realloc(p[id], size)`; an allocation if `id` has no block.
    Reallocate {
        /// The name of the block.
        id: u32,
        /// Bytes of payload from now on.
        size: usize,
    },
    /// `free(p[id])`; `id` has a block.
    Free {
        /// The name of the block.
        id: u32,
    },
}

impl Op {
    /// The name of the block that it is about.
    pub fn id(self) -> u32 {
        match self {
            Op::Allocate { id, .. } | Op::Reallocate { id, .. } | Op::Free { id } => id,
        }
    }

    /// The bytes of payload that the block has afterwards; none after a free.
    pub fn size(self) -> Option<usize> {
        match self {
            Op::Allocate { size, .. } | Op::Reallocate { size, .. } => Some(size),
            Op::Free { .. } => None,
        }
    }
}

/// A whole trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// What it is called: the file's name without its ending, or the generator's.
    pub name: String,
    /// The heap size that the header suggests; kept, not used.
    pub suggested_heap: u64,
    /// How many ids there are: all are below this.
    pub ids: u32,
    /// The weight that the header gives; kept, not used.
    pub weight: u64,
    /// The requests in order.
    pub ops: Vec<Op>,
    /// The line of each request in its file, if that isn't simply 5, 6, 7...; else empty.
    lines: Vec<u32>,
}

impl Trace {
    /// A trace that comes from no file. The suggested heap size is the greatest sum of live payload.
    pub fn new(name: impl Into<String>, ops: Vec<Op>) -> Trace {
        let ids = ops.iter().map(|op| op.id().saturating_add(1)).max().unwrap_or(0);
        let mut trace =
            Trace { name: name.into(), suggested_heap: 0, ids, weight: 1, ops, lines: Vec::new() };
        trace.suggested_heap = trace.peak_payload() as u64;
        trace
    }

    /// The line in the file at which request number `op` (counted from 0) stands.
    pub fn line(&self, op: usize) -> usize {
        self.lines.get(op).map_or(op + 1 + HEADER_LINES, |line| *line as usize)
    }

    /// The greatest sum of the payload of all live blocks, in bytes.
    pub fn peak_payload(&self) -> usize {
        let mut live = Live::new(self.ids);
        self.ops.iter().map(|op| live.apply(*op)).max().unwrap_or(0)
    }

    /// So many requests have been made when the live payload is at its greatest for the first time: the moment that says most about a
    /// heap, and the same one for every heap.
    pub fn peak_moment(&self) -> usize {
        let mut live = Live::new(self.ids);
        let (mut most, mut moment) = (0, 0);
        for (index, op) in self.ops.iter().enumerate() {
            let now = live.apply(*op);
            if now > most {
                (most, moment) = (now, index + 1);
            }
        }
        moment
    }

    /// Checks the invariants of the module's description.
    ///
    /// # Errors
    /// Tells the first request that breaks one.
    pub fn validate(&self) -> Result<(), TraceError> {
        let mut live = HashSet::new();
        for (index, op) in self.ops.iter().enumerate() {
            check(&mut live, self.ids, *op)
                .map_err(|reason| TraceError::at(&self.name, self.line(index), reason))?;
        }
        Ok(())
    }
}

/// Lines before the first request.
const HEADER_LINES: usize = 4;

/// Checks one request against the ids that have blocks, and carries it out on them.
fn check(live: &mut HashSet<u32>, ids: u32, op: Op) -> Result<(), String> {
    let id = op.id();
    if id >= ids {
        return Err(format!(
            "id {id} is out of range: the header says that there are {ids} ids, so the last is {}",
            i64::from(ids) - 1
        ));
    }
    if let Some(size) = op.size().filter(|size| *size > SIZE_MAX) {
        return Err(format!(
            "size {size} is more than a process can have (at most {SIZE_MAX} bytes): is the file damaged?"
        ));
    }
    match op {
        Op::Allocate { .. } if !live.insert(id) => Err(format!(
            "id {id} is allocated again while its block is live: free it first ('f {id}'), or use 'r'"
        )),
        Op::Free { .. } if !live.remove(&id) => {
            Err(format!("id {id} is freed but has no block: it was never allocated, or it was freed before"))
        }
        Op::Reallocate { .. } => {
            live.insert(id);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The payload of each id while a trace runs.
pub(crate) struct Live {
    sizes: Vec<usize>,
    sum: usize,
}

impl Live {
    pub(crate) fn new(ids: u32) -> Live {
        Live { sizes: vec![0; ids as usize], sum: 0 }
    }

    /// Carries out one request; returns the sum of live payload after it.
    pub(crate) fn apply(&mut self, op: Op) -> usize {
        let size = op.size().unwrap_or(0);
        let old = std::mem::replace(&mut self.sizes[op.id() as usize], size);
        self.sum = self.sum - old + size;
        self.sum
    }
}

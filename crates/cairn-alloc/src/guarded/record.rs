//! What is known of a run and the block in it, out of line: where, how large, who allocated and freed it.

use cairn_core::backtrace;
use cairn_core::os::thread_number;

use super::space::Way;

/// Return addresses that are kept of each stack.
const FRAMES: usize = 16;

/// Who did something, and where.
#[derive(Clone, Copy)]
pub struct Trace {
    /// The kernel's number of the thread; 0 if it never happened.
    pub thread: u32,
    count: u32,
    frames: [usize; FRAMES],
}

impl Trace {
    /// The calling thread's stack.
    #[inline(never)]
    pub fn here() -> Trace {
        let mut trace = Trace { thread: thread_number() as u32, count: 0, frames: [0; FRAMES] };
        trace.count = backtrace::capture(&mut trace.frames, 1) as u32;
        trace
    }

    pub fn frames(&self) -> &[usize] {
        &self.frames[..(self.count as usize).min(FRAMES)]
    }
}

/// Where a run stands. Zero is what fresh memory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// It has no block; the last one, if any, left quarantine.
    Vacant = 0,
    Live,
    /// In quarantine.
    Freed,
}

/// One run and its block.
///
/// Written under the pool's lock. The handler of a fault reads it without: the process ends there.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Record {
    /// The block's address and the size that was asked for.
    pub begin: usize,
    pub size: usize,
    /// The run's first page.
    pub first: u32,
    /// The pages that were opened for the block.
    pub open_first: u32,
    pub open_pages: u32,
    /// The next one in the list it is in (vacant, quarantine); 0 ends it.
    pub next: u32,
    pub class: u8,
    pub state: State,
    pub way: Way,
    pub allocated: Trace,
    pub freed: Trace,
}

impl Record {
    /// Where an address lies, seen from the block.
    pub fn relation(&self, address: usize) -> Relation {
        if address < self.begin {
            Relation::Before(self.begin - address)
        } else if address - self.begin < self.size {
            Relation::Inside(address - self.begin)
        } else {
            Relation::Behind(address - self.begin - self.size)
        }
    }
}

/// Where an address lies, seen from a block, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Before(usize),
    Inside(usize),
    Behind(usize),
}

impl Relation {
    /// How far outside.
    pub fn distance(self) -> usize {
        match self {
            Relation::Inside(_) => 0,
            Relation::Before(bytes) | Relation::Behind(bytes) => bytes,
        }
    }
}

//! `beyond-the-end`: writing past a block, past the heap, past its last page; what notices, and when.
//!
//! Each attempt happens in a child process, which is made for it and may die:
//!
//! ```text
//!   parent                                   child
//!   fork ──────────────────────────────────► makes a heap, two blocks
//!   reads /proc/CHILD/maps   ◄── before ──── where they are
//!   chooses the address      ─── target ───► writes one byte there
//!                            ◄── after ───── from the signal's handler: what it was told of the fault; or else the heap's audit
//!   waits: how did it end?
//! ```

mod child;

use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

use cairn_core::os;
use serde::Serialize;

use super::memory_map::{Region, parse};
use child::{AFTER, BEFORE, Before};

/// Bytes of payload of the blocks.
const ASKED: usize = 100;

/// Where an attempt writes.
#[derive(Clone, Copy, Debug)]
enum Target {
    /// So many bytes behind the first block's first.
    Block(usize),
    /// Behind the bytes of which one can know that the heap may use them: into the next block's header.
    NextHeader,
    /// At the heap's end.
    HeapEnd,
    /// Behind the region in which the heap ends.
    RegionEnd,
}

/// The attempts: name, what, whether the heap is at the program break (or else in a mapping), where.
const ATTEMPTS: [(&str, &str, bool, Target); 6] = [
    ("last-byte", "the last byte that was asked for", true, Target::Block(ASKED - 1)),
    ("rounding", "the first byte that wasn't", true, Target::Block(ASKED)),
    ("next-header", "the next block's header", true, Target::NextHeader),
    ("heap-end", "the first byte behind the heap", true, Target::HeapEnd),
    ("next-page", "the first byte of the next page", true, Target::RegionEnd),
    ("reserved", "the same, behind a heap from mmap", false, Target::RegionEnd),
];

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The byte was written.
    Written {
        /// The heap's audit afterwards; none if it finds nothing wrong.
        audit: Option<String>,
    },
    /// The kernel sent a signal.
    Signal {
        /// Its name.
        signal: &'static str,
        /// Why, in the kernel's word.
        reason: &'static str,
        /// The address that the signal's handler was told.
        address: usize,
    },
}

/// An attempt.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    /// A short name that doesn't change.
    pub name: &'static str,
    /// What was written to, for people.
    pub what: &'static str,
    /// Where the first block begins.
    pub block: usize,
    /// Bytes from there that belong to the block.
    pub usable: usize,
    /// Where the heap ends.
    pub heap_end: usize,
    /// The address that was written to.
    pub target: usize,
    /// The region that has the byte before the target.
    pub region: Option<Region>,
    /// The region that has the target.
    pub region_of_target: Option<Region>,
    /// What came of it.
    pub outcome: Outcome,
    /// The signal that ended the child, by the parent's own look; none if it ended by itself.
    pub died_of: Option<i32>,
}

/// What the lesson computed.
#[derive(Clone, Debug, Serialize)]
pub struct BeyondTheEnd {
    /// Bytes of a page.
    pub page: usize,
    /// Bytes of payload of the block.
    pub asked: usize,
    /// The attempts, farther and farther out.
    pub attempts: Vec<Attempt>,
}

/// Runs the lesson.
///
/// # Errors
/// If a child can't be made, or doesn't do its part.
pub fn run() -> Result<BeyondTheEnd, String> {
    let attempts: Result<Vec<Attempt>, String> = ATTEMPTS
        .iter()
        .map(|&(name, what, at_break, target)| {
            attempt(name, what, at_break, target).map_err(|error| format!("the attempt '{name}': {error}"))
        })
        .collect();
    Ok(BeyondTheEnd { page: os::page_size(), asked: ASKED, attempts: attempts? })
}

fn attempt(
    name: &'static str,
    what: &'static str,
    at_break: bool,
    target: Target,
) -> Result<Attempt, String> {
    let plain = |error: io::Error| error.to_string();
    let (mut from_child, to_parent) = io::pipe().map_err(plain)?;
    let (from_parent, mut to_child) = io::pipe().map_err(plain)?;
    let ends = child::Ends {
        report: to_parent.as_raw_fd(),
        target: from_parent.as_raw_fd(),
        not_ours: to_child.as_raw_fd(),
    };
    // SAFETY: the child calls nothing but what is safe after a fork of a process with threads: system calls and a heap of its own.
    let process = unsafe { libc::fork() };
    match process {
        -1 => return Err(format!("a child process can't be made: {}", io::Error::last_os_error())),
        0 => child::run(at_break, ASKED, ends),
        _ => drop((to_parent, from_parent)),
    }
    let mut talk = || -> Result<_, String> {
        let mut before = [0; BEFORE];
        from_child.read_exact(&mut before).map_err(|_| "the child got no memory for its heap".to_owned())?;
        let before = Before::read(&before);
        let regions = regions_of(process)?;
        let target = match target {
            Target::Block(offset) => before.block + offset,
            Target::NextHeader => before.block + before.usable,
            Target::HeapEnd => before.heap_end,
            Target::RegionEnd => {
                let last = regions.iter().find(|region| region.holds(before.heap_end - 1));
                last.ok_or("the heap's end lies in no region")?.end
            }
        };
        to_child.write_all(&target.to_ne_bytes()).map_err(plain)?;
        let mut after = [0; AFTER];
        from_child.read_exact(&mut after).map_err(|_| "the child didn't say what happened".to_owned())?;
        let (signal, code, address, text) = child::read_after(&after);
        let outcome = match signal {
            0 => Outcome::Written { audit: (!text.is_empty()).then_some(text) },
            _ => Outcome::Signal { signal: signal_name(signal), reason: reason(signal, code), address },
        };
        let region = |address: usize| regions.iter().find(|region| region.holds(address)).cloned();
        Ok((before, target, region(target - 1), region(target), outcome))
    };
    let talked = talk();
    // The child waits for a target in vain if there is none: it ends when this end of the pipe is closed.
    drop(to_child);
    let died_of = wait(process)?;
    let (before, target, region, region_of_target, outcome) = talked?;
    let Before { block, usable, heap_end } = before;
    Ok(Attempt { name, what, block, usable, heap_end, target, region, region_of_target, outcome, died_of })
}

/// The regions of a child of this process, which runs the same program.
fn regions_of(process: libc::pid_t) -> Result<Vec<Region>, String> {
    let path = format!("/proc/{process}/maps");
    let maps = std::fs::read_to_string(&path).map_err(|error| format!("{path} can't be read: {error}"))?;
    let program = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    Ok(parse(&maps, &program.to_string_lossy()))
}

/// Waits for a child's end; gives the signal that ended it.
fn wait(process: libc::pid_t) -> Result<Option<i32>, String> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is a place for the status.
        if unsafe { libc::waitpid(process, &raw mut status, 0) } == process {
            return Ok(libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(format!("the child can't be waited for: {error}"));
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        _ => "another signal",
    }
}

/// The names of `si_code` that a wrong address can have.
fn reason(signal: i32, code: i32) -> &'static str {
    const SEGV_MAPERR: i32 = 1;
    const SEGV_ACCERR: i32 = 2;
    match (signal, code) {
        (libc::SIGSEGV, SEGV_MAPERR) => "SEGV_MAPERR",
        (libc::SIGSEGV, SEGV_ACCERR) => "SEGV_ACCERR",
        _ => "another reason",
    }
}

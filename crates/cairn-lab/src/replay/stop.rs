//! Why a replay ended early: at which request, and what was wrong.

use std::fmt;

use cairn_heap::{Error, Fault, Violation};

use crate::trace::{Op, Trace};

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// The heap refused the request.
    Refused(Error),
    /// The heap took a live block for something else.
    Denied(Fault),
    /// The block is not aligned.
    Misaligned {
        /// Where it is.
        address: usize,
        /// What it should be a multiple of.
        align: usize,
    },
    /// The block is not within the heap.
    Outside {
        /// Where it is.
        address: usize,
        /// The bytes that were asked for.
        size: usize,
    },
    /// The block overlaps a live one.
    Overlap {
        /// Where it is.
        address: usize,
        /// The bytes that were asked for.
        size: usize,
        /// The id of the other.
        other: u32,
        /// Where the other is.
        other_address: usize,
        /// The bytes that were asked for the other.
        other_size: usize,
    },
    /// The heap says that the block has less room than was asked for.
    Short {
        /// Where it is.
        address: usize,
        /// The bytes that were asked for.
        size: usize,
        /// The bytes that it has.
        usable: usize,
    },
    /// A live block's contents have changed.
    Contents {
        /// The block's id.
        id: u32,
        /// Where the block is.
        address: usize,
        /// The first byte that is wrong, from the block's beginning.
        offset: usize,
        /// The bytes that were asked for.
        size: usize,
    },
    /// The heap's own audit found a violation.
    Unsound(Violation),
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Complaint::Refused(error) => write!(out, "the heap refuses: {error}"),
            Complaint::Denied(fault) => write!(out, "the heap denies a live block: {fault}"),
            Complaint::Misaligned { address, align } => {
                write!(out, "the block at {address:#x} is not aligned to {align}")
            }
            Complaint::Outside { address, size } => {
                write!(out, "the block at {address:#x} of {size} bytes is not within the heap")
            }
            Complaint::Overlap { address, size, other, other_address, other_size } => write!(
                out,
                "the block at {address:#x} of {size} bytes overlaps the live block of id {other} at {other_address:#x} of \
                 {other_size} bytes"
            ),
            Complaint::Short { address, size, usable } => {
                write!(out, "the block at {address:#x} has {usable} bytes, but {size} were asked for")
            }
            Complaint::Contents { id, address, offset, size } => write!(
                out,
                "the contents of id {id} were not kept: byte {offset} of {size} of the block at {address:#x} has changed"
            ),
            Complaint::Unsound(violation) => write!(out, "the heap is unsound: {violation}"),
        }
    }
}

/// Where a replay ended early, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The request, counted from 0; none if it was found after the last one.
    pub op: Option<usize>,
    /// Its line in the trace's file.
    pub line: usize,
    /// The request itself, as it is written in a file.
    pub request: String,
    /// What was wrong.
    pub complaint: Complaint,
}

impl Stop {
    /// A stop at a request.
    pub(super) fn at(trace: &Trace, op: usize, complaint: Complaint) -> Stop {
        let request = match trace.ops[op] {
            Op::Allocate { id, size } => format!("a {id} {size}"),
            Op::Reallocate { id, size } => format!("r {id} {size}"),
            Op::Free { id } => format!("f {id}"),
        };
        Stop { op: Some(op), line: trace.line(op), request, complaint }
    }

    /// A stop after the last request.
    pub(super) fn after(trace: &Trace, complaint: Complaint) -> Stop {
        Stop {
            op: None,
            line: trace.line(trace.ops.len().saturating_sub(1)),
            request: String::new(),
            complaint,
        }
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            Some(op) => {
                write!(
                    out,
                    "operation {} ('{}', line {}): {}",
                    op + 1,
                    self.request,
                    self.line,
                    self.complaint
                )
            }
            None => write!(out, "after the last operation: {}", self.complaint),
        }
    }
}

impl std::error::Error for Stop {}

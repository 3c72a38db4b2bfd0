//! The timed run: requests as fast as they come, nothing looked at, nothing written to the blocks.

use std::alloc::Layout;
use std::ptr::NonNull;
use std::time::Instant;

use cairn_heap::Error;

use super::{Complaint, Options, Stop};
use crate::policies::{AnyHeap, Memory, Policy, Setup};
use crate::trace::{Op, Trace};

/// The block of each id and the bytes it was asked for.
#[derive(Debug)]
pub struct Slots(Vec<(Option<NonNull<u8>>, usize)>);

impl Slots {
    /// No blocks, for this trace.
    pub fn new(trace: &Trace) -> Slots {
        Slots(vec![(None, 0); trace.ids as usize])
    }

    /// The same again.
    pub fn clear(&mut self) {
        self.0.fill((None, 0));
    }
}

/// The layout of a request: malloc's alignment, whatever the size. None if a layout can't be so large.
#[inline]
pub(super) fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, 8).ok()
}

/// Runs requests on a heap; the number of the first that fails, and why.
pub(crate) fn race<H: AnyHeap + ?Sized>(
    heap: &mut H,
    ops: &[Op],
    slots: &mut Slots,
) -> Result<(), (usize, Error)> {
    for (number, op) in ops.iter().enumerate() {
        let slot = &mut slots.0[op.id() as usize];
        let done = match (*op, slot.0) {
            (Op::Free { .. }, Some(block)) => {
                slot.0 = None;
                // SAFETY: the block was given for this id, and nobody uses it.
                unsafe { heap.free(block) }.map_err(Error::Fault)
            }
            (Op::Free { .. }, None) => Ok(()),
            (Op::Reallocate { size, .. }, Some(block)) => {
                let old = layout(slot.1).ok_or(Error::TooLarge);
                // SAFETY: as above; the slot is overwritten if it succeeds.
                let moved = old.and_then(|old| unsafe { heap.reallocate(block, old, size) });
                moved.map(|block| *slot = (Some(block), size))
            }
            (Op::Allocate { size, .. } | Op::Reallocate { size, .. }, _) => match layout(size) {
                Some(layout) => heap.allocate(layout).map(|block| *slot = (Some(block), size)),
                None => Err(Error::TooLarge),
            },
        };
        if let Err(error) = done {
            return Err((number, error));
        }
    }
    Ok(())
}

/// The seconds of the fastest of several runs, and how many there were.
pub(super) fn fastest(
    trace: &Trace,
    policy: &Policy,
    setup: Setup,
    memory: &Memory,
    options: &Options,
) -> Result<(f64, u32), Stop> {
    let mut slots = Slots::new(trace);
    let begun = Instant::now();
    let mut fastest = f64::INFINITY;
    for round in 1.. {
        slots.clear();
        let mut heap = policy.make_plain(setup, memory);
        let start = Instant::now();
        let done = heap.race(&trace.ops, &mut slots);
        fastest = fastest.min(start.elapsed().as_secs_f64());
        done.map_err(|(number, error)| Stop::at(trace, number, Complaint::Refused(error)))?;
        if round >= options.rounds || begun.elapsed().as_secs_f64() >= options.seconds {
            return Ok((fastest, round));
        }
    }
    unreachable!("the rounds are counted")
}

//! Runs a trace on a policy's heap under a recorder's eyes.

use std::alloc::Layout;
use std::collections::HashMap;
use std::ptr::NonNull;

use cairn_heap::Error;

use super::{Entry, Keep, Point, Raw, Recorder, Recording, State};
use crate::policies::{AnyHeap, HEADER, Policy, Setup};
use crate::replay::{Complaint, Stop, memory_for};
use crate::trace::{Op, Trace};

/// Operations between two words of progress.
const TELL: usize = 256;

// The two headers are the same word.
const _: () = assert!(HEADER == super::HEADER, "a picture's header is the heap's");

/// Runs a trace and keeps what is asked for. `progress` hears how many operations were carried out since it last heard.
///
/// # Errors
/// One sentence, if there is no memory for the heap or the heap refuses an operation.
pub fn record(
    trace: &Trace,
    policy: &Policy,
    setup: Setup,
    keep: Keep,
    progress: &mut dyn FnMut(u64),
) -> Result<Recording, String> {
    let memory = memory_for(trace, setup)?;
    let mut heap = policy.make(setup, &memory);
    let name = match setup {
        Setup::Standard => policy.name.to_owned(),
        other => format!("{}, {}", policy.name, other.name()),
    };
    let mut recorder = Recorder::new(&trace.name, &name, keep);
    let mut live = HashMap::new();
    for (number, op) in trace.ops.iter().enumerate() {
        let placed = step(&mut *heap, &mut live, *op).map_err(|complaint| {
            let stop = Stop { op: Some(number), line: trace.line(number), request: request(*op), complaint };
            format!("{}: {}: {stop}", trace.name, policy.name)
        })?;
        let address = placed.map(|block| block.as_ptr().addr());
        recorder.note(*op, address, heap.extent(), || look(&*heap));
        if (number + 1).is_multiple_of(TELL) {
            progress(TELL as u64);
        }
    }
    Ok(recorder.finish())
}

/// The curve of a trace's run.
///
/// # Errors
/// As [`record`].
pub fn curve(
    trace: &Trace,
    policy: &Policy,
    setup: Setup,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<Point>, String> {
    match record(trace, policy, setup, Keep::Curve, progress)? {
        Recording::Curve(curve) => Ok(curve),
        Recording::Still(still) => Ok(still.curve),
        Recording::History(history) => Ok(history.curve),
    }
}

/// A live block: where, and the bytes asked for.
type Live = HashMap<u32, (NonNull<u8>, usize)>;

/// Carries out one operation; returns where the block is now.
fn step(heap: &mut dyn AnyHeap, live: &mut Live, op: Op) -> Result<Option<NonNull<u8>>, Complaint> {
    // As in a replay: the heap itself aligns every block as its configuration says.
    let layout = |size| Layout::from_size_align(size, 8).map_err(|_| Complaint::Refused(Error::TooLarge));
    let (block, size) = match (op, live.get(&op.id()).copied()) {
        (Op::Free { id }, Some((block, _))) => {
            live.remove(&id);
            // SAFETY: only the table knew the block, and forgot it.
            unsafe { heap.free(block) }.map_err(Complaint::Denied)?;
            return Ok(None);
        }
        (Op::Free { .. }, None) => return Ok(None),
        (Op::Reallocate { size, .. }, Some((old, old_size))) => {
            // SAFETY: only the table knows the block, and learns its new place below.
            let block = unsafe { heap.reallocate(old, layout(old_size)?, size) };
            (block.map_err(Complaint::Refused)?, size)
        }
        (Op::Allocate { size, .. } | Op::Reallocate { size, .. }, _) => {
            (heap.allocate(layout(size)?).map_err(Complaint::Refused)?, size)
        }
    };
    live.insert(op.id(), (block, size));
    Ok(Some(block))
}

/// The heap as it shows itself.
fn look(heap: &dyn AnyHeap) -> Raw {
    let mut raw = Raw::default();
    heap.blocks(&mut |block| {
        let state = match block.state {
            cairn_heap::State::Used => State::Used,
            cairn_heap::State::Free => State::Free,
            cairn_heap::State::Waiting => State::Waiting,
        };
        raw.blocks.push((block.address, block.size, state));
    });
    heap.index(&mut |entry| {
        raw.index.push(Entry {
            offset: entry.address,
            size: entry.size,
            list: entry.list,
            parent: entry.parent,
            level: entry.level,
        });
    });
    raw
}

/// An operation as a trace's file has it.
fn request(op: Op) -> String {
    match op {
        Op::Allocate { id, size } => format!("a {id} {size}"),
        Op::Reallocate { id, size } => format!("r {id} {size}"),
        Op::Free { id } => format!("f {id}"),
    }
}

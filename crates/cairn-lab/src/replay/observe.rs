//! The checked run: everything that can be seen of a heap but its speed.

use super::checked::Checked;
use super::curve::{Curve, Point};
use super::stop::Stop;
use crate::policies::{AnyHeap, Counts, Memory};
use crate::trace::Trace;

/// Requests between two words of progress.
const TELL: usize = 256;

/// What was seen of a heap.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The greatest extent, in bytes.
    pub extent: usize,
    /// Payload of all live blocks when the heap first had its greatest extent.
    pub live_then: usize,
    /// Bytes of these blocks as a whole, headers and rounding included.
    pub used_then: usize,
    /// What the heap counted.
    pub counts: Counts,
    /// Pages of the heap that were written to by heap or program.
    pub pages_touched: usize,
    /// The heap over time.
    pub curve: Curve,
}

/// Runs a trace on an empty heap in fresh memory, and checks each block's alignment, place and contents, and that no two
/// overlap.
///
/// # Errors
/// The first request at which something is wrong.
pub fn observe(
    trace: &Trace,
    heap: &mut dyn AnyHeap,
    memory: &Memory,
    align: usize,
    progress: &mut dyn FnMut(u64),
) -> Result<Observed, Stop> {
    let mut run = Checked::new(trace, heap, memory.range(), align);
    let mut curve = Curve::new(trace.ops.len());
    let (mut greatest, mut live_then, mut used_then) = (0, 0, 0);
    for (number, op) in trace.ops.iter().enumerate() {
        run.step(*op).map_err(|complaint| Stop::at(trace, number, complaint))?;
        let extent = run.heap.extent();
        if extent > greatest {
            (greatest, live_then, used_then) = (extent, run.live, run.used);
        }
        curve.push(Point { live: run.live, extent });
        if (number + 1).is_multiple_of(TELL) {
            progress(TELL as u64);
        }
    }
    run.finish().map_err(|complaint| Stop::after(trace, complaint))?;
    progress((trace.ops.len() % TELL) as u64);
    let counts = run.heap.counts();
    Ok(Observed {
        extent: greatest,
        live_then,
        used_then,
        counts,
        pages_touched: memory.pages_touched(),
        curve,
    })
}

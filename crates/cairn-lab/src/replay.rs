//! Runs a trace on a heap, checks what the heap gives, and measures it.
//!
//! ```text
//!   trace ──┬─► bounds                     what no heap and what the best heap would need
//!           │
//!           ├─► observe   one run with everything checked: addresses, overlap, contents  ─► extent, counts, pages, curve
//!           │     └ checked ─ shadow       (one request; what must be in memory)
//!           └─► timed     some runs with nothing checked, on the same pages              ─► time
//!                                                             both ─► Outcome ─► score, means, plot
//! ```
//! [`audit`] is the other way to run a trace: the heap's own audit after each request.

mod bounds;
mod checked;
mod curve;
mod observe;
pub mod plot;
mod score;
mod shadow;
mod stop;
mod summary;
mod timed;

pub use bounds::Bounds;
pub use checked::audit;
pub use curve::{Curve, Point};
pub use observe::{Observed, observe};
pub use score::Score;
pub use stop::{Complaint, Stop};
pub use summary::{Failure, Means, Outcome, Report, means};
pub use timed::Slots;
pub(crate) use timed::race;

use crate::policies::{Memory, Policy, Setup};
use crate::trace::Trace;

/// How a replay is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Timed runs of each heap, of which the fastest counts.
    pub rounds: u32,
    /// No further timed run begins after so many seconds.
    pub seconds: f64,
    /// How a heap is scored.
    pub score: Score,
}

impl Default for Options {
    fn default() -> Options {
        Options { rounds: 7, seconds: 1.0, score: Score::default() }
    }
}

/// Runs one trace on each of these heaps. `progress` hears how many requests were carried out since it last heard, in all
/// [`work`] of them.
pub fn replay(
    trace: &Trace,
    heaps: &[(&Policy, Setup)],
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Report {
    let mut report = Report::new(trace, heaps);
    for (policy, setup) in heaps {
        let mut reported = 0;
        let done = replay_one(trace, policy, *setup, options, &mut |ops| {
            reported += ops;
            progress(ops);
        });
        match done {
            Ok(outcome) => report.results.push(outcome),
            Err(sentence) => report.failures.push(Failure::new(policy, *setup, sentence)),
        }
        progress((2 * trace.ops.len() as u64).saturating_sub(reported));
    }
    report
}

/// What a replay of this trace on one heap counts as, in requests: the checked run and the timed ones.
pub fn work(trace: &Trace) -> u64 {
    2 * trace.ops.len() as u64
}

/// Memory that any sensible heap can run this trace in. A heap that needs more than no reuse at all is a bad one; it also grows in steps.
///
/// # Errors
/// If there isn't so much address space.
pub fn memory_for(trace: &Trace, setup: Setup) -> Result<Memory, String> {
    const MOST: u64 = 16 << 30;
    let wanted = Bounds::of(trace, setup).no_reuse;
    let bytes = (wanted + wanted / 8 + (1 << 20)).min(MOST);
    usize::try_from(bytes).ok().and_then(Memory::new).ok_or_else(|| {
        format!("{} MiB of address space can't be had for the heap: raise the limit (ulimit -v)", bytes >> 20)
    })
}

fn replay_one(
    trace: &Trace,
    policy: &Policy,
    setup: Setup,
    options: &Options,
    progress: &mut dyn FnMut(u64),
) -> Result<Outcome, String> {
    let memory = memory_for(trace, setup)?;
    let mut heap = policy.make(setup, &memory);
    let observed =
        observe(trace, &mut *heap, &memory, setup.align(), progress).map_err(|stop| stop.to_string())?;
    drop(heap);
    let (seconds, rounds) =
        timed::fastest(trace, policy, setup, &memory, options).map_err(|stop| stop.to_string())?;
    progress(trace.ops.len() as u64);
    Ok(Outcome::new(trace, policy, setup, observed, seconds, rounds, options))
}

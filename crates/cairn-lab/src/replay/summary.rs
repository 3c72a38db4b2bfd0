//! The figures of a replay: per trace and heap, and the means over traces.

use serde::Serialize;

use super::bounds::Bounds;
use super::curve::Curve;
use super::observe::Observed;
use super::{Options, Score};
use crate::policies::{Counts, Policy, Setup};
use crate::trace::Trace;

/// The figures of one trace on one heap; the fields are the keys of the JSON form.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The policy's name.
    pub policy: &'static str,
    /// The configuration's name.
    pub config: &'static str,
    /// The greatest extent of the heap, in bytes.
    pub heap_bytes: u64,
    /// Peak of live payload over greatest extent.
    pub utilisation: f64,
    /// The bound of perfect reuse over greatest extent: 1 is the best that any heap of this configuration could do.
    pub of_perfect: f64,
    /// When the heap first had its greatest extent: the part of it that was neither payload nor free (headers, rounding).
    pub internal_fragmentation: f64,
    /// At the same moment: the part that was free, or waiting to be joined.
    pub external_fragmentation: f64,
    /// Pages written to by heap or program.
    pub pages_touched: u64,
    /// What the heap counted.
    #[serde(flatten)]
    pub counts: Counts,
    /// Free blocks looked at in a search, on average.
    pub mean_search: f64,
    /// Seconds of the fastest timed run.
    pub seconds: f64,
    /// How many timed runs there were.
    pub rounds: u32,
    /// Operations a second.
    pub throughput: f64,
    /// Nanoseconds for an operation.
    pub ns_per_op: f64,
    /// The malloc-lab score.
    pub score: f64,
    /// The heap over time.
    #[serde(skip)]
    pub curve: Curve,
}

/// `a / b`, and 0 where there is nothing to divide by.
fn ratio(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}

impl Outcome {
    pub(super) fn new(
        trace: &Trace,
        policy: &Policy,
        setup: Setup,
        seen: Observed,
        seconds: f64,
        rounds: u32,
        options: &Options,
    ) -> Outcome {
        let extent = seen.extent as f64;
        let utilisation = ratio(trace.peak_payload() as f64, extent);
        let ops = trace.ops.len() as f64;
        let throughput = ratio(ops, seconds);
        Outcome {
            policy: policy.name,
            config: setup.name(),
            heap_bytes: seen.extent as u64,
            utilisation,
            of_perfect: ratio(Bounds::of(trace, setup).perfect_reuse as f64, extent),
            internal_fragmentation: ratio((seen.used_then - seen.live_then) as f64, extent),
            external_fragmentation: ratio(extent - seen.used_then as f64, extent),
            pages_touched: seen.pages_touched as u64,
            counts: seen.counts,
            mean_search: ratio(seen.counts.steps as f64, seen.counts.searches as f64),
            seconds,
            rounds,
            throughput,
            ns_per_op: ratio(1e9 * seconds, ops),
            score: options.score.of(utilisation, throughput),
            curve: seen.curve,
        }
    }
}

/// A heap that did not get through a trace.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The policy's name.
    pub policy: &'static str,
    /// The configuration's name.
    pub config: &'static str,
    /// Where and why.
    pub reason: String,
}

impl Failure {
    pub(super) fn new(policy: &Policy, setup: Setup, reason: String) -> Failure {
        Failure { policy: policy.name, config: setup.name(), reason }
    }
}

/// The bounds under one configuration.
#[derive(Clone, Debug, Serialize)]
pub struct BoundsOf {
    /// The configuration's name.
    pub config: &'static str,
    /// The bounds.
    #[serde(flatten)]
    pub bounds: Bounds,
}

/// One trace on several heaps.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The trace's name.
    pub trace: String,
    /// Its requests.
    pub operations: usize,
    /// Its ids.
    pub ids: u32,
    /// The greatest sum of live payload, in bytes.
    pub peak_payload: u64,
    /// How large the heap would be without any reuse, and with perfect reuse.
    pub bounds: Vec<BoundsOf>,
    /// The heaps that got through.
    pub results: Vec<Outcome>,
    /// The heaps that didn't.
    pub failures: Vec<Failure>,
}

impl Report {
    pub(super) fn new(trace: &Trace, heaps: &[(&Policy, Setup)]) -> Report {
        let mut bounds: Vec<BoundsOf> = Vec::new();
        for (_, setup) in heaps {
            if bounds.iter().all(|known| known.config != setup.name()) {
                bounds.push(BoundsOf { config: setup.name(), bounds: Bounds::of(trace, *setup) });
            }
        }
        Report {
            trace: trace.name.clone(),
            operations: trace.ops.len(),
            ids: trace.ids,
            peak_payload: trace.peak_payload() as u64,
            bounds,
            results: Vec::new(),
            failures: Vec::new(),
        }
    }
}

/// One heap over all traces.
#[derive(Clone, Debug, Serialize)]
pub struct Means {
    /// The policy's name.
    pub policy: &'static str,
    /// The configuration's name.
    pub config: &'static str,
    /// How many traces it got through.
    pub traces: usize,
    /// The mean of the utilisations.
    pub utilisation: f64,
    /// The mean of the parts of perfect reuse.
    pub of_perfect: f64,
    /// The mean of the internal fragmentations.
    pub internal_fragmentation: f64,
    /// The mean of the external fragmentations.
    pub external_fragmentation: f64,
    /// All free blocks looked at over all searches.
    pub mean_search: f64,
    /// All operations over all seconds.
    pub throughput: f64,
    /// All nanoseconds over all operations.
    pub ns_per_op: f64,
    /// The malloc-lab score of the mean utilisation and this throughput.
    pub score: f64,
}

/// Each heap's means over the traces that it got through, in the order of the heaps.
pub fn means(reports: &[Report], heaps: &[(&Policy, Setup)], score: Score) -> Vec<Means> {
    let of_heap = |(policy, setup): &(&Policy, Setup)| {
        let is_it = |outcome: &&Outcome| outcome.policy == policy.name && outcome.config == setup.name();
        let all: Vec<(&Report, &Outcome)> = reports
            .iter()
            .filter_map(|report| report.results.iter().find(is_it).map(|outcome| (report, outcome)))
            .collect();
        let sum =
            |figure: &dyn Fn(&Outcome) -> f64| all.iter().map(|(_, outcome)| figure(outcome)).sum::<f64>();
        let mean = |figure: &dyn Fn(&Outcome) -> f64| ratio(sum(figure), all.len() as f64);
        let ops: f64 = all.iter().map(|(report, _)| report.operations as f64).sum();
        let seconds = sum(&|outcome| outcome.seconds);
        let utilisation = mean(&|outcome| outcome.utilisation);
        let throughput = ratio(ops, seconds);
        Means {
            policy: policy.name,
            config: setup.name(),
            traces: all.len(),
            utilisation,
            of_perfect: mean(&|outcome| outcome.of_perfect),
            internal_fragmentation: mean(&|outcome| outcome.internal_fragmentation),
            external_fragmentation: mean(&|outcome| outcome.external_fragmentation),
            mean_search: ratio(
                sum(&|outcome| outcome.counts.steps as f64),
                sum(&|outcome| outcome.counts.searches as f64),
            ),
            throughput,
            ns_per_op: ratio(1e9 * seconds, ops),
            score: score.of(utilisation, throughput),
        }
    };
    heaps.iter().map(of_heap).collect()
}

//! Who runs when: the allocators take turns, so that a drift of the machine meets all of them, and each turn has another order: what the
//! process before has left behind must not always meet the same one. How much free memory the machine has at hand is
//! the same before each run, see `cairn_workload::ready`.
//!
//! ```text
//!   turn 1   B C D E A      one process each; a disturbed run is repeated at once
//!   turn 2   C E B D A
//!   …
//!   extra    A   C          only those that decide the load, while medians and minima disagree
//! ```

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::catalogue::{Kind, Load};
use super::distance::Places;
use super::measure::{Measured, measure};
use super::peers::Peer;
use super::progress::Progress;
use super::results::{Cell, LoadResult, Run};
use super::standing::in_doubt;

/// How much is run.
pub struct Plan {
    /// The program `cairn-workload`.
    pub workload: PathBuf,
    /// Turns of each allocator.
    pub runs: u32,
    /// More turns of those that decide a load, while its medians and minima disagree.
    pub extra_runs: u32,
    /// Repetitions of a disturbed run.
    pub retries: u32,
    /// When a run is ended.
    pub timeout: Duration,
    /// When the session has to be over; a load that isn't through by then is left out.
    pub deadline: Option<Instant>,
}

impl Plan {
    /// How many runs a load takes if nothing has to be repeated.
    pub fn steps(&self, load: &Load, peers: &[Peer]) -> u64 {
        partners(load, peers).count() as u64 * u64::from(self.runs)
    }

    /// Whether the time is up.
    pub fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// MiB of free memory that a load's first run has at hand.
const READY_FIRST_MIB: u64 = 512;

/// And all others, by what this load had so far, whichever allocator it ran on: twice as much as any of its processes, and some.
fn ready_mib(result: &LoadResult) -> u64 {
    let runs = result.cells.iter().flat_map(|cell| &cell.runs);
    runs.map(|run| run.report.peak_rss_kib >> 10).max().map_or(READY_FIRST_MIB, |peak| 2 * peak + 64)
}

/// Failures of one cell after which it is left alone: a peer that always hangs should not take an hour.
const FAILURES_MAX: usize = 2;

/// The allocators that can take part in a load: at the Rust door one needs a program with its crate; glibc is what the
/// workload program has by itself.
fn partners<'a>(load: &Load, peers: &'a [Peer]) -> impl Iterator<Item = &'a Peer> {
    let door = load.kind == Kind::RustDoor;
    peers.iter().filter(move |peer| !door || peer.rust.is_some() || peer.library.is_none())
}

/// One load on all allocators, while it is measured.
struct Session<'a> {
    load: &'a Load,
    plan: &'a Plan,
    /// What a program printed with glibc.
    expected: Option<Vec<u8>>,
    result: LoadResult,
    places: &'a mut Places,
}

/// Runs one load on all allocators that can take part in it; none if the time was up before each had its turns.
pub fn run(
    load: &Load,
    peers: &[Peer],
    plan: &Plan,
    progress: &Progress,
    places: &mut Places,
) -> anyhow::Result<Option<LoadResult>> {
    let peers: Vec<&Peer> = partners(load, peers).collect();
    let cells = peers
        .iter()
        .map(|peer| Cell { allocator: peer.name.clone(), runs: Vec::new(), failures: Vec::new() })
        .collect();
    let result = LoadResult {
        name: load.name.clone(),
        about: load.about.clone(),
        kind: load.kind,
        operation: None,
        cells,
    };
    // The first run of a program also reads it from the disk: that one is not counted, and its output is the
    // expected one, from the C library's own allocator.
    let expected = match load.kind {
        Kind::Program => Some(measure(load, &Peer::glibc(), plan, READY_FIRST_MIB, places)?.output),
        _ => None,
    };
    let mut session = Session { load, plan, expected, result, places };
    for turn in 1..=plan.runs {
        for peer in order(peers.len(), turn).map(|place| peers[place]) {
            if plan.is_over() {
                return Ok(None);
            }
            progress.step(&load.name, &peer.name, turn, plan.runs);
            session.turn(peer)?;
        }
    }
    for turn in 1..=plan.extra_runs {
        let doubtful = in_doubt(&session.result);
        if doubtful.is_empty() || plan.is_over() {
            break;
        }
        for peer in peers.iter().filter(|peer| doubtful.contains(&peer.name)) {
            progress.again(&load.name, &peer.name, turn);
            session.turn(peer)?;
        }
    }
    Ok(Some(session.result))
}

/// The order of so many in a turn, the first of which is number 1: from another one on each time, and by another step, so that
/// nobody has the same one before it in the next turns.
fn order(count: usize, turn: u32) -> impl Iterator<Item = usize> {
    let turn = turn as usize;
    // Those steps that come to all; 1 is always one.
    let steps: Vec<usize> = (1..count.max(2)).filter(|&step| common_divisor(step, count) == 1).collect();
    let step = steps[(turn - 1) % steps.len()];
    (0..count).map(move |n| (turn + n * step) % count)
}

fn common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

impl Session<'_> {
    /// One run of one allocator, which goes into its cell.
    fn turn(&mut self, peer: &Peer) -> anyhow::Result<()> {
        let ready_mib = ready_mib(&self.result);
        let cell = self.result.cells.iter_mut().find(|cell| cell.allocator == peer.name);
        let Some(cell) = cell.filter(|cell| cell.failures.len() < FAILURES_MAX) else { return Ok(()) };
        let measured =
            quietest(self.plan.retries, || measure(self.load, peer, self.plan, ready_mib, self.places))?;
        self.result.operation = self.result.operation.take().or(measured.operation);
        match measured.run {
            Ok(_) if self.expected.as_ref().is_some_and(|expected| *expected != measured.output) => {
                cell.failures.push("printed another result than with glibc".to_owned());
            }
            Ok(run) => cell.runs.push(run),
            Err(failure) => cell.failures.push(failure),
        }
        Ok(())
    }
}

/// Repeats a run while it is disturbed, and keeps the least disturbed attempt, the first of them. Not the quickest: the choice must
/// not depend on what is measured.
fn quietest(retries: u32, mut attempt: impl FnMut() -> anyhow::Result<Measured>) -> anyhow::Result<Measured> {
    // Elsewhere a run is another one altogether, however long it took.
    let disturbance = |run: &Run| if run.moved { f64::INFINITY } else { run.disturbed_s };
    let mut best = attempt()?;
    for _ in 0..retries {
        let Ok(run) = &best.run else { break };
        let least = disturbance(run);
        if !run.is_disturbed() {
            break;
        }
        let next = attempt()?;
        match &next.run {
            Ok(run) if disturbance(run) >= least => {}
            // A failure is a result too, and may not be hidden by the attempt before it.
            _ => best = next,
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_workload::launch::{End, Report};

    /// Stands for the disturbance of a run on CPUs elsewhere.
    const MOVED: f64 = -1.0;

    fn measured(disturbed_s: f64, wall_ns: u64) -> Measured {
        let report = Report {
            end: End::Exit(0),
            wall_ns,
            user_ns: 0,
            system_ns: 0,
            peak_rss_kib: 0,
            minor_faults: 0,
            major_faults: 0,
            voluntary_switches: 0,
            involuntary_switches: 0,
        };
        let moved = disturbed_s == MOVED;
        let disturbed_s = if moved { 0.0 } else { disturbed_s };
        let (points, distances_ns) = (Vec::new(), Vec::new());
        let run = Run { report, ns_per_operation: None, points, distances_ns, moved, disturbed_s };
        Measured { run: Ok(run), output: Vec::new(), operation: None }
    }

    fn choose(attempts: &[(f64, u64)], retries: u32) -> (u64, usize) {
        let mut made = 0;
        let best = quietest(retries, || {
            made += 1;
            let (disturbed_s, wall_ns) = attempts[made - 1];
            Ok(measured(disturbed_s, wall_ns))
        });
        (best.unwrap().run.unwrap().report.wall_ns, made)
    }

    #[test]
    fn each_turn_has_all_and_others_before_them() {
        assert_eq!(order(5, 1).collect::<Vec<_>>(), [1, 2, 3, 4, 0]);
        assert_eq!(order(5, 2).collect::<Vec<_>>(), [2, 4, 1, 3, 0]);
        for count in 0..12 {
            let mut pairs = std::collections::BTreeSet::new();
            for turn in 1..=9 {
                let places: Vec<usize> = order(count, turn).collect();
                let mut sorted = places.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..count).collect::<Vec<_>>());
                if count == 8 && turn <= 4 {
                    let new = places.windows(2).filter(|pair| pairs.insert((pair[0], pair[1]))).count();
                    assert_eq!(new, 7, "turn {turn}: somebody runs after the same one again");
                }
            }
        }
    }

    #[test]
    fn a_quiet_run_is_not_repeated() {
        assert_eq!(choose(&[(0.0, 9)], 2), (9, 1));
    }

    #[test]
    fn a_disturbed_run_is_repeated_until_quiet() {
        assert_eq!(choose(&[(0.5, 1), (0.0, 9)], 2), (9, 2));
    }

    #[test]
    fn the_least_disturbed_attempt_stays_even_if_it_is_slow() {
        assert_eq!(choose(&[(0.5, 1), (0.1, 9), (0.3, 2)], 2), (9, 3));
    }

    #[test]
    fn a_run_elsewhere_is_repeated_and_the_last_choice_but_never_the_quickest_of_them() {
        assert_eq!(choose(&[(MOVED, 9), (MOVED, 1), (0.0, 5)], 2), (5, 3));
        assert_eq!(choose(&[(MOVED, 1), (0.7, 9), (MOVED, 2)], 2), (9, 3));
        assert_eq!(choose(&[(MOVED, 9), (MOVED, 1), (MOVED, 2)], 2), (9, 3));
    }

    #[test]
    fn at_the_rust_door_an_allocator_needs_a_program_of_its_own() {
        let mut peers = vec![Peer::glibc(), Peer::preloaded("x", "x.so".into())];
        peers.push(Peer { rust: Some("workload-y".into()), ..Peer::preloaded("y", "y.so".into()) });
        let loads = crate::compare::catalogue::patterns(1.0);
        let names = |kind: Kind| {
            let load = loads.iter().find(|load| load.kind == kind).unwrap();
            partners(load, &peers).map(|peer| peer.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(names(Kind::RustDoor), ["glibc", "y"]);
        assert_eq!(names(Kind::OneThread), ["glibc", "x", "y"]);
    }

    #[test]
    fn a_failure_is_never_hidden() {
        let mut attempts = [measured(0.5, 1), measured(0.1, 2)].into_iter();
        let mut last = false;
        let result = quietest(2, || {
            Ok(attempts.next().unwrap_or_else(|| {
                last = true;
                Measured { run: Err("crashed".to_owned()), output: Vec::new(), operation: None }
            }))
        });
        assert!(result.unwrap().run.is_err() && last);
    }
}

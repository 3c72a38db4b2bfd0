//! Who runs when: the allocators take turns, A B C A B C, so that a drift of the machine meets all of them.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::catalogue::{Kind, Load};
use super::measure::{Measured, measure};
use super::peers::Peer;
use super::results::{Cell, LoadResult, Run};

/// How much is run.
pub struct Plan {
    /// The program `cairn-workload`.
    pub workload: PathBuf,
    /// Turns of each allocator.
    pub runs: u32,
    /// Repetitions of a disturbed run.
    pub retries: u32,
    /// When a run is ended.
    pub timeout: Duration,
}

/// Failures of one cell after which it is left alone: a peer that always hangs should not take an hour.
const FAILURES_MAX: usize = 2;

/// Runs one load on all allocators that can take part in it.
pub fn run(load: &Load, peers: &[Peer], plan: &Plan) -> anyhow::Result<LoadResult> {
    let peers: Vec<&Peer> =
        peers.iter().filter(|peer| load.kind != Kind::RustDoor || peer.rust.is_some()).collect();
    let progress = progress(load, peers.len() as u64 * u64::from(plan.runs));
    let mut cells: Vec<Cell> = peers
        .iter()
        .map(|peer| Cell { allocator: peer.name.clone(), runs: Vec::new(), failures: Vec::new() })
        .collect();
    let mut operation = None;
    // The first run of a program also reads it from the disk: that one is not counted, and its output is the
    // expected one, from the C library's own allocator.
    let expected = match load.kind {
        Kind::Program => Some(measure(load, &Peer::glibc(), plan)?.output),
        _ => None,
    };
    for turn in 1..=plan.runs {
        for (peer, cell) in peers.iter().copied().zip(&mut cells) {
            progress.set_message(format!("{} {turn}/{}", peer.name, plan.runs));
            progress.inc(1);
            if cell.failures.len() >= FAILURES_MAX {
                continue;
            }
            let measured = quietest(plan.retries, || measure(load, peer, plan))?;
            operation = operation.or(measured.operation);
            match measured.run {
                Ok(_) if expected.as_ref().is_some_and(|expected| *expected != measured.output) => {
                    cell.failures.push("printed another result than with glibc".to_owned());
                }
                Ok(run) => cell.runs.push(run),
                Err(failure) => cell.failures.push(failure),
            }
        }
    }
    progress.finish_and_clear();
    Ok(LoadResult { name: load.name.clone(), about: load.about.clone(), kind: load.kind, operation, cells })
}

/// Repeats a run while it is disturbed, and keeps the least disturbed attempt. Not the quickest: the choice must
/// not depend on what is measured.
fn quietest(retries: u32, mut attempt: impl FnMut() -> anyhow::Result<Measured>) -> anyhow::Result<Measured> {
    let mut best = attempt()?;
    for _ in 0..retries {
        let Ok(Run { disturbed_s, .. }) = best.run else { break };
        if disturbed_s == 0.0 {
            break;
        }
        let next = attempt()?;
        match &next.run {
            Ok(run) if run.disturbed_s >= disturbed_s => {}
            // A failure is a result too, and may not be hidden by the attempt before it.
            _ => best = next,
        }
    }
    Ok(best)
}

fn progress(load: &Load, steps: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<20} {bar:30} {pos}/{len} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(steps).with_style(style).with_prefix(load.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_workload::launch::{End, Report};

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
        let run = Run { report, ns_per_operation: None, points: Vec::new(), disturbed_s };
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

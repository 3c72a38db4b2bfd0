//! What chance does to a mean of ratios to the best peer.
//!
//! The best of seven peers is in part the luckiest: even an allocator that is as fast as each of them has a ratio above 1.00, the more so the more
//! its runs differ. So the ratios are taken in a second way: each turn's run is compared with that of the same turn of a peer that was the
//! best *in the other turns*, whose luck is spent there. (Leave-one-out cross-validation; Stone, "Cross-validatory choice and assessment of
//! statistical predictions", 1974.) Where the other turns name the wrong one of two close peers, this errs to the other side: the truth lies between the two.

use super::peers::Peer;
use super::ratios::best;
use super::results::{LoadResult, Quantity, Results};
use crate::statistics::{Summary, geometric_mean};

/// What one allocator's means over all loads are, in three ways of choosing the best of the peers (of the other peers, for a peer).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// The least of their medians, against the median.
    pub by_median: f64,
    /// The least of their minima, against the minimum.
    pub by_minimum: f64,
    /// The least median in the other turns, turn against turn.
    pub by_other_turns: f64,
}

/// The means of an allocator over the loads that it ran at least twice; none if there is no such load.
pub fn means(results: &Results, allocator: &str, quantity: Quantity) -> Option<Means> {
    let mean = |ratio: &dyn Fn(&LoadResult) -> Option<f64>| {
        geometric_mean(&results.loads.iter().filter_map(ratio).collect::<Vec<f64>>())
    };
    Some(Means {
        by_median: mean(&|load| against_best(load, allocator, quantity, |summary| summary.median))?,
        by_minimum: mean(&|load| against_best(load, allocator, quantity, |summary| summary.min))?,
        by_other_turns: mean(&|load| by_other_turns(load, allocator, quantity))?,
    })
}

/// Whether `other` is one that `allocator` is compared with.
fn is_rival(allocator: &str, other: &str) -> bool {
    other != allocator && !Peer::is_ours(other)
}

fn against_best(
    load: &LoadResult,
    allocator: &str,
    quantity: Quantity,
    of: impl Fn(&Summary) -> f64 + Copy,
) -> Option<f64> {
    by_other_turns(load, allocator, quantity)?;
    let own = of(&load.cell(allocator)?.summary(quantity)?);
    let (_, least) = best(load, |other| is_rival(allocator, other), of, quantity)?;
    (least > 0.0).then_some(own / least)
}

fn by_other_turns(load: &LoadResult, allocator: &str, quantity: Quantity) -> Option<f64> {
    let own = load.cell(allocator)?;
    // An allocator of which a run failed has fewer, and no turn to compare.
    let rivals: Vec<_> = load
        .cells
        .iter()
        .filter(|cell| is_rival(allocator, &cell.allocator) && cell.failures.is_empty())
        .collect();
    let turns = rivals.iter().map(|cell| cell.runs.len()).chain([own.runs.len()]).min()?;
    if turns < 2 || rivals.is_empty() || !own.failures.is_empty() {
        return None;
    }
    let ratios = (0..turns).filter_map(|turn| {
        let others = |cell: &&&super::results::Cell| {
            let all = cell.runs.iter().enumerate().filter(|(at, _)| *at != turn);
            let values: Vec<f64> = all.map(|(_, run)| run.get(quantity)).collect();
            Summary::of(&values).map_or(f64::INFINITY, |summary| summary.median)
        };
        let rival = rivals.iter().min_by(|left, right| others(left).total_cmp(&others(right)))?;
        let (own, theirs) = (own.runs[turn].get(quantity), rival.runs[turn].get(quantity));
        (theirs > 0.0 && own > 0.0).then_some(own / theirs)
    });
    geometric_mean(&ratios.collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Kind;
    use super::super::ratios::tests::{load, session};
    use super::*;

    #[test]
    fn luck_is_not_counted_twice() {
        let mut session = session();
        // Two peers as fast as ours, each of which is lucky once.
        let seconds: [&[f64]; 3] = [&[2.0, 2.0, 2.0], &[2.0, 1.0, 1.0], &[1.0, 2.0, 2.0]];
        let cells = [("cairn", seconds[0], 4), ("glibc", seconds[1], 4), ("other", seconds[2], 4)];
        session.loads = vec![load("one", Kind::OneThread, &cells)];
        let means = means(&session, "cairn", Quantity::Wall).unwrap();
        assert_eq!((means.by_median, means.by_minimum), (2.0, 2.0));
        // Turn 0: glibc was the best in the others (1.0), and has 2.0 here. Turns 1 and 2: both have 1.5 in the others, the first one counts.
        assert!((means.by_other_turns - 4.0_f64.powf(1.0 / 3.0)).abs() < 1e-9, "{means:?}");
    }

    #[test]
    fn who_failed_or_ran_once_is_not_compared() {
        let mut session = session();
        assert_eq!(means(&session, "glibc", Quantity::Wall), None);
        let cells: [(&str, &[f64], u64); 3] =
            [("cairn", &[1.0, 1.0], 4), ("glibc", &[2.0, 2.0], 4), ("other", &[], 4)];
        session.loads = vec![load("one", Kind::OneThread, &cells)];
        assert_eq!(means(&session, "cairn", Quantity::Wall).unwrap().by_other_turns, 0.5);
        assert_eq!(means(&session, "other", Quantity::Wall), None);
    }
}

//! What chance does to a mean of ratios to the best peer.
//!
//! The best of seven peers is in part the luckiest: even an allocator that is as fast as each of them has a ratio above 1.00, the more so the more
//! its runs differ. So the ratios are taken in another way too: each turn's run is compared with that of the same turn of a peer that was the
//! best *in the other turns*, whose luck is spent there. (Leave-one-out cross-validation; Stone, "Cross-validatory choice and assessment of
//! statistical predictions", 1974.) Where the other turns name the wrong one of two close peers, this errs to the other side, so on average the
//! truth lies between the two.

use super::peers::Peer;
use super::results::{Cell, LoadResult, Quantity, Results};
use crate::statistics::{geometric_mean, median};

/// What one allocator's means over all loads are, in three ways of choosing the best of the peers (of the other peers, for a peer). All three rest on
/// the same runs: as many turns of a load as each of them has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Means {
    /// The median, to the least of their medians.
    pub by_median: f64,
    /// The minimum, to the least of their minima.
    pub by_minimum: f64,
    /// The median of the turns' ratios to whoever has the least median in the other turns.
    pub by_other_turns: f64,
}

/// The means of an allocator over the loads that it ran at least twice; none if there is no such load.
pub fn means(results: &Results, allocator: &str, quantity: Quantity) -> Option<Means> {
    let ratios: Vec<[f64; 3]> =
        results.loads.iter().filter_map(|load| ratios(load, allocator, quantity)).collect();
    let mean = |way: usize| geometric_mean(&ratios.iter().map(|ways| ways[way]).collect::<Vec<f64>>());
    Some(Means { by_median: mean(0)?, by_minimum: mean(1)?, by_other_turns: mean(2)? })
}

/// The three ratios of one load. Peers of which a run failed are left out: what they have left belongs to other turns.
fn ratios(load: &LoadResult, allocator: &str, quantity: Quantity) -> Option<[f64; 3]> {
    let is_whole = |cell: &&Cell| cell.failures.is_empty();
    let own = load.cell(allocator).filter(is_whole)?;
    let is_rival = |cell: &&Cell| cell.allocator != allocator && !Peer::is_ours(&cell.allocator);
    let rivals: Vec<&Cell> = load.cells.iter().filter(is_rival).filter(is_whole).collect();
    // Loads in doubt have more runs of some.
    let turns = rivals.iter().map(|cell| cell.runs.len()).min()?.min(own.runs.len());
    if turns < 2 {
        return None;
    }
    let runs = |cell: &Cell| -> Vec<f64> { cell.runs[..turns].iter().map(|run| run.get(quantity)).collect() };
    let (own, rivals) = (runs(own), rivals.into_iter().map(runs).collect::<Vec<_>>());
    let quotient = |of: fn(&[f64]) -> Option<f64>| {
        Some(of(&own)? / rivals.iter().filter_map(|rival| of(rival)).reduce(f64::min)?)
    };
    let in_turn = |turn: usize| {
        let rival =
            rivals.iter().min_by(|left, right| without(left, turn).total_cmp(&without(right, turn)))?;
        Some(own[turn] / rival[turn])
    };
    let by_turn: Vec<f64> = (0..turns).filter_map(in_turn).collect();
    let least = |values: &[f64]| values.iter().copied().reduce(f64::min);
    let ratios = [quotient(median)?, quotient(least)?, median(&by_turn)?];
    // A run too short for the clock has no ratio.
    ratios.iter().all(|ratio| ratio.is_finite() && *ratio > 0.0).then_some(ratios)
}

/// The median of all turns but one.
fn without(runs: &[f64], turn: usize) -> f64 {
    let others: Vec<f64> =
        runs.iter().enumerate().filter(|(at, _)| *at != turn).map(|(_, run)| *run).collect();
    median(&others).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::Kind;
    use super::super::ratios::tests::{load, session};
    use super::*;

    #[test]
    fn luck_is_spent_in_the_other_turns() {
        let mut session = session();
        // Three peers as fast as ours, each of which is lucky once, and one that is slow.
        let (a, b, c): ([f64; 3], [f64; 3], [f64; 3]) = ([1.0, 2.0, 2.0], [2.0, 1.0, 2.0], [2.0, 2.0, 1.0]);
        let cells: [(&str, &[f64], u64); 5] =
            [("cairn", &[2.0; 3], 4), ("a", &a, 4), ("b", &b, 4), ("c", &c, 4), ("slow", &[9.0; 3], 4)];
        session.loads = vec![load("one", Kind::OneThread, &cells)];
        let means = means(&session, "cairn", Quantity::Wall).unwrap();
        assert_eq!((means.by_median, means.by_minimum, means.by_other_turns), (1.0, 2.0, 1.0));
    }

    #[test]
    fn all_ways_rest_on_the_same_turns() {
        let mut session = session();
        // The third run was one more for a load in doubt.
        let cells: [(&str, &[f64], u64); 2] = [("cairn", &[2.0, 2.0, 1.0], 4), ("glibc", &[1.0, 1.0], 4)];
        session.loads = vec![load("one", Kind::OneThread, &cells)];
        let means = means(&session, "cairn", Quantity::Wall).unwrap();
        assert_eq!((means.by_median, means.by_minimum, means.by_other_turns), (2.0, 2.0, 2.0));
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

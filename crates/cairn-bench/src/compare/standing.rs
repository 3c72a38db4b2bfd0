//! How an allocator of ours stands on one load: its ratio to the best peer, by medians and by minima.
//!
//! A load is *lost* only if both are beyond the limit. If one is and the other is not, the load is *in doubt*: the
//! schedule then runs it more often, and what stays in doubt after that counts as noise, and is named so.

use serde::Serialize;

use super::peers::Peer;
use super::ratios::best;
use super::results::{LoadResult, Quantity, Results};

/// On no load may wall or CPU time be more than this times the best peer's.
pub const LIMIT_TIME: f64 = 1.05;
/// On no load may peak memory be more than this times the least of the fast peers'.
pub const LIMIT_RSS: f64 = 1.15;

/// The quantities that have a limit.
pub const JUDGED: [Quantity; 3] = [Quantity::Wall, Quantity::Cpu, Quantity::PeakRss];

/// The peers that are known for speed. Memory is compared with theirs: glibc and others use less by being slow.
const FAST: [&str; 8] =
    ["mimalloc", "mimalloc2", "mimalloc3", "snmalloc", "tcmalloc", "gperftools", "jemalloc", "rpmalloc"];

/// Whether this is one of the fast peers.
pub fn is_fast(name: &str) -> bool {
    FAST.contains(&name)
}

/// The limit of a quantity; none if it is not judged.
pub fn limit(quantity: Quantity) -> Option<f64> {
    match quantity {
        Quantity::Wall | Quantity::Cpu => Some(LIMIT_TIME),
        Quantity::PeakRss => Some(LIMIT_RSS),
        Quantity::Time | Quantity::Faults | Quantity::Switches => None,
    }
}

/// What medians and minima say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Both are within the limit.
    Kept,
    /// They disagree.
    InDoubt,
    /// Both are beyond the limit.
    Lost,
}

/// One load, one quantity, one allocator of ours.
#[derive(Clone, Debug, Serialize)]
pub struct Standing {
    /// The load.
    pub load: String,
    /// In words.
    pub quantity: &'static str,
    /// The best peer by medians.
    pub peer: String,
    /// Our median.
    pub ours: f64,
    /// That peer's median.
    pub best: f64,
    /// Our median divided by the least median.
    pub by_median: f64,
    /// Our minimum divided by the least minimum, which may be another peer's.
    pub by_min: f64,
    /// What the two say.
    pub verdict: Verdict,
}

/// Where `ours` stands; none if it or all peers have no run, or the quantity is not judged.
pub fn standing(load: &LoadResult, ours: &str, quantity: Quantity) -> Option<Standing> {
    let limit = limit(quantity)?;
    let among = |name: &str| if quantity == Quantity::PeakRss { is_fast(name) } else { !Peer::is_ours(name) };
    let own = load.cell(ours)?.summary(quantity)?;
    let (peer, median) = best(load, among, |summary| summary.median, quantity)?;
    let (_, min) = best(load, among, |summary| summary.min, quantity)?;
    if median <= 0.0 || min <= 0.0 {
        return None;
    }
    let (by_median, by_min) = (own.median / median, own.min / min);
    let verdict = match (by_median > limit, by_min > limit) {
        (false, false) => Verdict::Kept,
        (true, true) => Verdict::Lost,
        _ => Verdict::InDoubt,
    };
    Some(Standing {
        load: load.name.clone(),
        quantity: quantity.in_words(),
        peer: peer.to_owned(),
        ours: own.median,
        best: median,
        by_median,
        by_min,
        verdict,
    })
}

/// The names of those whose runs decide a load that is in doubt: ours and, for each such quantity, the best peers by
/// median and by minimum. Empty if nothing is in doubt.
pub fn in_doubt(load: &LoadResult) -> Vec<String> {
    let mut names = Vec::new();
    for cell in load.cells.iter().filter(|cell| Peer::is_ours(&cell.allocator)) {
        for quantity in [Quantity::Wall, Quantity::Cpu] {
            let Some(standing) = standing(load, &cell.allocator, quantity) else { continue };
            if standing.verdict != Verdict::InDoubt {
                continue;
            }
            let by_min = best(load, |name| !Peer::is_ours(name), |summary| summary.min, quantity);
            names.extend(by_min.map(|(name, _)| name.to_owned()));
            names.extend([standing.peer, cell.allocator.clone()]);
        }
    }
    names.sort_unstable();
    names.dedup();
    names
}

/// The allocator of ours that the bars are about: the first in the order of turns.
pub fn ours(results: &Results) -> Option<&str> {
    results.allocators().into_iter().find(|name| Peer::is_ours(name))
}

/// Every load and quantity that is lost or in doubt, the worst first.
pub fn losses(results: &Results, ours: &str) -> Vec<Standing> {
    let mut losses: Vec<Standing> = results
        .loads
        .iter()
        .flat_map(|load| JUDGED.into_iter().filter_map(|quantity| standing(load, ours, quantity)))
        .filter(|standing| standing.verdict != Verdict::Kept)
        .collect();
    losses.sort_by(|left, right| {
        let lost = |standing: &Standing| standing.verdict == Verdict::Lost;
        lost(right).cmp(&lost(left)).then(right.by_median.total_cmp(&left.by_median))
    });
    losses
}

/// For each allocator, on how many loads it has the least of a quantity, and on how many it is within 5 % of that.
pub fn wins(results: &Results, quantity: Quantity) -> Vec<(&str, usize, usize)> {
    let count = |name: &str| {
        let mut first = 0;
        let mut near = 0;
        for load in &results.loads {
            let Some((_, least)) = best(load, |_| true, |summary| summary.median, quantity) else { continue };
            let Some(own) = super::ratios::median(load, name, quantity) else { continue };
            first += usize::from(own == least);
            near += usize::from(own <= least * LIMIT_TIME);
        }
        (first, near)
    };
    results
        .allocators()
        .into_iter()
        .map(|name| {
            let (first, near) = count(name);
            (name, first, near)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::Kind;
    use crate::compare::ratios::tests::{load, session};

    #[test]
    fn lost_needs_median_and_minimum() {
        let one = |ours: &[f64]| {
            let load = load("a", Kind::OneThread, &[("cairn", ours, 10), ("snmalloc", &[1.0, 1.0, 1.0], 10)]);
            let standing = standing(&load, "cairn", Quantity::Wall).unwrap();
            (standing.verdict, in_doubt(&load))
        };
        assert_eq!(one(&[1.0, 1.04, 1.2]), (Verdict::Kept, vec![]));
        assert_eq!(one(&[1.06, 1.07, 1.2]), (Verdict::Lost, vec![]));
        let names = vec!["cairn".to_owned(), "snmalloc".to_owned()];
        assert_eq!(one(&[1.0, 1.1, 1.2]), (Verdict::InDoubt, names));
    }

    #[test]
    fn memory_is_compared_with_fast_peers_only() {
        let cells: &[(&str, &[f64], u64)] =
            &[("cairn", &[1.0], 116), ("glibc", &[9.0], 50), ("jemalloc", &[2.0], 100)];
        let load = load("a", Kind::OneThread, cells);
        let standing = standing(&load, "cairn", Quantity::PeakRss).unwrap();
        assert_eq!((standing.verdict, standing.peer.as_str()), (Verdict::Lost, "jemalloc"));
    }

    #[test]
    fn wins_are_counted_over_all_allocators() {
        assert_eq!(wins(&session(), Quantity::Wall), [("cairn", 2, 2), ("glibc", 0, 0), ("other", 0, 0)]);
        assert_eq!(wins(&session(), Quantity::PeakRss)[1], ("glibc", 1, 1));
        assert!(losses(&session(), "cairn").is_empty());
    }
}

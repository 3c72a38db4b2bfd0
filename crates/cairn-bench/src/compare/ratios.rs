//! Comparison of medians: with the best peer on each load, or with one allocator as the common unit.

use super::catalogue::Kind;
use super::peers::{GLIBC, Peer};
use super::results::{LoadResult, Quantity, Results};
use crate::statistics::{Summary, geometric_mean};

/// Below this much peak memory, in MiB, a program's own start-up is most of what is seen.
pub const RSS_FLOOR_MIB: f64 = 20.0;

/// What a ratio of 1.00 means.
#[derive(Clone, Copy, Debug)]
pub enum Unit<'a> {
    /// The best peer on that load, which may be another one for each load and quantity.
    BestPeer,
    /// This allocator.
    Allocator(&'a str),
}

/// Which loads a mean is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// All loads.
    All,
    /// Those of one kind.
    Only(Kind),
    /// All but those of one kind.
    Without(Kind),
    /// Loads where glibc's peak memory is above [`RSS_FLOOR_MIB`].
    LargeMemory,
}

impl Over {
    /// All, each kind alone, and all without each kind: the columns of the tables of means.
    pub fn groups() -> Vec<Over> {
        let only = Kind::ALL.map(Over::Only);
        let without = Kind::ALL.map(Over::Without);
        [Over::All].into_iter().chain(only).chain(without).collect()
    }

    /// Its name at the head of a column.
    pub fn in_words(self) -> String {
        match self {
            Over::All => "all".to_owned(),
            Over::Only(kind) => kind.in_words().to_owned(),
            Over::Without(kind) => format!("without {}", kind.in_words()),
            Over::LargeMemory => "over 20 MiB".to_owned(),
        }
    }

    /// Whether the load is one of them.
    pub fn includes(self, load: &LoadResult) -> bool {
        match self {
            Over::All => true,
            Over::Only(kind) => load.kind == kind,
            Over::Without(kind) => load.kind != kind,
            Over::LargeMemory => unit_value(load, Quantity::PeakRss, Unit::Allocator(GLIBC))
                .is_some_and(|peak| peak >= RSS_FLOOR_MIB),
        }
    }
}

/// The median of a quantity that an allocator has on this load.
pub fn median(load: &LoadResult, allocator: &str, quantity: Quantity) -> Option<f64> {
    Some(load.cell(allocator)?.summary(quantity)?.median)
}

/// The median of a quantity that the unit has on this load.
pub fn unit_value(load: &LoadResult, quantity: Quantity, unit: Unit) -> Option<f64> {
    match unit {
        Unit::Allocator(name) => median(load, name, quantity),
        Unit::BestPeer => best(load, |name| !Peer::is_ours(name), |summary| summary.median, quantity)
            .map(|(_, value)| value),
    }
}

/// The allocator with the least of a quantity among those that are asked for, and how much that is.
pub fn best(
    load: &LoadResult,
    among: impl Fn(&str) -> bool,
    of: impl Fn(&Summary) -> f64,
    quantity: Quantity,
) -> Option<(&str, f64)> {
    load.cells
        .iter()
        .filter(|cell| among(&cell.allocator))
        .filter_map(|cell| Some((cell.allocator.as_str(), of(&cell.summary(quantity)?))))
        .min_by(|left, right| left.1.total_cmp(&right.1))
}

/// The quotient of an allocator's median and the unit's; none if one of them has no run, or the unit is zero.
pub fn ratio(load: &LoadResult, allocator: &str, quantity: Quantity, unit: Unit) -> Option<f64> {
    let own = median(load, allocator, quantity)?;
    let unit = unit_value(load, quantity, unit)?;
    (unit > 0.0).then_some(own / unit)
}

/// The geometric mean of an allocator's ratios, and over how many loads it was taken.
pub fn mean(
    results: &Results,
    allocator: &str,
    quantity: Quantity,
    unit: Unit,
    over: Over,
) -> Option<(f64, usize)> {
    let ratios: Vec<f64> = results
        .loads
        .iter()
        .filter(|load| over.includes(load))
        .filter_map(|load| ratio(load, allocator, quantity, unit))
        .collect();
    Some((geometric_mean(&ratios)?, ratios.len()))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::compare::results::{Cell, Run};
    use cairn_workload::launch::{End, Report};

    /// A load with these wall seconds and MiB for each allocator.
    pub fn load(name: &str, kind: Kind, cells: &[(&str, &[f64], u64)]) -> LoadResult {
        let run = |seconds: f64, mib: u64| Run {
            report: Report {
                end: End::Exit(0),
                wall_ns: (seconds * 1e9) as u64,
                user_ns: (seconds * 1e9) as u64,
                system_ns: 0,
                peak_rss_kib: mib * 1024,
                minor_faults: 1,
                major_faults: 0,
                voluntary_switches: 0,
                involuntary_switches: 0,
            },
            ns_per_operation: None,
            points: Vec::new(),
            distances_ns: Vec::new(),
            moved: false,
            disturbed_s: 0.0,
        };
        let cells = cells
            .iter()
            .map(|&(allocator, seconds, mib)| Cell {
                allocator: allocator.to_owned(),
                runs: seconds.iter().map(|&seconds| run(seconds, mib)).collect(),
                failures: if seconds.is_empty() { vec!["crashed by SIGSEGV".to_owned()] } else { Vec::new() },
            })
            .collect();
        LoadResult { name: name.to_owned(), about: "a test".to_owned(), kind, operation: None, cells }
    }

    pub fn session() -> Results {
        let loads = vec![
            load(
                "small",
                Kind::OneThread,
                &[("cairn", &[1.0, 1.0, 9.0], 4), ("glibc", &[2.0], 2), ("other", &[4.0], 8)],
            ),
            load("big", Kind::Program, &[("cairn", &[3.0], 50), ("glibc", &[6.0], 100), ("other", &[], 0)]),
        ];
        let peers = ["cairn", "glibc", "other"].map(|name| Peer { name: name.to_owned(), ..Peer::glibc() });
        Results {
            machine: "a test".to_owned(),
            command: "cairn bench".to_owned(),
            began: "2026-11-21 08:00 UTC".to_owned(),
            runs: 3,
            scale: 1.0,
            peers: peers.to_vec(),
            left_out: vec!["redis: not found".to_owned()],
            loads,
            instructions: Vec::new(),
        }
    }

    fn close(value: Option<f64>, expected: f64) {
        let value = value.expect("there is a value");
        assert!((value - expected).abs() < 1e-9, "{value} instead of {expected}");
    }

    #[test]
    fn the_best_peer_is_never_one_of_ours() {
        let session = session();
        close(unit_value(&session.loads[0], Quantity::Wall, Unit::BestPeer), 2.0);
        close(ratio(&session.loads[0], "cairn", Quantity::Wall, Unit::BestPeer), 0.5);
        close(ratio(&session.loads[0], "other", Quantity::Wall, Unit::BestPeer), 2.0);
        close(ratio(&session.loads[0], "cairn", Quantity::PeakRss, Unit::BestPeer), 2.0);
        close(ratio(&session.loads[0], "cairn", Quantity::Wall, Unit::Allocator("other")), 0.25);
    }

    #[test]
    fn what_failed_has_no_ratio_and_does_not_count() {
        let session = session();
        assert_eq!(ratio(&session.loads[1], "other", Quantity::Wall, Unit::BestPeer), None);
        let (value, count) = mean(&session, "other", Quantity::Wall, Unit::BestPeer, Over::All).unwrap();
        assert_eq!((value, count), (2.0, 1));
    }

    #[test]
    fn means_over_groups() {
        let session = session();
        let mean = |over| mean(&session, "cairn", Quantity::PeakRss, Unit::BestPeer, over).unwrap();
        assert_eq!(mean(Over::All).1, 2);
        close(Some(mean(Over::All).0), 1.0);
        close(Some(mean(Over::LargeMemory).0), 0.5);
        close(Some(mean(Over::Only(Kind::Program)).0), 0.5);
        close(Some(mean(Over::Without(Kind::Program)).0), 2.0);
    }

    #[test]
    fn a_session_survives_json() {
        let text = serde_json::to_string(&session()).unwrap();
        let back: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(back.loads.len(), 2);
        assert_eq!(back.loads[0].cells[0].runs.len(), 3);
    }
}

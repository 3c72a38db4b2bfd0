//! Comparison of medians: with the best peer on each load, or with one allocator as the common unit.

use super::catalogue::Kind;
use super::peers::Peer;
use super::results::{LoadResult, Quantity, Results};
use crate::statistics::geometric_mean;

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
    /// Real programs only.
    Programs,
    /// Loads where the unit's peak memory is above [`RSS_FLOOR_MIB`].
    LargeMemory,
}

/// The median of a quantity that the unit has on this load.
pub fn unit_value(load: &LoadResult, quantity: Quantity, unit: Unit) -> Option<f64> {
    let of = |name: &str| load.cell(name)?.summary(quantity).map(|summary| summary.median);
    match unit {
        Unit::Allocator(name) => of(name),
        Unit::BestPeer => load
            .cells
            .iter()
            .filter(|cell| !Peer::is_ours(&cell.allocator))
            .filter_map(|cell| of(&cell.allocator))
            .reduce(f64::min),
    }
}

/// The quotient of an allocator's median and the unit's; none if one of them has no run, or the unit is zero.
pub fn ratio(load: &LoadResult, allocator: &str, quantity: Quantity, unit: Unit) -> Option<f64> {
    let own = load.cell(allocator)?.summary(quantity)?.median;
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
        .filter(|load| match over {
            Over::All => true,
            Over::Programs => load.kind == Kind::Program,
            Over::LargeMemory => {
                unit_value(load, Quantity::PeakRss, unit).is_some_and(|peak| peak >= RSS_FLOOR_MIB)
            }
        })
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
            runs: 3,
            scale: 1.0,
            peers: peers.to_vec(),
            left_out: vec!["redis: not found".to_owned()],
            loads,
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
        close(Some(mean(Over::Programs).0), 0.5);
    }

    #[test]
    fn a_session_survives_json() {
        let text = serde_json::to_string(&session()).unwrap();
        let back: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(back.loads.len(), 2);
        assert_eq!(back.loads[0].cells[0].runs.len(), 3);
    }
}

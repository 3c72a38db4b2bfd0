//! The bars: what Cairn has to reach in one session to be called ahead of every peer, each with its number.
//!
//! Every bar is computed from the runs of the session and from nothing else. One that the session can't answer, because a
//! load or a peer is not in it, is neither passed nor failed.

use serde::Serialize;

use super::peers::{GLIBC, Peer};
use super::ratios::{Over, Unit, mean, median, ratio};
use super::results::{LoadResult, Quantity, Results};
use super::standing::{self, LIMIT_RSS, LIMIT_TIME, Verdict, is_fast, standing};
use crate::statistics::geometric_mean;

/// The loads that some bars are about, by the beginnings of their names.
pub mod names {
    /// Vectors that grow.
    pub const REALLOC: &str = "realloc";
    /// calloc of large blocks of which little is touched.
    pub const CALLOC: &str = "calloc-sparse";
    /// Short processes.
    pub const STARTUP: &str = "startup";
    /// `Box` and `Vec` through the Rust door.
    pub const BOXES: &str = "rust-boxes";
    /// Structures whose sizes are 8 modulo 16, through the Rust door.
    pub const EIGHTS: &str = BOXES;
    /// A heap of which most was freed a while ago, of blocks that are large enough to leave whole pages free.
    pub const AFTER: &str = "after-free-large";
}

/// One bar.
#[derive(Clone, Debug, Serialize)]
pub struct Bar {
    /// Its number in the list of bars.
    pub number: u32,
    /// What is asked for.
    pub what: String,
    /// What was measured, as a number in the same unit as the limit.
    pub value: Option<f64>,
    /// What it may be at most.
    pub limit: f64,
    /// Whether it is reached; none if the session can't tell.
    pub passed: Option<bool>,
    /// Which load or peer decides, in words.
    pub detail: String,
}

impl Bar {
    fn new(number: u32, what: impl Into<String>, limit: f64, value: Option<(f64, String)>) -> Bar {
        let (value, detail) = match value {
            Some((value, detail)) => (Some(value), detail),
            None => (None, "not in this session".to_owned()),
        };
        Bar { number, what: what.into(), value, limit, passed: value.map(|value| value <= limit), detail }
    }

    /// "passed", "failed" or "not measured".
    pub fn in_words(&self) -> &'static str {
        match self.passed {
            Some(true) => "passed",
            Some(false) => "FAILED",
            None => "not measured",
        }
    }
}

/// All bars, for the first allocator of ours; none if there is none of ours in the session.
pub fn bars(results: &Results) -> Vec<Bar> {
    let Some(ours) = standing::ours(results) else { return Vec::new() };
    let mut bars = Vec::new();
    for quantity in [Quantity::Wall, Quantity::Cpu] {
        bars.extend(time(results, ours, quantity));
    }
    bars.extend(memory(results, ours));
    bars.push(both(results, ours));
    bars.extend(vectors(results, ours));
    bars.push(sparse(results, ours));
    bars.extend(rust_door(results, ours));
    bars.extend(startup(results, ours));
    bars.push(after(results, ours));
    bars
}

fn time(results: &Results, ours: &str, quantity: Quantity) -> [Bar; 3] {
    let name = quantity.in_words();
    let together = mean(results, ours, quantity, Unit::BestPeer, Over::All)
        .map(|(value, loads)| (value, format!("over {loads} loads")));
    [
        Bar::new(1, format!("{name}: mean, of the best peer on each load"), 1.0, together),
        Bar::new(
            1,
            format!("{name}: mean, of the best single peer"),
            0.92,
            single(results, ours, quantity, |_| true),
        ),
        Bar::new(
            1,
            format!("{name}: worst load, of its best peer"),
            LIMIT_TIME,
            worst(results, ours, quantity),
        ),
    ]
}

/// The largest mean of our ratios to one peer, over the loads that both could run, and which peer it is. A peer that
/// ran less than half of the loads is not asked: its mean is about something else.
fn single(
    results: &Results,
    ours: &str,
    quantity: Quantity,
    among: impl Fn(&str) -> bool,
) -> Option<(f64, String)> {
    results
        .allocators()
        .into_iter()
        .filter(|name| !Peer::is_ours(name) && among(name))
        .filter_map(|name| Some((name, mean(results, ours, quantity, Unit::Allocator(name), Over::All)?)))
        .filter(|(_, (_, loads))| 2 * loads >= results.loads.len())
        .map(|(name, (value, loads))| (value, format!("{name}, over {loads} loads")))
        .max_by(|left, right| left.0.total_cmp(&right.0))
}

/// The worst load by the lesser of the two ratios, and how many are lost or stay in doubt. A load that ours could not run
/// at all is lost whatever its time would be.
fn worst(results: &Results, ours: &str, quantity: Quantity) -> Option<(f64, String)> {
    let standings: Vec<_> = results.loads.iter().filter_map(|load| standing(load, ours, quantity)).collect();
    let failed = failed(results, ours);
    if let Some(first) = failed.first() {
        return Some((f64::INFINITY, format!("{first} failed; {} loads in all", failed.len())));
    }
    let lesser = |standing: &standing::Standing| standing.by_median.min(standing.by_min);
    let worst = standings.iter().max_by(|left, right| lesser(left).total_cmp(&lesser(right)))?;
    let count = |verdict| standings.iter().filter(|standing| standing.verdict == verdict).count();
    let detail = format!(
        "{} against {}; {} of {} loads lost, {} in doubt",
        worst.load,
        worst.peer,
        count(Verdict::Lost),
        standings.len(),
        count(Verdict::InDoubt)
    );
    Some((lesser(worst), detail))
}

/// The loads that ours could not run, though a peer could.
fn failed(results: &Results, ours: &str) -> Vec<String> {
    let ran = |load: &LoadResult| load.cells.iter().any(|cell| !cell.runs.is_empty());
    let broken =
        |load: &&LoadResult| load.cell(ours).is_some_and(|cell| !cell.failures.is_empty()) && ran(load);
    results.loads.iter().filter(broken).map(|load| load.name.clone()).collect()
}

fn memory(results: &Results, ours: &str) -> [Bar; 3] {
    let glibc = Unit::Allocator(GLIBC);
    let mean_of = |name: &str| mean(results, name, Quantity::PeakRss, glibc, Over::LargeMemory);
    let own = mean_of(ours);
    let leanest = results
        .allocators()
        .into_iter()
        .filter(|name| is_fast(name))
        .filter_map(|name| Some((against(results, ours, name)?, name)))
        .max_by(|left, right| left.0.total_cmp(&right.0));
    [
        Bar::new(
            2,
            "peak RSS: mean, of glibc's, loads over 20 MiB",
            0.95,
            own.map(|(value, loads)| (value, format!("over {loads} loads"))),
        ),
        Bar::new(
            2,
            "peak RSS: mean, of the leanest fast peer's, loads over 20 MiB",
            1.0,
            leanest.map(|(value, name)| {
                let theirs =
                    mean_of(name).map_or(String::new(), |(mean, _)| format!(" at {mean:.2} of glibc"));
                (value, format!("{name}{theirs}"))
            }),
        ),
        Bar::new(
            2,
            "peak RSS: worst load, of the least among the fast peers",
            LIMIT_RSS,
            worst(results, ours, Quantity::PeakRss),
        ),
    ]
}

/// The mean of our peak memory divided by this peer's, over the large loads that both could run.
fn against(results: &Results, ours: &str, peer: &str) -> Option<f64> {
    let ratios: Vec<f64> = results
        .loads
        .iter()
        .filter(|load| Over::LargeMemory.includes(load))
        .filter_map(|load| ratio(load, ours, Quantity::PeakRss, Unit::Allocator(peer)))
        .collect();
    geometric_mean(&ratios)
}

/// The number of loads where one of time and memory is won and the other lost.
fn both(results: &Results, ours: &str) -> Bar {
    let mut bought = Vec::new();
    for load in &results.loads {
        let of = |quantity| standing(load, ours, quantity);
        let (Some(wall), Some(cpu), Some(peak)) =
            (of(Quantity::Wall), of(Quantity::Cpu), of(Quantity::PeakRss))
        else {
            continue;
        };
        let time_lost = [&wall, &cpu].iter().any(|standing| standing.verdict == Verdict::Lost);
        let time_won = wall.by_median < 1.0 && cpu.by_median < 1.0;
        let memory_lost = peak.verdict == Verdict::Lost;
        if time_won && memory_lost {
            bought.push(format!("{} (time with memory)", load.name));
        } else if time_lost && peak.by_median < 1.0 {
            bought.push(format!("{} (memory with time)", load.name));
        }
    }
    let mut names = bought.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if bought.len() > 3 {
        names += &format!(" and {} more", bought.len() - 3);
    }
    let value = (!results.loads.is_empty()).then_some((bought.len() as f64, names));
    Bar::new(3, "loads where one of time and memory is bought with the other", 0.0, value)
}

fn named<'a>(results: &'a Results, begin: &'a str) -> impl Iterator<Item = &'a LoadResult> {
    results.loads.iter().filter(move |load| load.name.starts_with(begin))
}

/// The largest value over the loads whose names begin so; none if there is no value.
fn largest(
    results: &Results,
    begin: &str,
    of: impl Fn(&LoadResult) -> Option<(f64, String)>,
) -> Option<(f64, String)> {
    named(results, begin).filter_map(of).max_by(|left, right| left.0.total_cmp(&right.0))
}

fn vectors(results: &Results, ours: &str) -> [Bar; 2] {
    let speed = largest(results, names::REALLOC, |load| {
        let value = ratio(load, ours, Quantity::Time, Unit::BestPeer)?;
        Some((value, load.name.clone()))
    });
    let peak = largest(results, names::REALLOC, |load| {
        let live = most_live_mib(load, ours)?;
        let peak = median(load, ours, Quantity::PeakRss)?;
        Some((peak / live, format!("{}: {peak:.0} MiB for {live:.0} MiB", load.name)))
    });
    [
        Bar::new(4, "growing vectors: time, of the best peer (a third)", 1.0 / 3.0, speed),
        Bar::new(4, "growing vectors: peak RSS, of the live bytes", 1.05, peak),
    ]
}

/// The most that a load says was live at any of its points, in MiB.
fn most_live_mib(load: &LoadResult, allocator: &str) -> Option<f64> {
    let points = &load.cell(allocator)?.runs.first()?.points;
    points.iter().map(|point| point.live_kib).max().map(|kib| kib as f64 / 1024.0)
}

/// What became resident beyond the pages that the program touched, between the first point of the load and the last. The
/// kernel's counter lags behind by up to a few dozen pages for each CPU; those are the limit.
fn sparse(results: &Results, ours: &str) -> Bar {
    let value = largest(results, names::CALLOC, |load| {
        let points = &load.cell(ours)?.runs.last()?.points;
        let (first, last) = (points.first()?, points.last()?);
        let grown = (last.resident_kib as f64 - first.resident_kib as f64) / 1024.0;
        let touched = last.live_kib as f64 / 1024.0;
        let detail = format!("{}: grown by {grown:.2} MiB, {touched:.2} MiB touched", load.name);
        Some(((grown - touched).max(0.0), detail))
    });
    Bar::new(4, "sparse calloc: MiB resident beyond the touched pages", 0.25, value)
}

fn rust_door(results: &Results, ours: &str) -> [Bar; 2] {
    let cpu = largest(results, names::BOXES, |load| {
        let value = ratio(load, ours, Quantity::Cpu, Unit::BestPeer)?;
        Some((value, load.name.clone()))
    });
    let memory = largest(results, names::EIGHTS, |load| {
        let value = ratio(load, ours, Quantity::PeakRss, Unit::BestPeer)?;
        Some((value, load.name.clone()))
    });
    [
        Bar::new(5, "Rust door, Box and Vec: CPU time, of the fastest peer crate", 0.9, cpu),
        Bar::new(5, "Rust door, sizes 8 modulo 16: peak RSS, of the least peer", 0.999, memory),
    ]
}

fn startup(results: &Results, ours: &str) -> [Bar; 2] {
    [Quantity::Wall, Quantity::Cpu].map(|quantity| {
        let value = largest(results, names::STARTUP, |load| {
            let cell = |name| load.cell(name)?.summary(quantity);
            let (own, glibc) = (cell(ours)?, cell(GLIBC)?);
            Some((
                (own.median / glibc.median).min(own.min / glibc.min),
                format!("{}, {:.3} s against {:.3} s", load.name, own.median, glibc.median),
            ))
        });
        Bar::new(6, format!("short processes: {}, of glibc's", quantity.in_words()), 1.05, value)
    })
}

/// The last point of a load that reports any: resident memory as a share of what is allowed.
fn after(results: &Results, ours: &str) -> Bar {
    let value = largest(results, names::AFTER, |load| {
        let run = load.cell(ours)?.runs.last()?;
        let point = run.points.last()?;
        let (live, resident) = (point.live_kib as f64 / 1024.0, point.resident_kib as f64 / 1024.0);
        let detail = format!("{}: {resident:.0} MiB resident, {live:.0} MiB live", load.name);
        Some((resident / (1.2 * live + 32.0), detail))
    });
    Bar::new(7, "after most was freed: RSS, of 1.2 times live and 32 MiB", 1.0, value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::catalogue::Kind;
    use crate::compare::ratios::tests::{load, session};

    fn find<'a>(bars: &'a [Bar], words: &str) -> &'a Bar {
        bars.iter().find(|bar| bar.what.contains(words)).unwrap()
    }

    #[test]
    fn the_bars_of_a_small_session() {
        let bars = bars(&session());
        let together = find(&bars, "wall time: mean, of the best peer on each load");
        assert!((together.value.unwrap() - 0.5).abs() < 1e-9 && together.passed == Some(true));
        let single = find(&bars, "wall time: mean, of the best single peer");
        assert!(single.detail.starts_with("glibc, over 2 loads"), "{}", single.detail);
        let memory = find(&bars, "peak RSS: mean, of glibc's");
        assert!((memory.value.unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(find(&bars, "growing vectors: time").passed, None);
    }

    #[test]
    fn a_load_that_ours_lost_fails_its_bar_and_is_named() {
        let mut results = session();
        let cells: &[(&str, &[f64], u64)] = &[("cairn", &[1.2], 20), ("snmalloc", &[1.0], 30)];
        results.loads.push(load("realloc-1", Kind::OneThread, cells));
        let bars = bars(&results);
        let worst = find(&bars, "wall time: worst load");
        assert_eq!(worst.passed, Some(false));
        assert!(worst.detail.contains("realloc-1 against snmalloc; 1 of 3 loads lost"), "{}", worst.detail);
        assert_eq!(find(&bars, "growing vectors: time").passed, Some(false));
        assert_eq!(find(&bars, "bought with").detail, "realloc-1 (memory with time)");
    }

    #[test]
    fn a_crash_of_ours_is_no_escape() {
        let mut results = session();
        results.loads.push(load("x", Kind::OneThread, &[("cairn", &[], 0), ("glibc", &[1.0], 3)]));
        let bars = bars(&results);
        let worst = find(&bars, "CPU time: worst load");
        assert_eq!(worst.passed, Some(false));
        assert!(worst.detail.contains("x failed"), "{}", worst.detail);
    }

    #[test]
    fn the_loads_that_bars_are_about_exist() {
        let loads = crate::compare::catalogue::patterns(1.0);
        for begin in
            [names::REALLOC, names::CALLOC, names::STARTUP, names::BOXES, names::EIGHTS, names::AFTER]
        {
            assert!(loads.iter().any(|load| load.name.starts_with(begin)), "no load is named {begin}…");
        }
    }

    #[test]
    fn sparse_memory_is_told_from_the_points_of_the_load() {
        use cairn_workload::Point;
        let mut results = session();
        let mut sparse = load("calloc-sparse", Kind::OneThread, &[("cairn", &[1.0], 20)]);
        let point = |live_kib, resident_kib| Point { at: String::new(), live_kib, resident_kib };
        sparse.cells[0].runs[0].points = vec![point(0, 2048), point(512, 2048 + 512 + 1024)];
        results.loads.push(sparse);
        let bars = bars(&results);
        let bar = find(&bars, "sparse calloc");
        assert_eq!((bar.value, bar.passed), (Some(1.0), Some(false)));
    }

    #[test]
    fn without_one_of_ours_there_are_no_bars() {
        let mut results = session();
        results.peers.retain(|peer| peer.name != "cairn");
        assert!(bars(&results).is_empty());
    }
}

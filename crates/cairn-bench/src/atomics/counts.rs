//! The arithmetic: counts of processes, per thousand operations, and at how many cores a line of memory is full.
//!
//! A line of memory is had by one core at a time. If each operation keeps it for `t` and takes `c` of CPU time, then it is in use
//! all the time as soon as `c / t` cores work, and more of them wait for it: this is [`Line::cores`]. What keeps a line is
//! - without a lock, the way from core to core for each indivisible operation, [`HOP_NS`];
//! - with a lock, the time inside, as measured, and two ways: for the lock and for what it guards.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

/// Nanoseconds for a line from core to core: some 20 to 60 within a socket, 100 to 150 between two.
pub const HOP_NS: f64 = 70.0;
/// Shelves; each is one CPU's up to this number, and shared beyond it.
const SHELVES: f64 = 64.0;
/// The place whose lines belong to CPUs.
const SHELF: &str = "shelf";

/// What the library tells at the end of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By place.
    pub places: BTreeMap<String, Place>,
    /// System calls by name.
    pub calls: BTreeMap<String, u64>,
    /// What a reading of the clock takes; each stay in a lock has one in its time.
    pub clock_ns: u64,
}

/// What was counted at a place. The library writes them as a list, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Indivisible operations,
    pub atomics: u64,
    /// those on the line that had the most,
    pub hottest: u64,
    /// entries into locks,
    pub entered: u64,
    /// those that had to wait,
    pub waited: u64,
    /// and the time that was spent inside.
    pub held_ns: u64,
}

/// The hottest line of a place.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The place.
    pub place: String,
    /// Indivisible operations on it, per thousand operations of the load.
    pub touches: f64,
    /// Cores at which it is in use all the time.
    pub cores: f64,
}

impl Counts {
    /// The sum over all processes that wrote a line of counts among whatever else is said.
    ///
    /// # Errors
    /// If there is none, or one is not whole.
    pub fn read(text: &str) -> anyhow::Result<Counts> {
        #[derive(Deserialize)]
        struct Told {
            cairn_count: Counts,
        }
        const BEGIN: &str = "{\"cairn_count\"";
        let mut sum = Counts::default();
        for line in text.lines().filter(|line| line.contains(BEGIN)) {
            let told: Told = serde_json::from_str(line).with_context(|| line.to_owned())?;
            sum.add(told.cairn_count);
        }
        ensure!(!sum.places.is_empty(), "there is no line that begins with {BEGIN}");
        Ok(sum)
    }

    fn add(&mut self, other: Counts) {
        for (name, more) in other.places {
            let place = self.places.entry(name).or_default();
            place.atomics += more.atomics;
            place.hottest += more.hottest;
            place.entered += more.entered;
            place.waited += more.waited;
            place.held_ns += more.held_ns;
        }
        for (name, more) in other.calls {
            *self.calls.entry(name).or_default() += more;
        }
        self.clock_ns = self.clock_ns.max(other.clock_ns);
    }

    /// The sum of one number over the places of which `of` is true.
    pub fn sum(&self, of: impl Fn(&str) -> bool, number: impl Fn(&Place) -> u64) -> u64 {
        self.places.iter().filter(|(name, _)| of(name)).map(|(_, place)| number(place)).sum()
    }

    /// Nanoseconds inside a lock of a place, on average, without the reading of the clock; none if none was entered.
    pub fn held(&self, name: &str) -> Option<f64> {
        let place = self.places.get(name).filter(|place| place.entered > 0)?;
        Some((place.held_ns as f64 / place.entered as f64 - self.clock_ns as f64).max(0.0))
    }

    /// The hottest line of each place, the one that is full first in front.
    pub fn lines(&self, operations: u64, cpu_ns: f64) -> Vec<Line> {
        let all = self.places.iter().filter(|(_, place)| place.atomics > 0);
        let mut lines: Vec<Line> =
            all.map(|(name, place)| self.line(name, place, operations, cpu_ns)).collect();
        lines.sort_by(|one, other| one.cores.total_cmp(&other.cores));
        lines
    }

    fn line(&self, name: &str, place: &Place, operations: u64, cpu_ns: f64) -> Line {
        // A CPU comes to its own shelf with all that it does.
        let (touches, sharers) = if name == SHELF { (place.atomics, SHELVES) } else { (place.hottest, 1.0) };
        let touches = touches as f64 / operations.max(1) as f64;
        let kept_ns = match self.held(name) {
            None => touches * HOP_NS,
            Some(held) => touches * (place.entered as f64 / place.atomics as f64) * (held + 2.0 * HOP_NS),
        };
        // Not shared, it is never waited for.
        let cores = (sharers * cpu_ns / kept_ns).max(sharers);
        Line { place: name.to_owned(), touches: touches * 1000.0, cores }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(atomics: u64, hottest: u64, entered: u64, held_ns: u64) -> Place {
        Place { atomics, hottest, entered, waited: 0, held_ns }
    }

    fn counts(places: &[(&str, Place)]) -> Counts {
        let places = places.iter().map(|&(name, place)| (name.to_owned(), place)).collect();
        Counts { places, calls: BTreeMap::new(), clock_ns: 100 }
    }

    #[test]
    fn processes_are_added_and_other_words_ignored() {
        let text = "hello\n{\"cairn_count\":{\"places\":{\"class\":[8,4,3,1,900]},\"calls\":{\"mmap\":2},\"clock_ns\":90}}\n\
            {\"cairn_count\":{\"places\":{\"class\":[2,2,1,0,100]},\"calls\":{\"mmap\":1},\"clock_ns\":95}}\n";
        let counts = Counts::read(text).unwrap();
        let class = Place { atomics: 10, hottest: 6, entered: 4, waited: 1, held_ns: 1000 };
        assert_eq!(counts.places["class"], class);
        assert_eq!((counts.calls["mmap"], counts.clock_ns), (3, 95));
        assert_eq!(counts.held("class"), Some(155.0));
        assert!(Counts::read("nothing\n").is_err());
        assert!(Counts::read("{\"cairn_count\":{\"places\"\n").is_err());
    }

    #[test]
    fn a_line_without_a_lock_is_full_when_its_hops_fill_the_time() {
        // Seven touches in a thousand operations of 49 ns: 0.49 ns of each, so a hundred cores.
        let lines = counts(&[("pool", place(7, 7, 0, 0))]).lines(1000, 49.0);
        assert_eq!(lines.len(), 1);
        assert!((lines[0].cores - 100.0).abs() < 1e-9 && (lines[0].touches - 7.0).abs() < 1e-9, "{lines:?}");
    }

    #[test]
    fn a_lock_keeps_its_line_for_the_time_inside() {
        // Ten entries in a thousand operations, four of them on the hottest line, 260 ns each and two hops: 1.6 ns of each.
        let lines = counts(&[("class", place(20, 8, 10, 3600))]).lines(1000, 80.0);
        assert!((lines[0].cores - 50.0).abs() < 1e-9, "{lines:?}");
    }

    #[test]
    fn the_fullest_line_comes_first_and_shelves_are_shared_by_a_part_of_the_cpus() {
        // The shelf: a touch and half an entry an operation, 60 ns and two hops: 100 ns of 100. One CPU alone fills its own.
        let counts = counts(&[
            ("pool", place(500, 500, 0, 0)),
            ("shelf", place(1000, 500, 500, 80_000)),
            ("large", place(0, 0, 0, 0)),
        ]);
        let lines = counts.lines(1000, 100.0);
        assert_eq!(lines.iter().map(|line| line.place.as_str()).collect::<Vec<_>>(), ["pool", "shelf"]);
        assert!((lines[1].cores - 64.0).abs() < 1e-9, "{lines:?}");
        assert!((lines[1].touches - 1000.0).abs() < 1e-9, "{lines:?}");
    }
}

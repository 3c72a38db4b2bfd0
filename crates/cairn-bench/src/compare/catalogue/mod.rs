//! The loads: each workload with the parameters that the comparison uses; one table for each kind.

mod one_thread;
mod rust;
mod threads;

pub mod quick;

/// How many threads a load keeps busy; decides how a disturbed run is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// One after the other: wall time is CPU time, unless something came between.
    One,
    /// Several, or it waits by itself.
    Many,
}

/// What a load is, which says how it is run; the geometric means are given for each kind too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A pattern of ours in one thread; the allocator is preloaded.
    OneThread,
    /// A pattern of ours in several threads or processes; the allocator is preloaded.
    ManyThreads,
    /// A Rust program of ours with the allocator's crate linked in as its global allocator.
    RustDoor,
    /// A real program; the allocator is preloaded.
    Program,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Kind; 4] = [Kind::OneThread, Kind::ManyThreads, Kind::RustDoor, Kind::Program];

    /// Its name in tables.
    pub fn in_words(self) -> &'static str {
        match self {
            Kind::OneThread => "one thread",
            Kind::ManyThreads => "many threads",
            Kind::RustDoor => "Rust door",
            Kind::Program => "programs",
        }
    }
}

/// One load.
pub struct Load {
    /// Its name in tables.
    pub name: String,
    /// One sentence.
    pub about: String,
    /// How it is run.
    pub kind: Kind,
    /// How many threads.
    pub threads: Threads,
    /// Settings for the environment, as NAME=VALUE.
    pub settings: Vec<String>,
    /// The words for a workload program; of a [`Kind::Program`], the program and its arguments.
    pub words: Vec<String>,
}

impl Load {
    /// Whether several threads or processes of it hand things to each other, so that it matters how far apart the CPUs lie.
    pub fn hands_over(&self) -> bool {
        // What has its number of threads in its name has it at the end.
        let number = self.name.rsplit('-').next().and_then(|word| word.parse().ok()).unwrap_or(1u32);
        match self.kind {
            Kind::OneThread => false,
            Kind::ManyThreads => self.threads == Threads::Many,
            Kind::RustDoor => number > 1,
            Kind::Program => self.threads == Threads::Many,
        }
    }
}

/// Workloads of one thread that sleep, so that their wall time is more than their CPU time.
const WAITING: [&str; 1] = ["after-free"];

/// Name, sentence, and the words for a workload program.
type Row = (&'static str, &'static str, &'static str);

/// All loads but the real programs.
pub fn patterns(scale: f64) -> Vec<Load> {
    let of = |kind: Kind, rows: &'static [Row]| rows.iter().map(move |&row| load(row, kind, scale));
    of(Kind::OneThread, one_thread::LOADS)
        .chain(of(Kind::ManyThreads, threads::LOADS))
        .chain(of(Kind::RustDoor, rust::LOADS))
        .collect()
}

fn load((name, about, line): Row, kind: Kind, scale: f64) -> Load {
    let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
    words.push(format!("--scale={scale}"));
    let waits = WAITING.contains(&words[0].as_str());
    // A workload for any number of threads, here with one: its name says so.
    let alone = kind == Kind::OneThread || kind == Kind::ManyThreads && name.ends_with("-1");
    let threads = if alone && !waits { Threads::One } else { Threads::Many };
    Load { name: name.to_owned(), about: about.to_owned(), kind, threads, settings: Vec::new(), words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn loads_of_one_thread_hand_nothing_over() {
        let loads = patterns(1.0);
        let named = |name: &str| loads.iter().find(|load| load.name == name).unwrap().hands_over();
        assert!(["larson-2", "chains", "xmalloc-16", "rust-json-2"].map(named).iter().all(|&it| it));
        assert!(
            !["tree", "pairs-1024", "after-free", "larson-1", "rust-mix"].map(named).iter().any(|&it| it)
        );
    }

    #[test]
    fn every_pattern_is_a_valid_command_line_with_its_own_name() {
        let loads = patterns(0.5);
        let mut names: Vec<&str> = loads.iter().map(|load| load.name.as_str()).collect();
        for load in &loads {
            let words = ["cairn-workload"].into_iter().chain(load.words.iter().map(String::as_str));
            cairn_workload::Options::try_parse_from(words)
                .unwrap_or_else(|error| panic!("{}: {error}", load.name));
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), loads.len());
    }
}

//! The loads: each workload with the parameters that the comparison uses.

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

use Threads::{Many, One};

/// Name, sentence, threads, and the words for `cairn-workload`.
const PATTERNS: [(&str, &str, Threads, &str); 20] = [
    ("pairs-16", "immediate malloc and free of 16 bytes", One, "pairs --size 16"),
    ("pairs-64", "immediate malloc and free of 64 bytes", One, "pairs --size 64"),
    ("pairs-256", "immediate malloc and free of 256 bytes", One, "pairs --size 256"),
    ("pairs-1024", "immediate malloc and free of 1,024 bytes", One, "pairs --size 1024"),
    ("pairs-rare", "immediate pairs of sizes of which nothing else is live", One, "pairs-rare"),
    ("ordered", "a thousand live blocks of 48 bytes, freed in order", One, "ordered"),
    ("random", "random replacement in 200,000 live blocks", One, "random"),
    ("tree", "a tree of a million nodes, built, walked and dropped", One, "tree"),
    ("mix", "Rust collections, built and dropped in bulk", One, "mix"),
    ("threads-hot-2", "two threads, each with 100 small blocks", Many, "threads-hot --threads 2"),
    (
        "threads-hot-16",
        "16 threads, each with 100 small blocks",
        Many,
        "threads-hot --threads 16 --ops 5000000",
    ),
    ("producer-consumer", "one thread allocates, one frees", Many, "producer-consumer"),
    ("producer-consumer-8", "eight threads allocate, eight free", Many, "producer-consumer --pairs 8"),
    ("larson", "16 threads that hand their blocks to a new one and end", Many, "larson"),
    ("chains", "640 threads that hand their blocks to a new one and wait", Many, "chains"),
    ("large", "blocks of 64 KiB to 8 MiB, every page touched", One, "large"),
    ("realloc-1", "one vector that grows to 256 MiB", One, "realloc"),
    ("realloc-16", "16 vectors that grow to 16 MiB each, in turn", One, "realloc --vectors 16"),
    ("calloc-sparse", "calloc of 1 to 32 MiB, one byte per MiB touched", One, "calloc-sparse"),
    ("phase", "fill 160 MB, free 90 %, go on with other sizes", Many, "phase"),
];

/// Short processes: parents and children wait for each other, so this one is not told by its wall time.
const STARTUP: (&str, &str, Threads, &str) = ("startup", "800 short processes", Many, "startup");

/// All patterns.
pub fn patterns(scale: f64) -> Vec<Load> {
    let load = |(name, about, threads, line): (&str, &str, Threads, &str)| {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        words.push(format!("--scale={scale}"));
        Load {
            name: name.to_owned(),
            about: about.to_owned(),
            kind: if threads == One { Kind::OneThread } else { Kind::ManyThreads },
            threads,
            settings: Vec::new(),
            words,
        }
    };
    PATTERNS.into_iter().chain([STARTUP]).map(load).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

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

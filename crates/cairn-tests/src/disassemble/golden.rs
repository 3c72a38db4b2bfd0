//! The golden file: what the fast paths are, in words that a reviewer reads in a diff.
//!
//! ```text
//!   # how to read it, how to renew it
//!   compiler: rustc version …
//!
//!   malloc                                  a line that begins at the margin names a function
//!     counts: instructions 14, branches 2, loads 5, stores 1, ways 1, exits 1
//!     leaves for: cairn_alloc::slow::malloc
//!       mov     rax, qword ptr [rip+…]      a line that is indented by four is the listing
//! ```
//! Only the counts are compared. Other compilers choose other registers, and a listing that differs proves
//! nothing; it is here so that a reviewer sees *what* has become longer.

use std::fmt::Write;

use similar::TextDiff;

use super::path::{Counts, FastPath};

const HEAD: &str = "\
# The fast path of each function below, as it is in the shared object that Cairn ships.
#
# The fast path is the longest way from the first instruction to a `ret` without a call and without a jump into
# another function. What is counted on it:
#   instructions  all of them, `ret` included
#   branches      conditional ones, whether they are taken or not
#   loads,stores  accesses to memory; the return address is not counted, a pair (`ldp`, `stp`) is one
#   ways          different ways to a `ret`; 1 means that each branch leaves for the slow path
#   exits         different places outside the function that it may leave for
#
# The test `fast_path` fails if a count becomes greater than the one written here. The listing is for the reader
# and is not compared: compilers differ. If a longer path is meant, or a shorter one is to be kept, renew the file
# and let the diff be reviewed:
#   CAIRN_BLESS=1 cargo test -p cairn-tests --test fast_path
";

/// What the golden file holds of one function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The exported name.
    pub function: String,
    /// The counts, which are compared.
    pub counts: Counts,
    /// The names of the exits.
    pub exits: Vec<String>,
    /// The listing.
    pub listing: Vec<String>,
}

/// A golden file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Golden {
    /// The compiler whose code was blessed, in its own words.
    pub compiler: String,
    /// One record a function, in the order of the file.
    pub records: Vec<Record>,
}

/// How a path of today compares with its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All counts are equal.
    Equal,
    /// No count is greater and some are smaller: a hint for the reader.
    Shorter(String),
    /// Some count is greater: a failure.
    Longer(String),
}

impl Record {
    /// The record of a path that was just found.
    pub fn new(function: &str, path: &FastPath) -> Record {
        Record {
            function: function.to_string(),
            counts: path.counts,
            exits: path.exits.iter().map(|exit| exit.name.clone()).collect(),
            listing: path.listing.clone(),
        }
    }

    /// Compares this record, the golden one, with that of today.
    pub fn compare(&self, today: &Record) -> Verdict {
        let pairs = || self.counts.named().into_iter().zip(today.counts.named());
        let changes = pairs().filter(|((_, was), (_, is))| was != is);
        let changes: Vec<String> =
            changes.map(|((name, was), (_, is))| format!("{name} {was} → {is}")).collect();
        let changes = format!("{}: {}", self.function, changes.join(", "));
        if pairs().any(|((_, was), (_, is))| is > was) {
            Verdict::Longer(format!("{changes}\n{}", self.difference(today)))
        } else if self.counts != today.counts {
            Verdict::Shorter(changes)
        } else {
            Verdict::Equal
        }
    }

    /// Line by line, golden `-` against today's `+`.
    fn difference(&self, today: &Record) -> String {
        let (was, is) = (self.to_string(), today.to_string());
        let diff = TextDiff::from_lines(&was, &is);
        diff.iter_all_changes().map(|change| format!("  {}{change}", change.tag())).collect()
    }
}

impl std::fmt::Display for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.function)?;
        writeln!(f, "  counts: {}", self.counts)?;
        writeln!(f, "  leaves for: {}", self.exits.join(" | "))?;
        self.listing.iter().try_for_each(|line| writeln!(f, "    {line}"))
    }
}

impl Golden {
    /// The record of a function.
    pub fn find(&self, function: &str) -> Option<&Record> {
        self.records.iter().find(|record| record.function == function)
    }

    /// The text of the file.
    pub fn write(&self) -> String {
        let mut text = format!("{HEAD}\ncompiler: {}\n", self.compiler);
        for record in &self.records {
            // Writing to a string can't fail.
            let _ = write!(text, "\n{record}");
        }
        text
    }

    /// Reads the text of a file; an error names the line.
    pub fn parse(text: &str) -> Result<Golden, String> {
        let mut golden = Golden::default();
        for (index, line) in text.lines().enumerate() {
            let complain = |why: &str| format!("line {}: {why}: `{line}`", index + 1);
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if let Some(compiler) = line.strip_prefix("compiler:") {
                golden.compiler = compiler.trim().to_string();
            } else if !line.starts_with(' ') {
                golden.records.push(Record {
                    function: line.trim().to_string(),
                    counts: Counts::default(),
                    exits: Vec::new(),
                    listing: Vec::new(),
                });
            } else {
                let record =
                    golden.records.last_mut().ok_or_else(|| complain("this stands before any function"))?;
                record.read_line(line).map_err(|why| complain(&why))?;
            }
        }
        Ok(golden)
    }
}

impl Record {
    fn read_line(&mut self, line: &str) -> Result<(), String> {
        if let Some(instruction) = line.strip_prefix("    ") {
            self.listing.push(instruction.to_string());
        } else if let Some(counts) = line.strip_prefix("  counts: ") {
            self.counts = read_counts(counts)?;
        } else if let Some(exits) = line.strip_prefix("  leaves for: ") {
            self.exits = exits.split(" | ").map(str::to_string).collect();
        } else {
            return Err("neither counts nor exits nor an instruction".to_string());
        }
        Ok(())
    }
}

/// Reads what [`Counts`] displays. Each count must be there, or nothing would be held to it.
fn read_counts(text: &str) -> Result<Counts, String> {
    let read = |name: &str| {
        let mut words = text.split(", ").filter_map(|pair| pair.split_once(' '));
        let value = words.find(|(found, _)| *found == name).map(|(_, value)| value.trim().parse::<u32>());
        match value {
            Some(Ok(count)) => Ok(count),
            Some(Err(why)) => Err(format!("the count of {name} is no number ({why})")),
            None => Err(format!("the count of {name} is missing")),
        }
    };
    Ok(Counts {
        instructions: read("instructions")?,
        branches: read("branches")?,
        loads: read("loads")?,
        stores: read("stores")?,
        ways: read("ways")?,
        exits: read("exits")?,
    })
}

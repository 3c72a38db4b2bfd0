//! Short guided runs that compute everything they show.
//!
//! | lesson | module | what runs |
//! |---|---|---|
//! | `memory-map` | [`memory_map`] | this process looks at its own regions |
//! | `reuse` | [`reuse`] | ten requests, on a heap that uses memory again and on one that doesn't |
//! | `beyond-the-end` | [`beyond_the_end`] | child processes write past the end of a heap |
//! | `holes` | [`holes`] | the same holes and requests under each placement policy |
//! | `locality` | [`locality`] | one tree, kept inside the free blocks and beside them, and what a search touches |
//!
//! Each module has a `run` that gives values, without a word about how they look: the command line lays them out,
//! tests compare them, `--json` prints them as they are.

pub mod beyond_the_end;
mod exact;
pub mod holes;
pub mod locality;
pub mod memory_map;
pub mod reuse;

use serde::Serialize;

pub use beyond_the_end::BeyondTheEnd;
pub use holes::Holes;
pub use locality::Locality;
pub use memory_map::MemoryMap;
pub use reuse::Reuse;

use crate::trace::Trace;

/// All lessons, in the order in which they are best read: name, what it shows.
pub const LESSONS: &[(&str, &str)] = &[
    ("memory-map", "where code, data, heap, mappings and stack of a process lie"),
    ("reuse", "what a heap saves by using freed memory again, and what its bookkeeping costs"),
    ("beyond-the-end", "what happens on an access past a block's end, and past the heap's"),
    ("holes", "which hole to take: each policy's choice, and what it costs later"),
    ("locality", "pages touched by a search in a tree inside the blocks, and beside them"),
];

/// What a lesson computed.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "lesson", rename_all = "kebab-case")]
pub enum Lesson {
    /// `memory-map`
    MemoryMap(MemoryMap),
    /// `reuse`
    Reuse(Reuse),
    /// `beyond-the-end`
    BeyondTheEnd(BeyondTheEnd),
    /// `holes`
    Holes(Holes),
    /// `locality`
    Locality(Locality),
}

impl Lesson {
    /// The lesson's requests as traces, for the lessons that are about requests.
    pub fn traces(&self) -> Vec<Trace> {
        match self {
            Lesson::Reuse(_) => vec![reuse::trace()],
            Lesson::Holes(holes) => holes::traces(holes),
            _ => Vec::new(),
        }
    }
}

/// Runs the lesson of this name.
///
/// # Errors
/// One sentence: there is no such lesson, or the operating system refused something.
pub fn run(name: &str) -> Result<Lesson, String> {
    match name {
        "memory-map" => memory_map::run().map(Lesson::MemoryMap),
        "reuse" => reuse::run().map(Lesson::Reuse),
        "beyond-the-end" => beyond_the_end::run().map(Lesson::BeyondTheEnd),
        "holes" => holes::run().map(Lesson::Holes),
        "locality" => locality::run().map(Lesson::Locality),
        _ => {
            let names: Vec<&str> = LESSONS.iter().map(|(name, _)| *name).collect();
            Err(format!("there is no lesson '{name}'; there are: {}", names.join(", ")))
        }
    }
}

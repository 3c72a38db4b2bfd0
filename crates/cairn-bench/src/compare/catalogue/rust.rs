//! Rust programs, with each allocator's crate as the global allocator.

use super::Row;

/// Name, sentence, and the words for a workload program.
pub const LOADS: &[Row] = &[
    ("rust-mix", "collections built and dropped in bulk", "mix"),
    ("rust-boxes", "boxes of 24 to 72 bytes in vectors, lists and trees, replaced in part", "boxes"),
    ("rust-strings", "an index of documents that come and go, in maps with string keys", "strings"),
    ("rust-channels-2", "a client and a server with boxed messages and shared documents", "channels"),
    ("rust-channels-16", "eight clients and eight servers", "channels --threads 16 --ops 1000000"),
    ("rust-json", "a JSON server of one thread", "json"),
    ("rust-json-2", "a JSON server of two threads with a common cache", "json --threads 2"),
    ("rust-json-16", "a JSON server of 16 threads with a common cache", "json --threads 16"),
];

//! Rust programs, with each allocator's crate as the global allocator.

use super::Row;

/// Name, sentence, and the words for a workload program.
pub const LOADS: &[Row] = &[("mix", "Rust collections, built and dropped in bulk", "mix")];

//! Rust programs: collections, boxes, strings, on whatever global allocator the program has.

mod mix;

use clap::Subcommand;

use crate::Workload;

/// One of them, with its parameters.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// Rust collections built and dropped in bulk
    Mix(mix::Mix),
}

impl Which {
    pub(crate) fn workload(&self) -> &dyn Workload {
        match self {
            Which::Mix(it) => it,
        }
    }
}

//! Rust programs: collections, boxes, strings, on whatever global allocator the program has.

mod boxes;
mod channels;
mod json;
mod mix;
mod strings;

use clap::Subcommand;

use crate::Workload;

/// One of them, with its parameters.
#[derive(Subcommand)]
pub(crate) enum Which {
    /// Rust collections built and dropped in bulk
    Mix(mix::Mix),
    /// Boxes of 24 to 72 bytes in vectors, lists and trees, replaced in part
    Boxes(boxes::Boxes),
    /// Maps from strings to vectors, and of documents, that live on while their contents change
    Strings(strings::Strings),
    /// Clients and servers that send each other boxed messages and share documents by Arc
    Channels(channels::Channels),
    /// A server that parses documents of JSON, changes them, writes them out, and keeps a few
    Json(json::Json),
}

impl Which {
    pub(crate) fn workload(&self) -> &dyn Workload {
        match self {
            Which::Mix(it) => it,
            Which::Boxes(it) => it,
            Which::Strings(it) => it,
            Which::Channels(it) => it,
            Which::Json(it) => it,
        }
    }
}

#[cfg(test)]
mod tests;

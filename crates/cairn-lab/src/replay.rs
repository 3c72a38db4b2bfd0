//! Runs a trace on a heap, checks what the heap gives, and measures it.

mod timed;

pub use timed::Slots;
pub(crate) use timed::race;

//! The configuration of a heap whose size can be foretold with pencil and paper.

use cairn_heap::{Carve, Config, Tally};

/// The heap grows by exactly what is missing, gives nothing back, and cuts every block from a hole's low end.
#[derive(Debug)]
pub(super) struct Exact;

impl Config for Exact {
    const GROW_MIN: usize = 16;
    const GROW_SHIFT: u32 = usize::BITS - 1;
    const TRIM_MIN: usize = usize::MAX;
    const CARVE: Carve = Carve::Low;
    type Meter = Tally;
}

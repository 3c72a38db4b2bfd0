//! The two bounds between which the heap of any trace should lie.

use serde::Serialize;

use crate::policies::Setup;
use crate::trace::{Op, Trace};

/// How large the heap of a trace would be at the worst and at the best, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// If nothing were ever reused: the sum of all blocks that were allocated. A block that grows is a new one.
    pub no_reuse: u64,
    /// If every hole could be reused perfectly: the greatest sum of the blocks that are live at one time. No heap with
    /// these headers, this alignment and this smallest block can be smaller.
    pub perfect_reuse: u64,
}

impl Bounds {
    /// The bounds of a trace, with whole blocks as this configuration makes them.
    pub fn of(trace: &Trace, setup: Setup) -> Bounds {
        let mut blocks = vec![0u64; trace.ids as usize];
        let mut bounds = Bounds { no_reuse: 0, perfect_reuse: 0 };
        let mut live = 0;
        for op in &trace.ops {
            let old = &mut blocks[op.id() as usize];
            let new = op.size().map_or(0, |size| setup.block_size(size) as u64);
            if new > *old || matches!(op, Op::Allocate { .. }) {
                bounds.no_reuse = bounds.no_reuse.saturating_add(new);
            }
            live = live - *old + new;
            *old = new;
            bounds.perfect_reuse = bounds.perfect_reuse.max(live);
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_trace_by_hand() {
        let text = b"0\n3\n6\n1\na 0 100\na 1 1\nf 0\nr 1 40\na 2 0\nr 1 8\n";
        let trace = Trace::parse("hand", text).expect("valid");
        // Blocks: 112, 32, -, 48, 32, 32.
        let standard = Bounds::of(&trace, Setup::Standard);
        assert_eq!(standard, Bounds { no_reuse: 112 + 32 + 48 + 32, perfect_reuse: 112 + 32 });
        // At alignment 8: 112 (108), 24, -, 48, 24, 24.
        let tight = Bounds::of(&trace, Setup::Align8);
        assert_eq!(tight, Bounds { no_reuse: 112 + 24 + 48 + 24, perfect_reuse: 112 + 24 });
    }
}

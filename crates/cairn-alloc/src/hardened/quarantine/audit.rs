//! Of the audit: the quarantine of large blocks. Under all locks.

use crate::audit::{Audit, Found, Violation, must, must_be};
use crate::descriptor::Kind;
use crate::pages;

use super::{BLOCKS_MAX, QUARANTINE, State};
use crate::hardened::large::Block;

/// Checks each block that waits, and the sums.
pub fn check(audit: &mut Audit) -> Found {
    // SAFETY: the lock is held.
    let state: &State = unsafe { &*QUARANTINE.state.get() };
    let wrong = |what| Violation::new("the quarantine", what);
    let (mut count, mut bytes) = (0, 0);
    for number in 0..BLOCKS_MAX {
        let slot = (state.first + number) % BLOCKS_MAX;
        let Some(entry) = state.ring[slot] else { continue };
        must(number < state.count, || wrong("has a block behind its newest one"))?;
        let (region, granule) = (entry.span.region, entry.span.granule);
        let at = region.address_of(granule).addr();
        let is_large = pages::kind_at(region, granule) == Some(Kind::HardLarge);
        must(is_large, || wrong("holds what is no large block").at(at))?;
        must(!Block::at(entry.span).body().live, || wrong("holds a live block").at(at))?;
        must(audit.scratch.mark(at, 1).is_none(), || wrong("holds a block twice").at(at))?;
        count += 1;
        bytes += entry.bytes;
    }
    must_be(state.count, count, || wrong("counts its blocks wrongly"))?;
    must_be(state.bytes, bytes, || wrong("counts its bytes wrongly"))
}

/// Ways to damage it, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// How many blocks and bytes wait.
    pub fn sums() -> [*mut usize; 2] {
        // SAFETY: one test damages at a time.
        let state = unsafe { &mut *QUARANTINE.state.get() };
        [&raw mut state.count, &raw mut state.bytes]
    }
}

//! Of the audit: records. The free pieces lie in records, and nothing lies where something else does.

use crate::audit::{Audit, Found, Violation, must};
use crate::class::GRANULE;
use crate::pages;

use super::{PIECE_MIN, RECORDS, SIZES, State};

const SUBJECT: &str = "a free piece of Cairn's records";

/// Checks the free pieces. Under the lock of the records and the page lock.
pub fn check(audit: &mut Audit) -> Found {
    // SAFETY: the lock is held.
    let state = unsafe { &*RECORDS.state.get() };
    let records = pages::bytes_of_records();
    must(state.total <= records, || {
        Violation::new("the count of Cairn's records", "is larger than their spans").is(state.total, records)
    })?;
    for list in 0..SIZES {
        check_list(audit, state, list)?;
    }
    if state.left > 0 {
        must(state.left <= GRANULE, || {
            Violation::new("the uncut rest of Cairn's records", "is too long").is(state.left, GRANULE)
        })?;
        audit.record("the uncut rest of Cairn's records", state.next.addr(), state.left)?;
    }
    Ok(())
}

fn check_list(audit: &mut Audit, state: &State, list: usize) -> Found {
    let bytes = PIECE_MIN << list;
    let mut piece = state.lists[list];
    while !piece.is_null() {
        must(piece.addr().is_multiple_of(bytes.min(64)), || {
            Violation::new(SUBJECT, "is not aligned: its list's link was overwritten").at(piece.addr())
        })?;
        // A list that comes back to a piece ends here too: the piece was met before.
        audit.record(SUBJECT, piece.addr(), bytes)?;
        // SAFETY: the piece lies in records that may be read, and begins with its link.
        piece = unsafe { *piece.cast() };
    }
    Ok(())
}

/// Ways to damage the records, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// The first piece of the list for so many bytes, and the total.
    pub fn fields(bytes: usize) -> (*mut *mut u8, *mut usize) {
        // SAFETY: one test damages at a time.
        let state = unsafe { &mut *RECORDS.state.get() };
        (&raw mut state.lists[super::super::list_of(bytes)], &raw mut state.total)
    }
}

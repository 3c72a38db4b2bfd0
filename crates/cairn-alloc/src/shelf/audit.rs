//! Of the audit: shelves. Under all their locks, so that what lies on one stays there.

use crate::audit::{Audit, Found, Violation, fault_of, must, must_be};
use crate::class::{SHAPES, SMALL_COUNT};

use super::{ALL, Row, SHELF_BYTES_MAX, SLOTS, Slot, State, row_max};

const SUBJECT: &str = "a shelf";

/// Checks all shelves.
pub fn check(audit: &mut Audit) -> Found {
    states().try_for_each(|state| check_shelf(audit, state))
}

/// Whether a block lies on a shelf.
pub fn holds(block: usize, class: usize) -> bool {
    let has = |row: &Row| blocks_of(row).iter().any(|other| other.addr() == block);
    states().any(|state| state.rows.get(class).is_some_and(has))
}

fn states() -> impl Iterator<Item = &'static State> {
    // SAFETY: the locks are held.
    ALL.iter().map(|shelf| unsafe { &*shelf.state.get() })
}

/// The blocks of a row, of which the length was checked.
fn blocks_of(row: &Row) -> &[Slot] {
    if row.slots.is_null() {
        return &[];
    }
    // SAFETY: the row has SLOTS slots, and the first `len` hold blocks.
    unsafe { core::slice::from_raw_parts(row.slots, usize::from(row.len).min(SLOTS)) }
}

fn check_shelf(audit: &mut Audit, state: &State) -> Found {
    let mut bytes = 0;
    for (class, shape) in SHAPES[..SMALL_COUNT].iter().enumerate().skip(1) {
        let row = &state.rows[class];
        let wrong = |what| Violation::new(SUBJECT, what).at(row.slots.addr()).of(class);
        let len = usize::from(row.len);
        must(len <= row_max(class), || wrong("holds more than a row may").is(len, row_max(class)))?;
        must(row.least <= row.len, || wrong("says that it never held as little as it does"))?;
        if row.slots.is_null() {
            must(len == 0, || wrong("has blocks, but no room for them"))?;
            continue;
        }
        audit.record("a row of a shelf", row.slots.addr(), SLOTS * size_of::<Slot>())?;
        bytes += len * shape.size as usize;
        for block in blocks_of(row).iter().map(|block| block.addr()) {
            let wrong = |what| Violation::new(SUBJECT, what).at(block).of(class);
            fault_of(block, class).map_or(Ok(()), |what| Err(wrong(what)))?;
            // Before the shelves only slabs were looked at, and those did not mark blocks.
            let met = audit.scratch.mark(block, 1);
            must(met.is_none(), || wrong("holds a block that lies on a shelf a second time"))?;
            audit.seen.blocks += 1;
        }
    }
    let wrong = |what| Violation::new(SUBJECT, what);
    must_be(state.bytes, bytes, || wrong("counts the bytes of its blocks wrongly"))?;
    must(bytes <= SHELF_BYTES_MAX, || wrong("holds more than it may").is(bytes, SHELF_BYTES_MAX))
}

/// Ways to damage a shelf, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;

    /// Of the first shelf: its count of bytes, and of the row of a class the length, the least length and the slots.
    pub fn fields(class: usize) -> (*mut usize, *mut u8, *mut u8, *mut Slot) {
        // SAFETY: one test damages at a time.
        let state = unsafe { &mut *ALL[0].state.get() };
        let row = &mut state.rows[class];
        (&raw mut state.bytes, &raw mut row.len, &raw mut row.least, row.slots)
    }

    /// Puts a block on the first shelf.
    pub fn put(class: usize, block: *mut u8) -> usize {
        ALL[0].locked(|state| state.put(class, &[block]))
    }

    /// Takes one from it.
    pub fn take(class: usize) -> *mut u8 {
        let mut out = [core::ptr::null_mut()];
        ALL[0].locked(|state| state.take(class, &mut out));
        out[0]
    }
}

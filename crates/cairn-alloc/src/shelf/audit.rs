//! Of the audit: shelves. Under all their locks, so that what lies on one stays there.

use crate::audit::{Audit, Found, Violation, fault_of, must, must_be};
use crate::class::{SHAPES, is_medium};
use crate::slab::Slab;

use super::{ALL, BOUNDS, Row, SLOTS, Slot, State, kind, row_max};

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
    let mut bytes = [0; 2];
    for (class, shape) in SHAPES.iter().enumerate().skip(1) {
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
        bytes[kind(class)] += len * shape.size as usize;
        for block in blocks_of(row).iter().map(|block| block.addr()) {
            let wrong = |what| Violation::new(SUBJECT, what).at(block).of(class);
            fault_of(block, class).map_or(Ok(()), |what| Err(wrong(what)))?;
            let slab = Slab::of_block(block, class).filter(|_| is_medium(class));
            must(!slab.is_some_and(|(slab, _)| slab.is_held(block, class)), || {
                wrong("holds a block that the program holds, too")
            })?;
            // Before the shelves only slabs were looked at, and those did not mark blocks.
            let met = audit.scratch.mark(block, 1);
            must(met.is_none(), || wrong("holds a block that lies on a shelf a second time"))?;
            audit.seen.blocks += 1;
        }
    }
    let wrong = |what| Violation::new(SUBJECT, what);
    bytes.into_iter().zip(state.bytes).zip(&BOUNDS).try_for_each(|((bytes, counted), bounds)| {
        must_be(counted, bytes, || wrong("counts the bytes of its blocks wrongly"))?;
        must(bytes <= bounds.all, || wrong("holds more than it may").is(bytes, bounds.all))
    })
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
        (&raw mut state.bytes[kind(class)], &raw mut row.len, &raw mut row.least, row.slots)
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

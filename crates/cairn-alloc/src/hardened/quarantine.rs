//! Where large blocks wait after they were freed: inaccessible, so that whoever still uses one is stopped at the instruction.
//!
//! First in, first out. Bounded in number, since each is a mapping of its own while it waits, and in bytes of memory; those whose pages
//! went back to the kernel cost address space only.
//!
//! Invariant: what is in the ring is not live, reads as zero, and is inaccessible if the kernel allowed it. `live` of all large
//! blocks changes under the lock here. Lock order: this one before that of the pages.

pub mod audit;

use core::cell::UnsafeCell;

use cairn_core::count::Place as Name;
use cairn_core::lock::Lock;

use crate::hardened::large::{self, Block};
use crate::region::Place;

/// Blocks that wait at most.
const BLOCKS_MAX: usize = 64;
/// Bytes with pages that wait at most,
const BYTES_MIN: usize = 8 << 20;
/// or this part of what large blocks the program has.
const SHARE: usize = 8;

/// A block that waits.
#[derive(Clone, Copy)]
struct Entry {
    span: Place,
    /// Bytes of it that may have pages.
    bytes: usize,
}

struct State {
    ring: [Option<Entry>; BLOCKS_MAX],
    /// The oldest one's slot.
    first: usize,
    count: usize,
    bytes: usize,
}

struct Quarantine {
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`.
unsafe impl Sync for Quarantine {}

static QUARANTINE: Quarantine = Quarantine {
    lock: Lock::named(Name::Large),
    state: UnsafeCell::new(State { ring: [None; BLOCKS_MAX], first: 0, count: 0, bytes: 0 }),
};

/// The lock, for fork.
pub fn lock() -> &'static Lock {
    &QUARANTINE.lock
}

fn locked<T>(run: impl FnOnce(&mut State) -> T) -> T {
    let _held = QUARANTINE.lock.hold();
    // SAFETY: the lock is held, and `run` never takes it again.
    run(unsafe { &mut *QUARANTINE.state.get() })
}

/// Whether the program has a block.
pub fn is_live(block: Block) -> bool {
    block.body().live
}

/// Ends a block's life; false if it is over already. Of two that free it at the same time one gets false.
pub fn leave_life(block: Block) -> bool {
    locked(|_| core::mem::replace(&mut block.body().live, false))
}

/// Puts a block in that reads as zero, and lets those go that have waited longest, as the bounds ask.
pub fn enter(block: Block, bytes: usize) {
    block.forbid(true);
    let bytes_max = BYTES_MIN.max(large::totals().1 / SHARE);
    let entry = Entry { span: block.place(), bytes };
    if bytes > bytes_max {
        leave(entry);
        return;
    }
    while let Some(oldest) = locked(|state| state.oldest_beyond(BLOCKS_MAX - 1, bytes_max - bytes)) {
        leave(oldest);
    }
    let full = locked(|state| state.push(entry));
    if let Some(entry) = full {
        leave(entry);
    }
}

/// Lets all go; whether there were any.
pub fn empty() -> bool {
    let mut any = false;
    while let Some(oldest) = locked(|state| state.oldest_beyond(0, 0)) {
        leave(oldest);
        any = true;
    }
    any
}

fn leave(entry: Entry) {
    let block = Block::at(entry.span);
    if block.forbid(false) {
        block.release(entry.bytes);
    } else {
        // The kernel has no room for the mappings that it takes to join them; so it stays inaccessible for ever.
        block.lose();
    }
}

/// Bytes with pages of those that wait.
pub fn bytes() -> usize {
    locked(|state| state.bytes)
}

impl State {
    /// Takes the oldest out if more than so many blocks or bytes are there.
    fn oldest_beyond(&mut self, count: usize, bytes: usize) -> Option<Entry> {
        if self.count <= count && (self.bytes <= bytes || self.count == 0) {
            return None;
        }
        let entry = self.ring[self.first].take()?;
        self.first = (self.first + 1) % BLOCKS_MAX;
        self.count -= 1;
        self.bytes -= entry.bytes;
        Some(entry)
    }

    /// Puts one in; gives it back if another thread has filled the ring meanwhile.
    fn push(&mut self, entry: Entry) -> Option<Entry> {
        if self.count == BLOCKS_MAX {
            return Some(entry);
        }
        self.ring[(self.first + self.count) % BLOCKS_MAX] = Some(entry);
        self.count += 1;
        self.bytes += entry.bytes;
        None
    }
}

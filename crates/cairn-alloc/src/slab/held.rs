//! Which blocks of a slab of medium blocks the program holds: a bit each, in the slab's descriptor.
//!
//! ```text
//!   handed out:  bit 0 ─► 1
//!   free(p):     bit 1 ─► 0, and p goes on;  it is 0 already? then p is free ── the message
//! ```
//! By the slab's bitmap a block that waits on a shelf is live, and to read it takes the class's lock. A mark in the block (mark.rs) would bring in a page that
//! the program perhaps never used. So these bits tell at once, and without a lock, whether a medium block is live: to whoever frees it, resizes it or asks how
//! large it is.
//!
//! Invariant: a bit is set from when its block is handed out until it is freed, and never else. So a block on a shelf or free in its slab has none, nor has
//! one that was never handed out, and no slab goes back to the page heap with a bit set.
//!
//! All orderings are `Relaxed`. Who frees a block got it from whoever it was handed out to, and so reads the bit as it became then or later; of two who free
//! it at once one clears the bit, the other one finds it cleared. What is done with the block next is ordered by the locks that it passes.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use cairn_core::count::{self, Place};

use super::Slab;
use crate::class::SHAPES;

impl Slab {
    /// One bit a block of a slab of medium blocks: set if the program holds it.
    pub fn held<'a>(self) -> &'a AtomicU32 {
        // SAFETY: the caller has found the slab by an address in it, or has its class's lock: its region, with all descriptors, stays as long as a slab is there.
        unsafe { &(*self.descriptor).tag }
    }

    /// Whether the program holds the block of `class`, which is the slab's and medium, that begins at `address`.
    pub fn is_held(self, address: usize, class: usize) -> bool {
        self.held().load(Relaxed) & self.bit(address, class) != 0
    }

    /// The same block, which is free and the caller's, goes to the program.
    pub fn hand_out(self, address: usize, class: usize) {
        count::atomic(Place::Held, self.held());
        self.held().fetch_or(self.bit(address, class), Relaxed);
    }

    /// The program gives it back; false, and nothing done, if it did not hold it.
    pub fn take_back(self, address: usize, class: usize) -> bool {
        let bit = self.bit(address, class);
        count::atomic(Place::Held, self.held());
        self.held().fetch_and(!bit, Relaxed) & bit != 0
    }

    /// The bit of the block of `class` that begins at `address`; none, so it isn't held, if there is no such block in this slab: a second free may come here just
    /// when the slab has gone and another one of its class is there.
    fn bit(self, address: usize, class: usize) -> u32 {
        let (shape, offset) = (&SHAPES[class], self.offset_of(address));
        if offset >= (shape.blocks * shape.size) as usize {
            return 0;
        }
        shape.index_at(offset).map_or(0, |block| 1 << block)
    }
}

//! Counting what the heap does, for those who want to look; for all others it compiles to nothing.

use core::cell::Cell;

/// What is told of each step of the heap's work.
pub trait Meter: core::fmt::Debug {
    /// A meter at zero.
    const NEW: Self;
    /// A search of the free index begins.
    fn search(&self) {}
    /// A search looked at one free block.
    fn step(&self) {}
    /// A free block was cut in two.
    fn split(&self) {}
    /// Two neighbours became one free block.
    fn coalesce(&self) {}
    /// The heap took memory from its source.
    fn grow(&self) {}
    /// The heap gave memory back to its source.
    fn shrink(&self) {}
}

impl Meter for () {
    const NEW: Self = ();
}

/// A meter that counts everything.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    searches: Cell<u64>,
    steps: Cell<u64>,
    splits: Cell<u64>,
    coalesces: Cell<u64>,
    grows: Cell<u64>,
    shrinks: Cell<u64>,
}

fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

impl Tally {
    /// Searches of the free index.
    pub fn searches(&self) -> u64 {
        self.searches.get()
    }
    /// Free blocks looked at in all searches.
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }
    /// Free blocks cut in two.
    pub fn splits(&self) -> u64 {
        self.splits.get()
    }
    /// Neighbours joined.
    pub fn coalesces(&self) -> u64 {
        self.coalesces.get()
    }
    /// Times that the heap took memory from its source.
    pub fn grows(&self) -> u64 {
        self.grows.get()
    }
    /// Times that the heap gave memory back to its source.
    pub fn shrinks(&self) -> u64 {
        self.shrinks.get()
    }
}

impl Meter for Tally {
    const NEW: Self = Self {
        searches: Cell::new(0),
        steps: Cell::new(0),
        splits: Cell::new(0),
        coalesces: Cell::new(0),
        grows: Cell::new(0),
        shrinks: Cell::new(0),
    };
    fn search(&self) {
        count(&self.searches);
    }
    fn step(&self) {
        count(&self.steps);
    }
    fn split(&self) {
        count(&self.splits);
    }
    fn coalesce(&self) {
        count(&self.coalesces);
    }
    fn grow(&self) {
        count(&self.grows);
    }
    fn shrink(&self) {
        count(&self.shrinks);
    }
}

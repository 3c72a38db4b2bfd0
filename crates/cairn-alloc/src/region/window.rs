//! What of a region anybody may read without a lock: where it begins and how far it may be used.
//!
//! A window is *shut* (it has no granules), or *open* at a base, and then as many granules may be used as are *committed*. Writers come
//! one at a time (under the page lock). A window may be opened again at another base after it was shut.
//!
//! # What a reader may rely on
//! If [`find`](Window::find) says that an address lies in granule `g`, then the window was open at one base with more than `g`
//! granules, the address is judged by that base, and the reader sees all that was written before they were committed.
//! So no address is judged by the base of one region and the length of another (unless the window was shut and opened twice while
//! the reader looked, at first and at last at the same base). Whether the region is still there the reader knows from
//! elsewhere: a region in which a block lives is not shut.
//!
//! # Orderings
//! - `committed` is stored by `Release` and loaded by `Acquire`: descriptors and class map are there before anybody learns of the
//!   granules.
//! - A reader loads base, committed, base, and wants all three of one region. A length of a *later* region comes by its
//!   `Release` with that region's base, so the second look at the base differs from the first. A length of an *earlier* region
//!   is not seen by who saw the base first, since that was stored by `Release`, after the length was gone, and the first look
//!   is `Acquire`. The same goes for the zero that stands for the base of a window that is shut: it fits to low addresses.
//!
//! The models: crates/cairn-model, `regions`.

use cairn_core::ord;
use cairn_core::sync::{AtomicUsize, Ordering};

/// See the module.
#[derive(Debug)]
pub struct Window {
    base: AtomicUsize,
    committed: AtomicUsize,
}

impl Window {
    /// Shut.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn shut() -> Self {
        Window { base: AtomicUsize::new(0), committed: AtomicUsize::new(0) }
    }

    /// Shut.
    #[cfg(any(loom, shuttle))]
    pub fn shut() -> Self {
        Window { base: AtomicUsize::new(0), committed: AtomicUsize::new(0) }
    }

    /// Where the region begins.
    #[inline]
    pub fn base(&self) -> usize {
        // Relaxed: for who knows that the region stays.
        self.base.load(Ordering::Relaxed)
    }

    /// Granules that may be used so far.
    #[inline]
    pub fn committed(&self) -> usize {
        self.committed.load(ord!("region-committed", Acquire))
    }

    /// The granule of `1 << granule_log2` bytes that holds `address`, if it may be used.
    #[inline]
    pub fn find(&self, address: usize, granule_log2: u32) -> Option<usize> {
        let base = self.base.load(ord!("region-base", Acquire));
        let granule = address.wrapping_sub(base) >> granule_log2;
        (granule < self.committed() && self.base() == base).then_some(granule)
    }

    /// Opens a window that is shut; none of its granules may be used yet.
    pub fn open(&self, base: usize) {
        self.base.store(base, ord!("region-open", Release));
    }

    /// Lets the first `granules` be used; what was beyond them before, nobody uses any more.
    pub fn commit(&self, granules: usize) {
        self.committed.store(granules, ord!("region-commit", Release));
    }

    /// Base and committed, for tests that damage them.
    #[cfg(all(test, not(any(loom, shuttle, cairn_mutants))))]
    pub fn words(&self) -> [&AtomicUsize; 2] {
        [&self.base, &self.committed]
    }

    /// Shuts the window.
    pub fn shut_again(&self) {
        self.committed.store(0, Ordering::Relaxed);
        self.base.store(0, ord!("region-shut", Release));
    }
}

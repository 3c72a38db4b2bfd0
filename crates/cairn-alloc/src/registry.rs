//! The list of all heaps: births add to it, deaths leave places in it, anybody walks it.
//!
//! ```text
//!   newest ──► heap 3 (taken) ──► heap 2 (left) ──► heap 1 (taken) ──► null
//! ```
//! Invariants:
//! - Heaps are added at the front, under the lock of births, and never leave; each was whole before it was added.
//! - `taken` is true *iff* a thread has the heap. Who turns it from false to true has it, until it says [`leave`](Listing::leave).
//!
//! # Orderings
//! - `newest` is stored by `Release` and loaded by `Acquire`: who finds a heap sees it as it was when it was added, and, since births
//!   come one after another, all older ones too. So the links between them may be `Relaxed`.
//! - `taken` is cleared by `Release` and set by `Acquire`: the next owner sees the bins as the last one left them. This
//!   is the only order between the two, since leaving takes no lock.
//!
//! The models: crates/cairn-model, `registry`.

use core::iter;
use core::ptr;

use cairn_core::count::{self, Place};
use cairn_core::ord;
use cairn_core::sync::{AtomicBool, AtomicPtr, Ordering};

/// What a heap carries for the registry.
#[derive(Debug)]
pub struct Listing<H> {
    taken: AtomicBool,
    /// The next older one. Written once, before the heap is added.
    next: AtomicPtr<H>,
}

/// What can be in a registry.
///
/// # Safety
/// `listing` gives the same listing each time, and that was in no registry before.
pub unsafe trait Registered: Sized + Sync + 'static {
    /// The part of it that belongs to the registry.
    fn listing(&self) -> &Listing<Self>;
}

/// All heaps, newest first.
#[derive(Debug)]
pub struct Registry<H> {
    newest: AtomicPtr<H>,
}

impl<H> Listing<H> {
    /// For a heap that is made for a thread that will have it at once.
    pub fn taken() -> Self {
        Listing { taken: AtomicBool::new(true), next: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Takes the heap if nobody has it, and tells whether it did.
    pub fn take(&self) -> bool {
        count::atomic(Place::Heaps, &self.taken);
        self.taken.compare_exchange(false, true, ord!("heap-take", Acquire), Ordering::Relaxed).is_ok()
    }

    /// Whether somebody has the heap, or died with it. Under the lock of births. (Who wants to see it as its last owner left it needs
    /// a fence after this.)
    pub fn is_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed)
    }

    /// The owner leaves the heap to whoever takes it next.
    pub fn leave(&self) {
        self.taken.store(false, ord!("heap-leave", Release));
    }
}

impl<H: Registered> Registry<H> {
    /// No heaps.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn new() -> Self {
        Registry { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// No heaps.
    #[cfg(any(loom, shuttle))]
    pub fn new() -> Self {
        Registry { newest: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Puts a heap in front of the others.
    ///
    /// # Safety
    /// The heap is whole, nobody else knows it, it stays where it is for ever, and no other thread adds one meanwhile.
    pub unsafe fn add(&self, heap: *mut H) -> &'static H {
        // SAFETY: says the caller.
        let added = unsafe { &*heap };
        // Relaxed: births come one after another.
        added.listing().next.store(self.newest.load(Ordering::Relaxed), Ordering::Relaxed);
        self.newest.store(heap, ord!("registry-add", Release));
        added
    }

    /// All heaps that were added until now, newest first.
    pub fn all(&self) -> impl Iterator<Item = &'static H> + use<H> {
        // SAFETY: what is in the registry is whole, says `add`, and stays for ever.
        let at = |heap: *mut H| unsafe { heap.as_ref() };
        let newest = self.newest.load(ord!("registry-walk", Acquire));
        iter::successors(at(newest), move |heap| at(heap.listing().next.load(Ordering::Relaxed)))
    }

    /// Takes a heap that its owner has left, if there is one.
    pub fn take_left(&self) -> Option<&'static H> {
        self.all().find(|heap| heap.listing().take())
    }
}

//! The address space of a region: one reservation, and how it grows where address space is short.
//!
//! ```text
//!   at                                             base                                   end
//!   ┌───────────┬────────────┬─────────────────────┬──────────────────────────────────────┬─ ─ ─ ─ ─ ─ ─ ─ ┐
//!   │ class map │ dirty bits │ descriptors, down   │ granules, up                         │ not ours yet
//!   └───────────┴────────────┴─────────────────────┴──────────────────────────────────────┴─ ─ ─ ─ ─ ─ ─ ─ ┘
//!     usable at once           committed as needed   committed as needed
//! ```
//! A *whole* space has room for all granules of its region from the start: address space costs nothing. Under a limit (`ulimit -v`)
//! it does: there a space *grows*. It begins with little, at a place with nothing behind it, and reserves more when the heap needs
//! it, as long as nobody else's mapping stands there; so a block can grow in place to the limit. What is free at its end goes
//! back.
//!
//! Invariants: class map and dirty bits can be read and written as long as there is a space. Behind what the region has committed
//! there is at least a page more that is reserved (large/moves.rs asks whether a span could grow into it). One call gives everything back, so there is
//! no half of a space: it is there or it is not.
//!
//! All functions run under the page lock, and only [`Space::class_map`] and [`Space::dirty_words`] at any time.

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use cairn_core::os;

use crate::class::{Code, GRANULE};
use crate::descriptor::Descriptor;

/// See the module.
pub struct Space {
    at: AtomicUsize,
    bytes: AtomicUsize,
}

/// What a space has to have room for.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Granules that the region can ever have; a multiple of 64.
    pub granules: usize,
    /// Granules for which there is room at once.
    pub now: usize,
    /// Where it would be good, or 0.
    pub wish: usize,
}

impl Plan {
    /// Bytes of class map and dirty bits.
    fn map_bytes(&self) -> usize {
        (self.granules * size_of::<Code>() + self.granules / 8).next_multiple_of(os::page_size())
    }

    fn descriptor_bytes(&self) -> usize {
        (self.granules * size_of::<Descriptor>()).next_multiple_of(GRANULE)
    }

    /// Whether the region need not ask for more space.
    fn is_whole(&self) -> bool {
        self.now == self.granules
    }
}

impl Space {
    /// None.
    pub const fn none() -> Self {
        Space { at: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// The first byte of the class map.
    #[inline]
    pub fn class_map(&self) -> *mut AtomicU32 {
        ptr::with_exposed_provenance_mut(self.at.load(Relaxed))
    }

    /// The dirty bits of a region of so many granules.
    pub fn dirty_words(&self, granules: usize) -> *mut u64 {
        ptr::with_exposed_provenance_mut(self.at.load(Relaxed) + granules * size_of::<Code>())
    }

    /// Bytes of address space.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Relaxed)
    }

    /// Where it begins and ends.
    pub fn range(&self) -> (usize, usize) {
        (self.at.load(Relaxed), self.end())
    }

    /// Reserves; the address of granule 0, or None, and nothing kept, if the kernel refuses. A space that is to grow, and can't be
    /// where it was wished, is none.
    pub fn reserve(&self, plan: &Plan) -> Option<usize> {
        let (map_bytes, below) = (plan.map_bytes(), plan.descriptor_bytes());
        // One granule more, to align the base.
        let bytes = map_bytes + below + (plan.now + 1) * GRANULE;
        let space = os::reserve_near(plan.wish, bytes)?.as_ptr();
        let at = space.expose_provenance();
        // SAFETY: the reservation was made above, and nobody knows it; the class map is its first part.
        unsafe {
            let fits = plan.is_whole() || at == plan.wish;
            if !(fits && os::commit(space, map_bytes)) {
                // If that is refused too, the addresses are lost, and nothing else.
                let _ = os::unmap(space, bytes);
                return None;
            }
        }
        self.at.store(at, Relaxed);
        self.bytes.store(bytes, Relaxed);
        Some((at + map_bytes + below).next_multiple_of(GRANULE))
    }

    /// Makes room up to the address `end`, and a page behind it; false if it is taken, or if the kernel refuses this or would refuse
    /// `spare` bytes more: so much of the address space is left to the program.
    pub fn reach(&self, end: usize, spare: usize) -> bool {
        let (old, wanted) = (self.end(), end + os::page_size());
        if wanted <= old {
            return true;
        }
        let bytes = (wanted - old).saturating_add(spare).next_multiple_of(os::page_size());
        let done = os::reserve_vacant(ptr::with_exposed_provenance_mut(old), bytes);
        if done {
            self.bytes.fetch_add(bytes, Relaxed);
            self.retreat(end);
        }
        done
    }

    /// Gives back what lies behind `end` and a page: nothing of it is used.
    pub fn retreat(&self, end: usize) {
        let (old, wanted) = (self.end(), end + os::page_size());
        // SAFETY: the end of the reservation, and unused, says the caller.
        if wanted < old && unsafe { os::unmap(ptr::with_exposed_provenance_mut(wanted), old - wanted) } {
            self.bytes.fetch_sub(old - wanted, Relaxed);
        }
    }

    fn end(&self) -> usize {
        self.at.load(Relaxed) + self.bytes()
    }

    /// Gives everything back; false if the kernel refuses: then all is as it was.
    pub fn give_back(&self) -> bool {
        let at = ptr::with_exposed_provenance_mut(self.at.load(Relaxed));
        // SAFETY: the reservation, which nobody uses any more, says the caller.
        let done = unsafe { os::unmap(at, self.bytes()) };
        if done {
            self.bytes.store(0, Relaxed);
        }
        done
    }
}

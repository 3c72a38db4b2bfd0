//! Which threads have slabs of their own (center/home.rs): those that take what they free.

use core::ptr;

use super::{Heap, living};
use crate::center::{ANYBODY, Home, Own};
use crate::class::{LINE, SHAPES};
use crate::transfer::BATCH_MAX;

/// Blocks of so many bytes or more have most of their lines to themselves.
const APART: u32 = 256;
/// A thread that got so many batches from others before it freed more than its bin holds lives on theirs.
const FED: u8 = 16;

/// Whether blocks of a class share cache lines with their neighbours, so that it matters whose these are.
fn share_lines(class: usize) -> bool {
    let size = SHAPES[class].size;
    size < APART && !(size as usize).is_multiple_of(LINE)
}

impl Heap {
    /// Whose slabs blocks of a class come from and go back to: this thread's, if it is one of several, takes whole batches, and frees such blocks itself,
    /// or at least gets none that others have freed.
    pub(super) fn home(&self, class: usize) -> Home {
        let (bin, cold) = (&self.bins[class], &self.cold[class]);
        let by_itself = cold.swings.get() || cold.fed.get() < FED;
        let in_batches = bin.capacity(cold) >= BATCH_MAX - 1;
        if by_itself && in_batches && share_lines(class) && living::threads() > 1 {
            // Heaps are never given back, and lie further apart than their alignment.
            (ptr::from_ref(self).addr() / align_of::<Heap>()) as Home
        } else {
            ANYBODY
        }
    }

    /// The same for a thread that is about to take some: its number and its last slab; None if the blocks may be anybody's.
    pub(super) fn own(&self, class: usize) -> Option<Own<'_>> {
        let home = self.home(class);
        (home != ANYBODY).then(|| Own { home, slab: &self.cold[class].slab })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::of_size;

    #[test]
    fn whole_lines_and_large_blocks_are_anybodys() {
        for (size, share) in
            [(16, true), (48, true), (64, false), (80, true), (192, false), (240, true), (320, false)]
        {
            assert_eq!(share_lines(of_size(size)), share, "{size} bytes");
        }
    }
}

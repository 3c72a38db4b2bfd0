//! Several disjoint regions that the caller owns, used one after the other.

use core::ops::Range;

use super::{Region, Source};

/// Up to `N` regions. They are sorted by address; a heap fills them from the lowest up.
#[derive(Debug)]
pub struct Regions<const N: usize> {
    regions: [Region; N],
    current: usize,
    sorted: bool,
}

impl<const N: usize> Regions<N> {
    /// These regions, in any order.
    pub const fn new(regions: [Region; N]) -> Self {
        Self { regions, current: 0, sorted: false }
    }

    /// The region from which the next piece comes.
    fn current(&mut self) -> Option<&mut Region> {
        if !self.sorted {
            self.regions.sort_unstable_by_key(Region::start);
            self.sorted = true;
        }
        while self.regions.get(self.current)?.left() == 0 {
            if self.current + 1 == N {
                return None;
            }
            self.current += 1;
        }
        self.regions.get_mut(self.current)
    }
}

// SAFETY: each region keeps the contract for itself, and they are used in the order of their addresses.
unsafe impl<const N: usize> Source for Regions<N> {
    fn lowest(&mut self) -> Option<usize> {
        self.current()?;
        // A region without memory may claim to lie anywhere.
        self.regions.iter_mut().find(|region| !region.is_empty())?.lowest()
    }

    fn position(&mut self) -> Option<usize> {
        self.current()?.position()
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        // What is left of a region comes first, even if it is not enough: the next piece is from the next region.
        let region = self.current()?;
        region.grow(least.min(region.left()), wish)
    }

    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        let Some(region) = self.regions.get_mut(self.current) else { return false };
        // `current` goes on when the next piece is asked for, so the last piece came from this region; or from none.
        // SAFETY: passed on.
        region.position() == Some(end) && unsafe { region.shrink(end, bytes) }
    }
}

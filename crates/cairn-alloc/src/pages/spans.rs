//! Where free spans are kept: the trees' nodes in the descriptors, and a span's neighbours.
//!
//! A free span's first descriptor is its node in one of the two trees of its region; its last one points back to the first.
//! Everything here runs under the page lock.

use cairn_core::avl::Nodes;

use crate::descriptor::{Descriptor, FreeBody, Kind};
use crate::region::{Region, Spans};

/// The trees' nodes are the descriptors of a region.
pub struct Table<'a>(pub &'a Region);

impl Table<'_> {
    #[allow(clippy::mut_from_ref)]
    fn free(&self, n: u32) -> &mut FreeBody {
        // SAFETY: `n` is a free span's first granule and the page lock is held, so the descriptor is ours, and each
        // reference ends before the next is made (all uses are single expressions in this impl).
        unsafe { &mut (*self.0.descriptor(n as usize)).body.free }
    }
}

fn link(to: Option<u32>) -> u32 {
    to.map_or(0, |n| n + 1)
}

impl Nodes for Table<'_> {
    type Id = u32;

    #[inline]
    fn left(&self, n: u32) -> Option<u32> {
        self.free(n).left.checked_sub(1)
    }
    #[inline]
    fn set_left(&mut self, n: u32, to: Option<u32>) {
        self.free(n).left = link(to);
    }
    #[inline]
    fn right(&self, n: u32) -> Option<u32> {
        self.free(n).right.checked_sub(1)
    }
    #[inline]
    fn set_right(&mut self, n: u32, to: Option<u32>) {
        self.free(n).right = link(to);
    }
    #[inline]
    fn parent(&self, n: u32) -> Option<u32> {
        self.free(n).parent.checked_sub(1)
    }
    #[inline]
    fn set_parent(&mut self, n: u32, to: Option<u32>) {
        self.free(n).parent = link(to);
    }
    #[inline]
    fn height(&self, n: u32) -> u8 {
        self.free(n).height
    }
    #[inline]
    fn set_height(&mut self, n: u32, to: u8) {
        self.free(n).height = to;
    }
    #[inline]
    fn less(&self, a: u32, b: u32) -> bool {
        (self.0.len(a as usize), a) < (self.0.len(b as usize), b)
    }
    fn exists(&self, n: u32) -> bool {
        (n as usize) < self.0.committed() && super::kind_at(self.0, n as usize) == Some(Kind::Free)
    }
}

impl Region {
    /// Length in granules of the span that begins at `granule`. Under the page lock, or by the span's owner.
    #[inline]
    pub fn len(&self, granule: usize) -> usize {
        // SAFETY: the descriptor is committed; `len` changes only under the page lock.
        unsafe { (*self.descriptor(granule)).len as usize }
    }
}

#[allow(clippy::mut_from_ref)] // one exclusive owner at a time: the page lock's holder
pub fn spans(region: &Region) -> &mut Spans {
    // SAFETY: called only with the page lock held, and each caller lets go of the reference before the next call.
    unsafe { &mut *region.spans.get() }
}

/// The free span that ends right before `granule`.
pub fn free_before(region: &Region, granule: usize) -> Option<usize> {
    let last: *const Descriptor = region.descriptor(granule.checked_sub(1)?);
    // SAFETY: the descriptor is committed; under the page lock.
    unsafe { (*last).free_tail.then_some((*last).head as usize) }
}

/// The length of the free span that begins at `granule`.
pub fn free_at(region: &Region, granule: usize) -> Option<usize> {
    if granule >= region.committed() {
        return None;
    }
    // SAFETY: as above.
    unsafe {
        let first: *const Descriptor = region.descriptor(granule);
        ((*first).kind == Kind::Free).then_some((*first).len as usize)
    }
}

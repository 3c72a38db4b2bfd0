//! What an audit notes: one bit for each eight bytes of the heap that were met as a free block or as a record, and tables that
//! would be too large for the stack of a small thread. All in one mapping, of which only what is used gets pages.

use cairn_core::os;

use crate::class::{CLASS_COUNT, GRANULE};
use crate::region;

/// Bytes of the heap for which there is one bit.
const UNIT: usize = 8;
/// Words of bits for each granule.
const GRANULE_WORDS: usize = GRANULE / UNIT / 64;

/// The tables.
pub struct Tables {
    /// Slabs of each class,
    pub slabs: [usize; CLASS_COUNT],
    /// the blocks that were handed out of them at least once,
    pub carved: [usize; CLASS_COUNT],
    /// those that are free in them,
    pub free: [usize; CLASS_COUNT],
    /// how many slabs are in a list,
    pub listed: [usize; CLASS_COUNT],
    /// and how many of these may have holes to give back.
    pub may_have_holes: [usize; CLASS_COUNT],
    /// What the kernel says of pages.
    pub resident: [u8; 16 << 10],
}

/// See the module.
pub struct Scratch {
    mapping: *mut u8,
    bytes: usize,
}

impl Scratch {
    /// For all that is committed. Under the page lock; None if memory is short.
    pub fn new() -> Option<Scratch> {
        let granules: usize = region::regions().iter().map(|region| region.committed()).sum();
        let bytes = size_of::<Tables>().next_multiple_of(UNIT) + granules * GRANULE_WORDS * size_of::<u64>();
        let mapping = os::map_zeroed(bytes.next_multiple_of(os::page_size()))?.as_ptr();
        Some(Scratch { mapping, bytes: bytes.next_multiple_of(os::page_size()) })
    }

    /// The tables, which are zeroes at first.
    pub fn tables(&mut self) -> &mut Tables {
        // SAFETY: the mapping begins with the tables, zeroes are valid values of all of them, and it is ours alone.
        unsafe { &mut *self.mapping.cast() }
    }

    /// Notes that these bytes, which are committed, were met; the first of them that was met before, if one was.
    pub fn mark(&mut self, at: usize, bytes: usize) -> Option<usize> {
        let (first, last) = (at / UNIT, (at + bytes - 1) / UNIT);
        (first..=last).find(|unit| self.mark_unit(unit * UNIT)).map(|unit| unit * UNIT)
    }

    /// Notes one unit; whether it was noted before.
    fn mark_unit(&mut self, address: usize) -> bool {
        let mut before = 0;
        for region in region::regions() {
            let offset = address.wrapping_sub(region.base());
            if offset < region.committed() * GRANULE {
                let unit = before * (GRANULE / UNIT) + offset / UNIT;
                let bits =
                    self.mapping.wrapping_add(size_of::<Tables>().next_multiple_of(UNIT)).cast::<u64>();
                // SAFETY: the mapping has a bit for each unit that is committed, and regions stand still.
                let word = unsafe { &mut *bits.add(unit / 64) };
                let bit = 1 << (unit % 64);
                let met = *word & bit != 0;
                *word |= bit;
                return met;
            }
            before += region.committed();
        }
        false
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, with this size, and nobody else knows it. If the kernel refuses, the addresses are lost.
        let _ = unsafe { os::unmap(self.mapping, self.bytes) };
    }
}

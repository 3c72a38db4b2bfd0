//! What the class map says of a granule, and what free makes of it: which bin, and whether a block begins at an address.

use super::{CLASS_COUNT, GRANULE, SHAPES, SMALL_COUNT, SMALL_MAX, Shape, block_size, is_medium};

/// Bytes of a bin, see bin.rs.
pub const BIN_BYTES: usize = 16;

/// What the class map holds for a granule: 0 if it is no slab's; else how many bytes behind the first of [`ENTRIES`] the granule's own is:
/// ```text
///   bit 13      free blocks may have lost their marks, see [`UNMARKED`]
///   bits 11-12  the granule's index in its slab
///   bits 4-10   the class
/// ```
/// Those of medium blocks all have the index 0 and the flag: their free blocks have no marks.
/// The class is where it is so that it tells, without a shift, how many bytes behind the first bin that of the class is: from a block's address
/// to the next one that malloc hands out each step waits for the one before.
pub type Code = u32;

/// Set in a [`Code`] if free blocks of the granule may have lost their marks (mark.rs), because their pages went back, or never have any
/// (medium blocks): then the fast path of free leaves the address to the slow one, which asks the slab.
pub const UNMARKED: Code = INDEX * GRANULES_MAX as Code;
/// An index of 1, in a [`Code`].
const INDEX: Code = (CLASS_COUNT.next_power_of_two() * BIN_BYTES) as Code;
/// A slab of small blocks has at most so many granules.
pub(super) const GRANULES_MAX: usize = 4;

/// What free wants to know of a granule besides its class, by its [`Code`].
///
/// Aligned, so that none lies on two cache lines.
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub struct Entry {
    /// `ceil(2^64 / size)`.
    multiplier: u64,
    /// The bytes of the slab before the granule, times that.
    before: u64,
}

impl Entry {
    /// Where the fast path of the C door has no business.
    const NOTHING: Entry = Entry { multiplier: 0, before: u64::MAX };

    const fn of(class: usize, index: usize) -> Entry {
        let multiplier = u64::MAX / block_size(class) as u64 + 1;
        Entry { multiplier, before: ((index * GRANULE) as u64).wrapping_mul(multiplier) }
    }

    /// Whether a block begins at `offset`, counted from the granule's first byte: iff the offset in the slab, times the multiplier, modulo 2^64, is
    /// below 2^32 (after Lemire, Kaser, Kurz, "Faster remainder by direct computation", 2019).
    ///
    /// The multiplier is `(2^64 + e) / size` with `e < size`. An offset of `q` blocks and `r` bytes gives `q * e + r * multiplier`. For `r = 0` that is
    /// less than the offset, which is below 2^18. Else it is the multiplier at least, which is 2^49 or more, and at most
    /// `2^64 - multiplier + (q + 1) * e`, so it doesn't come round to a small number again.
    #[inline(always)]
    pub fn is_begin(&self, offset: u16) -> bool {
        if cfg!(cairn_unchecked) {
            return self.multiplier != 0;
        }
        u64::from(offset).wrapping_mul(self.multiplier).wrapping_add(self.before) >> 32 == 0
    }
}

/// Whether a block begins at `offset` in a granule of this code: as [`Entry::is_begin`] says, and it is one of the slab's blocks. (Behind the
/// last one a rest may look like one more.)
#[inline]
pub fn is_block(entry: &Entry, code: Code, offset: u16) -> bool {
    let shape = &SHAPES[of_code(code)];
    let extent = shape.blocks * shape.size;
    (index(code) * GRANULE) as u32 + u32::from(offset) < extent && entry.is_begin(offset)
}

/// The code of granule `index` of a slab of `class`.
pub fn code(class: usize, index: usize) -> Code {
    if is_medium(class) {
        return (class * BIN_BYTES) as Code | UNMARKED;
    }
    debug_assert!(index < GRANULES_MAX);
    (class * BIN_BYTES) as Code + index as Code * INDEX
}

/// The table by code: 16 KiB, of which a program touches the lines of the classes that it uses. Code 0 and those with the flag have an entry in
/// which nothing begins. It stands beside the empty bins, see thread.rs.
pub type Entries = [Entry; 2 * UNMARKED as usize / size_of::<Entry>()];

/// See [`Entries`].
pub const ENTRIES: Entries = {
    let mut table = [Entry::NOTHING; 2 * UNMARKED as usize / size_of::<Entry>()];
    let mut class = 1;
    while class < SMALL_COUNT {
        let mut index = 0;
        // The mark of the least blocks is elsewhere (mark.rs).
        while index < Shape::of(class).granules as usize && block_size(class) > 8 {
            table[(class * BIN_BYTES + index * INDEX as usize) / size_of::<Entry>()] =
                Entry::of(class, index);
            index += 1;
        }
        class += 1;
    }
    table
};

/// Which of its slab's granules a code tells of.
const fn index(code: Code) -> usize {
    (code / INDEX) as usize % GRANULES_MAX
}

/// The class of a code; 0 for code 0.
#[inline(always)]
pub const fn of_code(code: Code) -> usize {
    bin_offset(code) / BIN_BYTES
}

/// How many bytes behind the first bin that of a code's class is.
#[inline(always)]
pub const fn bin_offset(code: Code) -> usize {
    (code % INDEX) as usize
}

const _: () = {
    assert!(size_of::<Entry>() == BIN_BYTES, "a class leads to its entry as it does to its bin");
    assert!(UNMARKED.checked_mul(2).is_some(), "codes and their flag have room");
    assert!((GRANULES_MAX * GRANULE) as u64 <= 1 << 32, "a product of a begin stays below 2^32");
    assert!(u64::MAX / SMALL_MAX as u64 > 1 << 33, "and one of another offset does not");
};

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(code: Code) -> Entry {
        ENTRIES[code as usize / size_of::<Entry>()]
    }

    #[test]
    fn the_entries_know_where_blocks_begin() {
        for (class, shape) in SHAPES.iter().enumerate().skip(1) {
            for offset in 0..usize::from(shape.granules) * GRANULE {
                let code = code(class, offset / GRANULE);
                assert_eq!(of_code(code), class);
                assert_eq!(of_code(code | UNMARKED), class);
                let (entry, in_granule) = (entry(code), (offset % GRANULE) as u16);
                if is_medium(class) {
                    assert!(code & UNMARKED != 0 && !entry.is_begin(in_granule));
                    continue;
                }
                assert_eq!(index(code), offset / GRANULE);
                let begins = class > 1 && offset.is_multiple_of(shape.size as usize);
                assert_eq!(entry.is_begin(in_granule), begins, "class {class}, offset {offset}");
                let is_block = begins && offset / (shape.size as usize) < shape.blocks as usize;
                assert_eq!(
                    super::is_block(&entry, code, in_granule),
                    is_block,
                    "class {class}, offset {offset}"
                );
                assert!(!self::entry(code | UNMARKED).is_begin(in_granule));
            }
        }
        assert!(!entry(0).is_begin(0));
    }
}

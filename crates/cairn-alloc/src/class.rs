//! Size classes: which block size serves a request.
//!
//! ```text
//!   8 16 24 32 .. 128     every 8 bytes (16 classes; the C door uses only the multiples of 16)
//!   144 160 .. 256        then 8 classes for each doubling,
//!   288 320 .. 512        up to SMALL_MAX
//! ```
//! Everything is derived here, in const functions, from [`SPACING_LOG2`]; the relations that the engine relies
//! on are asserted at compile time at the end of this file.

/// Size in bytes of a granule, the unit in which the region is cut.
pub const GRANULE: usize = 1 << GRANULE_LOG2;
/// log2 of [`GRANULE`].
pub const GRANULE_LOG2: u32 = 16;
/// The largest request in bytes that a size class serves.
pub const SMALL_MAX: usize = 32 * 1024;
/// log2 of the number of classes for each doubling above [`LINEAR_MAX`].
pub const SPACING_LOG2: u32 = 3;
/// Bytes of a cache line.
pub const LINE: usize = 64;
/// Up to here, in bytes, there is a class for each multiple of 8.
pub const LINEAR_MAX: usize = 128;

const LINEAR_COUNT: usize = LINEAR_MAX / 8;
const DOUBLINGS: usize = (SMALL_MAX / LINEAR_MAX).ilog2() as usize;
/// Number of size classes, class 0 ("not a small block") included.
pub const CLASS_COUNT: usize = 1 + LINEAR_COUNT + (DOUBLINGS << SPACING_LOG2);

/// Block size in bytes of class `class`; 0 for class 0.
pub const fn block_size(class: usize) -> usize {
    if class <= LINEAR_COUNT {
        return class * 8;
    }
    let above = class - LINEAR_COUNT - 1;
    let doubling = above >> SPACING_LOG2;
    let step = above & ((1 << SPACING_LOG2) - 1);
    let from = LINEAR_MAX << doubling;
    from + (((step + 1) * from) >> SPACING_LOG2)
}

/// The least class whose blocks hold `size` bytes at alignment 8; `size` is 1 to [`SMALL_MAX`].
const fn class_at_8(size: usize) -> usize {
    if size <= LINEAR_MAX {
        return size.div_ceil(8);
    }
    let doubling = (size - 1).ilog2() - LINEAR_MAX.ilog2();
    let from = LINEAR_MAX << doubling;
    let step = ((size - from) << SPACING_LOG2).div_ceil(from);
    LINEAR_COUNT + ((doubling as usize) << SPACING_LOG2) + step
}

/// The least class whose blocks hold `size` bytes and are aligned to 16.
const fn class_at_16(size: usize) -> usize {
    class_at_8(size.next_multiple_of(16))
}

/// By [`index_at_16`]: *twice* the class for alignment 16, so that the fast path of malloc can use it as an index of
/// 8-byte units into the bins, which are 16 bytes each.
pub type TwiceClassesAt16 = [u8; SMALL_MAX / 16 + 1];

/// The table of [`TwiceClassesAt16`]; it stands beside the empty bins, see thread.rs.
pub const TWICE_CLASSES_AT_16: TwiceClassesAt16 = {
    let mut table = [0; SMALL_MAX / 16 + 1];
    let mut i = 0;
    while i < table.len() {
        table[i] = 2 * class_at_16(if i == 0 { 16 } else { i * 16 }) as u8;
        i += 1;
    }
    table
};
static CLASSES_AT_16: TwiceClassesAt16 = TWICE_CLASSES_AT_16;

/// The index into [`TwiceClassesAt16`] for a size up to [`SMALL_MAX`]. Entry 0 (size 0) is the 16-byte class, as is entry 1
/// (1 to 16 bytes).
#[inline(always)]
pub fn index_at_16(size: usize) -> usize {
    (size + 15) >> 4
}

/// By `(size + 7) / 8`: the class for the Rust door at alignments up to 8.
static CLASSES_AT_8: [u8; SMALL_MAX / 8 + 1] = {
    let mut table = [0; SMALL_MAX / 8 + 1];
    let mut i = 0;
    while i < table.len() {
        table[i] = class_at_8(if i == 0 { 8 } else { i * 8 }) as u8;
        i += 1;
    }
    table
};

/// The class for `size` bytes of the C door; `size` is at most [`SMALL_MAX`].
#[inline(always)]
pub fn of_size(size: usize) -> usize {
    // Checked, since anybody may call this; who has just compared the size pays nothing for it.
    usize::from(CLASSES_AT_16[index_at_16(size)]) / 2
}

/// The class for a Rust layout, or 0 if it is not small. `align` is a power of two. A class whose blocks are a
/// multiple of `align` serves it, because slabs begin at granules, which are aligned to more than any small block.
#[inline(always)]
pub fn of_layout(size: usize, align: usize) -> usize {
    if size > SMALL_MAX || align > SMALL_MAX {
        return 0;
    }
    if align <= 8 {
        // SAFETY: size <= SMALL_MAX.
        return usize::from(unsafe { *CLASSES_AT_8.get_unchecked((size + 7) >> 3) });
    }
    // At most SMALL_MAX: it is a multiple of every small alignment.
    let rounded = (size.max(1) + align - 1) & !(align - 1);
    // SAFETY: rounded <= SMALL_MAX.
    usize::from(unsafe { *CLASSES_AT_16.get_unchecked(index_at_16(rounded)) }) / 2
}

/// What a slab of one class looks like.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Bytes of a block.
    pub size: u32,
    /// Blocks of a slab.
    pub blocks: u32,
    /// Granules of a slab.
    pub granules: u8,
    /// The greatest number of blocks that a bin holds.
    pub bin_max: u16,
    /// How many blocks in a row, the first one at a line's begin, fill whole cache lines; 1 for blocks of a line or more.
    pub lines_filled_by: u8,
    /// `ceil(2^26 / blocks)`: turns a number of blocks into quarters of the slab.
    quarters: u32,
    /// For each quarter `q` the least number of blocks that are *not* used when fewer than `q` quarters are; for none, more
    /// than there are.
    pub unused_below: [u16; 4],
    /// `ceil(2^40 / size)`: turns an offset in the slab into a block index by a multiplication.
    reciprocal: u64,
}

const QUARTERS_SHIFT: u32 = 26;
const RECIPROCAL_SHIFT: u32 = 40;
/// A slab of large blocks has room for at least this many.
const SLAB_BLOCKS_MIN: usize = 8;
/// A bin holds at most this many blocks,
const BIN_BLOCKS_MAX: usize = 8191;
/// and at most this many bytes (but always two blocks).
const BIN_BYTES_MAX: usize = 256 * 1024;

impl Shape {
    const fn of(class: usize) -> Shape {
        let size = block_size(class);
        if size == 0 {
            let unused_below = [0; 4];
            return Shape {
                size: 0,
                blocks: 0,
                granules: 0,
                bin_max: 0,
                lines_filled_by: 0,
                quarters: 0,
                unused_below,
                reciprocal: 0,
            };
        }
        let mut granules = 1;
        while granules * GRANULE / size < SLAB_BLOCKS_MIN {
            granules *= 2;
        }
        let fit = BIN_BYTES_MAX / size;
        let bin_max = if fit > BIN_BLOCKS_MAX { BIN_BLOCKS_MAX } else { fit };
        let blocks = granules * GRANULE / size;
        let mut shape = Shape {
            size: size as u32,
            blocks: blocks as u32,
            granules: granules as u8,
            bin_max: bin_max as u16,
            // The greatest power of two in the size is what it has in common with a line.
            lines_filled_by: if size < LINE { (LINE >> size.trailing_zeros()) as u8 } else { 1 },
            quarters: (1u32 << QUARTERS_SHIFT).div_ceil(blocks as u32),
            unused_below: [blocks as u16 + 1; 4],
            reciprocal: (1u64 << RECIPROCAL_SHIFT).div_ceil(size as u64),
        };
        let mut quarter = 1;
        while quarter < 4 {
            let mut unused = 0;
            while shape.quarters(blocks - unused) >= quarter {
                unused += 1;
            }
            shape.unused_below[quarter] = unused as u16;
            quarter += 1;
        }
        shape
    }

    /// The index of the block that holds the byte at `offset` from the slab's first byte.
    #[inline]
    pub fn index_of(&self, offset: usize) -> usize {
        ((offset as u64 * self.reciprocal) >> RECIPROCAL_SHIFT) as usize
    }

    /// The index of the block that begins at `offset` from the slab's first byte, if one does.
    ///
    /// The bits of the product below the point tell the remainder: less than the reciprocal if there is none, as much or more if there is
    /// (Lemire, Kaser, Kurz, "Faster remainder by direct computation", 2019), for offsets in a slab. What is left behind its last block may look like
    /// the begin of one more.
    #[inline(always)]
    pub fn index_at(&self, offset: usize) -> Option<usize> {
        const BEHIND: u32 = u64::BITS - RECIPROCAL_SHIFT;
        let product = offset as u64 * self.reciprocal;
        (product << BEHIND < self.reciprocal << BEHIND).then_some((product >> RECIPROCAL_SHIFT) as usize)
    }

    /// How many quarters of a slab `blocks` blocks are, rounded down: 0 to 3 for less than all of them.
    #[inline]
    pub const fn quarters(&self, blocks: usize) -> usize {
        (blocks * self.quarters as usize) >> (QUARTERS_SHIFT - 2)
    }
}

/// What the class map holds for a granule: 0 if it is no slab's; else how many bytes behind the first of [`ENTRIES`] the granule's own is:
/// ```text
///   bit 13      free blocks may have lost their marks, see [`UNMARKED`]
///   bits 11-12  the granule's index in its slab
///   bits 4-10   the class
/// ```
/// The class is where it is so that it tells, without a shift, how many bytes behind the first bin that of the class is: from a block's address
/// to the next one that malloc hands out each step waits for the one before.
pub type Code = u32;

/// Set in a [`Code`] if free blocks of the granule may have lost their marks (mark.rs), because their pages went back: then the fast
/// path of free leaves the address to the slow one, which asks the slab.
pub const UNMARKED: Code = INDEX * GRANULES_MAX as Code;
/// An index of 1, in a [`Code`].
const INDEX: Code = (CLASS_COUNT.next_power_of_two() * BIN_BYTES) as Code;
/// A slab has at most so many granules.
const GRANULES_MAX: usize = 4;

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

/// Any class whose blocks are a multiple of 16, for whoever needs to know no more.
pub const SOME_AT_16: usize = class_at_16(16);

/// Bytes of a bin, see bin.rs.
pub const BIN_BYTES: usize = 16;

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
            return true;
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
    while class < CLASS_COUNT {
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

/// The shape of each class.
pub static SHAPES: [Shape; CLASS_COUNT] = {
    let mut shapes = [Shape::of(0); CLASS_COUNT];
    let mut class = 1;
    while class < CLASS_COUNT {
        shapes[class] = Shape::of(class);
        class += 1;
    }
    shapes
};

const _: () = {
    assert!(2 * CLASS_COUNT <= 256, "twice a class fits a byte");
    assert!(size_of::<Entry>() == BIN_BYTES, "a class leads to its entry as it does to its bin");
    assert!(UNMARKED.checked_mul(2).is_some(), "codes and their flag have room");
    assert!((GRANULES_MAX * GRANULE) as u64 <= 1 << 32, "a product of a begin stays below 2^32");
    assert!(u64::MAX / SMALL_MAX as u64 > 1 << 33, "and one of another offset does not");
    assert!(block_size(CLASS_COUNT - 1) == SMALL_MAX);
    let mut class = 1;
    while class < CLASS_COUNT {
        let size = block_size(class);
        assert!(size > block_size(class - 1), "classes grow");
        assert!(
            class_at_8(size) == class && class_at_8(block_size(class - 1) + 1) == class,
            "the inverse agrees"
        );
        assert!(
            size.is_multiple_of(16) || size < LINEAR_MAX,
            "only the linear classes are odd multiples of 8"
        );
        let shape = Shape::of(class);
        assert!(shape.bin_max >= 2, "a bin has room for two blocks");
        assert!(size >= LINE || (shape.lines_filled_by as usize * size).is_multiple_of(LINE));
        // Offsets are below 2^18 and the reciprocal's error is below `size`, so that
        // offset * error < 2^18 * 2^15 < 2^40: the multiplication is exact (checked for each block in a test).
        assert!(shape.granules as usize <= GRANULES_MAX);
        // What the errors of all blocks before add up to is less than a block, so it is no remainder: see `index_at`.
        assert!(shape.reciprocal > (shape.granules as usize * GRANULE + size) as u64);
        class += 1;
    }
    // For each alignment and size: the class of the rounded size is a multiple of the alignment.
    let mut align = 16;
    while align <= SMALL_MAX {
        let mut rounded = align;
        while rounded <= SMALL_MAX && rounded <= 64 * align {
            assert!(block_size(class_at_16(rounded)).is_multiple_of(align));
            rounded += align;
        }
        align *= 2;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_gets_the_least_block_that_holds_it() {
        for size in 0..=SMALL_MAX {
            let class = of_layout(size, 8);
            assert!(block_size(class) >= size && block_size(class - 1) < size.max(1), "size {size}");
            let class = of_size(size);
            assert!(block_size(class) >= size);
            assert!(block_size(class).is_multiple_of(16), "size {size} is aligned to 16");
        }
    }

    #[test]
    fn every_alignment_divides_the_block() {
        for align in (0..=15).map(|log2| 1usize << log2) {
            for size in 0..=SMALL_MAX {
                let class = of_layout(size, align);
                assert!(
                    block_size(class) >= size && block_size(class).is_multiple_of(align),
                    "{size} at {align}"
                );
            }
        }
        assert_eq!(of_layout(1, 2 * SMALL_MAX), 0);
        assert_eq!(of_layout(SMALL_MAX + 1, 1), 0);
    }

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

    #[test]
    fn the_reciprocals_find_every_block_and_quarter() {
        for shape in &SHAPES[1..] {
            let size = shape.size as usize;
            assert_eq!(shape.quarters(shape.blocks as usize - 1), 3, "size {size}: one is missing");
            assert_eq!(shape.quarters(0), 0);
            for block in 0..shape.blocks as usize {
                for inside in [0, 1, size / 2, size - 1] {
                    let offset = block * size + inside;
                    assert_eq!(shape.index_of(offset), block, "size {size}");
                    assert_eq!(
                        shape.index_at(offset),
                        (inside == 0).then_some(block),
                        "size {size}, offset {offset}"
                    );
                }
            }
        }
    }
}

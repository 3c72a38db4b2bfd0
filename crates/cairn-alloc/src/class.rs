//! Size classes: which block size serves a request.
//!
//! ```text
//!   8 16 24 32 .. 128     every 8 bytes (16 classes; the C door uses only the multiples of 16)
//!   144 160 .. 256        then 8 classes for each doubling,
//!   288 320 .. 512        up to SMALL_MAX: small blocks, which come by way of bins;
//!   36K 40K .. 64K
//!   72K 80K .. 128K       and up to MEDIUM_MAX: medium blocks, which come from their slabs (medium.rs)
//! ```
//! Everything is derived here, in const functions, from [`SPACING_LOG2`]; the relations that the engine relies
//! on are asserted at compile time at the end of this file.

mod granule;

use granule::GRANULES_MAX;
pub use granule::{BIN_BYTES, Code, ENTRIES, Entries, Entry, UNMARKED, bin_offset, code, is_block, of_code};

/// Size in bytes of a granule, the unit in which the region is cut.
pub const GRANULE: usize = 1 << GRANULE_LOG2;
/// log2 of [`GRANULE`].
pub const GRANULE_LOG2: u32 = 16;
/// The largest small block in bytes: beyond it no bin serves.
pub const SMALL_MAX: usize = 32 * 1024;
/// The largest medium block in bytes: beyond it no size class serves.
pub const MEDIUM_MAX: usize = 256 * 1024;
/// log2 of the number of classes for each doubling above [`LINEAR_MAX`].
pub const SPACING_LOG2: u32 = 3;
/// Bytes of a cache line.
pub const LINE: usize = 64;
/// Up to here, in bytes, there is a class for each multiple of 8.
pub const LINEAR_MAX: usize = 128;

const LINEAR_COUNT: usize = LINEAR_MAX / 8;
const fn count(largest: usize) -> usize {
    let doublings = (largest / LINEAR_MAX).ilog2() as usize;
    1 + LINEAR_COUNT + (doublings << SPACING_LOG2)
}
/// Number of size classes of small blocks, class 0 ("no small block") included.
pub const SMALL_COUNT: usize = count(SMALL_MAX);
/// Number of all size classes, class 0 included; those of medium blocks are the last.
pub const CLASS_COUNT: usize = count(MEDIUM_MAX);

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

/// The least class whose blocks hold `size` bytes at alignment 8; `size` is 1 to [`MEDIUM_MAX`].
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

/// The class for a block above [`SMALL_MAX`], if a size class serves it; its blocks are a multiple of [`MEDIUM_ALIGN`].
#[inline]
pub const fn of_medium(size: usize) -> Option<usize> {
    if size > SMALL_MAX && size <= MEDIUM_MAX { Some(class_at_8(size)) } else { None }
}

/// Whether the blocks of a class are medium ones.
#[inline(always)]
pub const fn is_medium(class: usize) -> bool {
    class >= SMALL_COUNT
}

/// Every medium block begins at a multiple of this, in bytes: a page of 4 KiB.
pub const MEDIUM_ALIGN: usize = 4096;

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
    /// How many blocks in a row, the first one at a line's begin, fill whole cache lines; 1 for blocks of a line or more, of which
    /// some lie in one line with a neighbour, and most of the block does not.
    pub lines_filled_by: u8,
    /// So many blocks further on none is in reach of a store to this one, which may begin at its last byte and be as wide as a cache line; 1 for
    /// blocks of more than a line.
    pub apart: u8,
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
/// A slab of small blocks has room for at least this many.
const SLAB_BLOCKS_MIN: usize = 8;
/// One of medium blocks leaves at most this part of it behind the last block,
const REST_SHARE: usize = 12;
/// which takes at most so many granules.
const MEDIUM_GRANULES_MAX: usize = 7;
/// A bin holds at most this many blocks,
const BIN_BLOCKS_MAX: usize = 8191;
/// and at most this many bytes (but always two blocks).
const BIN_BYTES_MAX: usize = 256 * 1024;

/// Granules of a slab of blocks of `size` bytes.
const fn granules_for(size: usize) -> usize {
    let mut granules = 1;
    if size <= SMALL_MAX {
        while granules * GRANULE / size < SLAB_BLOCKS_MIN {
            granules *= 2;
        }
        return granules;
    }
    // As few as do: each class in use has a slab that is partly used.
    while granules * GRANULE < size || granules * GRANULE % size * REST_SHARE > granules * GRANULE {
        granules += 1;
    }
    granules
}

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
                apart: 1,
                quarters: 0,
                unused_below,
                reciprocal: 0,
            };
        }
        let granules = granules_for(size);
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
            apart: if size <= LINE { (size - 1 + LINE).div_ceil(size) as u8 } else { 1 },
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

/// Any class whose blocks are a multiple of 16, for whoever needs to know no more.
pub const SOME_AT_16: usize = class_at_16(16);

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
    assert!(2 * SMALL_COUNT <= 256, "twice a class fits a byte");
    assert!(block_size(SMALL_COUNT - 1) == SMALL_MAX && block_size(CLASS_COUNT - 1) == MEDIUM_MAX);
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
        assert!(shape.bin_max >= 2 || is_medium(class), "a bin has room for two blocks");
        assert!(!is_medium(class) || size.is_multiple_of(MEDIUM_ALIGN) && shape.blocks <= u32::BITS);
        assert!(size >= LINE || (shape.lines_filled_by as usize * size).is_multiple_of(LINE));
        // Offsets are below 2^19 and the reciprocal's error is below `size`, so that
        // offset * error < 2^19 * 2^18 < 2^40: the multiplication is exact (checked for each block in a test).
        assert!(shape.granules as usize <= if is_medium(class) { MEDIUM_GRANULES_MAX } else { GRANULES_MAX });
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
    fn blocks_apart_are_out_of_reach_of_a_store() {
        for (class, shape) in SHAPES.iter().enumerate().skip(1) {
            let (size, apart) = (shape.size as usize, usize::from(shape.apart));
            if size > LINE {
                assert_eq!(apart, 1, "class {class}");
                continue;
            }
            let reach = size - 1 + LINE;
            assert!(apart * size >= reach && (apart - 1) * size < reach, "class {class}: {apart}");
        }
    }

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

    #[test]
    fn slabs_of_medium_blocks_have_little_behind_the_last_one() {
        for shape in &SHAPES[SMALL_COUNT..] {
            let (all, used) = (usize::from(shape.granules) * GRANULE, (shape.blocks * shape.size) as usize);
            assert!(all <= MEDIUM_GRANULES_MAX * GRANULE);
            assert!(
                (all - used) * REST_SHARE <= all,
                "{} of {all} bytes, blocks of {}",
                all - used,
                shape.size
            );
        }
    }

    #[test]
    fn the_reciprocals_find_every_block_and_quarter() {
        for shape in &SHAPES[1..] {
            let size = shape.size as usize;
            // Of slabs of two or three blocks one that is missing is more than a quarter.
            let quarters = (4 * (shape.blocks as usize - 1) / shape.blocks as usize).min(3);
            assert_eq!(shape.quarters(shape.blocks as usize - 1), quarters, "size {size}: one is missing");
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

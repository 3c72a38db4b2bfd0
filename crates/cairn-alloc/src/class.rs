//! Size classes: which block size serves a request.
//!
//! ```text
//!   8 16 24 32 .. 128     every 8 bytes (16 classes; the C door uses only 8 and the multiples of 16)
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
    from + ((step + 1) * from >> SPACING_LOG2)
}

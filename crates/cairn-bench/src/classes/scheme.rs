//! One way to cut sizes into classes: steps of 8 or 16 bytes at first, then so many classes for each doubling.

/// The largest size that has a class, in bytes, as in `cairn_alloc::class`.
pub const SMALL_MAX: usize = 32 * 1024;
/// Up to here, in bytes, classes are a step apart.
pub const LINEAR_MAX: usize = 128;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Bytes between two classes up to [`LINEAR_MAX`], and the least multiple that every class is of.
    pub step: usize,
    /// log2 of the number of classes for each doubling above [`LINEAR_MAX`].
    pub spacing_log2: u32,
}

impl Scheme {
    /// Bytes of the block that serves `size`, at most [`SMALL_MAX`].
    pub fn block(self, size: usize) -> usize {
        let size = size.max(1);
        if size <= LINEAR_MAX {
            return size.next_multiple_of(self.step);
        }
        // The greatest power of two below the size: from there to its double the classes are evenly spaced.
        let from = 1usize << (size - 1).ilog2();
        size.next_multiple_of((from >> self.spacing_log2).max(self.step))
    }

    /// All block sizes, in order.
    pub fn blocks(self) -> Vec<usize> {
        let mut blocks: Vec<usize> = (1..=SMALL_MAX).map(|size| self.block(size)).collect();
        blocks.dedup();
        blocks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_in_use_is_the_one_of_the_allocator() {
        let scheme = Scheme { step: 8, spacing_log2: cairn_alloc::class::SPACING_LOG2 };
        let classes: Vec<usize> =
            (1..cairn_alloc::class::SMALL_COUNT).map(cairn_alloc::class::block_size).collect();
        assert_eq!(scheme.blocks(), classes);
        let at_16 = Scheme { step: 16, ..scheme };
        for size in 0..=SMALL_MAX {
            assert_eq!(at_16.block(size), cairn_alloc::class::block_size(cairn_alloc::class::of_size(size)));
        }
    }

    #[test]
    fn spacing_bounds_the_waste() {
        for spacing_log2 in 1..=4 {
            let scheme = Scheme { step: 8, spacing_log2 };
            for size in LINEAR_MAX..=SMALL_MAX {
                let waste = scheme.block(size) - size;
                assert!(waste < (size >> spacing_log2).max(8), "{size} in {scheme:?}");
            }
        }
        assert_eq!(Scheme { step: 8, spacing_log2: 2 }.blocks().len(), 16 + 4 * 8);
    }
}

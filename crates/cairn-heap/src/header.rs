//! The header word of a block: the one place where its bits are packed.
//!
//! ```text
//!  64 bit:   63        40 39                    3   2   1   0
//!           │   check    │ size / 8              │ W │ P │ U │
//!  32 bit:                31                    3   2   1   0
//!                        │ size / 8              │ W │ P │ U │
//! ```
//! - *size*: bytes from this block's payload to the next one's; a multiple of the alignment, so its low three bits are free.
//! - U, *used*: set *iff* the block is not in the free index.
//! - P, *previous used*: set *iff* the block before this one is used, or there is none. Where it is clear, the word in front
//!   of this header is the footer of the free block before.
//! - W, *waiting*: the program freed the block, and it has not been coalesced yet. Implies U: neighbours leave it alone.
//! - *check*: depends on the block's address and size. What is not a header fails it with certainty `1 - 2^-24`, so
//!   an address inside a block, a stale address and a header that was overwritten are all told from a block.
//!   The flags are not part of it: they change in place, without another multiplication.
//!
//! The word at the end of a segment is a header too, of size 0 and used; so nothing ever coalesces across it.

/// Bytes of a word: of a header, of a footer.
pub(crate) const WORD: usize = size_of::<usize>();

const USED: usize = 1;
const PREVIOUS_USED: usize = 2;
const WAITING: usize = 4;
const FLAGS: usize = USED | PREVIOUS_USED | WAITING;

/// Bits for the flags and the size; the check has the rest.
pub(crate) const SIZE_BITS: u32 = if usize::BITS > 40 { 40 } else { usize::BITS };
/// The bits of the check: none on 32 bits.
const CHECK: usize = if SIZE_BITS < usize::BITS { usize::MAX.wrapping_shl(SIZE_BITS) } else { 0 };

/// A header word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Header(usize);

impl Header {
    /// The header of a block that is used.
    #[inline]
    pub(crate) fn used(address: usize, size: usize, previous_used: bool) -> Self {
        Self(check(address, size) | size | (usize::from(previous_used) * PREVIOUS_USED) | USED)
    }

    /// The header of a block that is free. The block before a free one is used: two free neighbours are one block.
    #[inline]
    pub(crate) fn free(address: usize, size: usize) -> Self {
        Self(check(address, size) | size | PREVIOUS_USED)
    }

    /// The mark at the end of a segment.
    #[inline]
    pub(crate) fn end(address: usize, previous_used: bool) -> Self {
        Self::used(address, 0, previous_used)
    }

    /// Bytes from this block's payload to the next one's.
    #[inline]
    pub(crate) fn size(self) -> usize {
        self.0 & !(CHECK | FLAGS)
    }

    /// Whether the block is not in the free index.
    #[inline]
    pub(crate) fn is_used(self) -> bool {
        self.0 & USED != 0
    }

    /// Whether the flags are those of a free block: not used, behind a used one, not waiting. A byte written too far by the block before
    /// often clears them all.
    #[inline]
    pub(crate) fn is_free(self) -> bool {
        self.0 & FLAGS == PREVIOUS_USED
    }

    /// Whether this is the header of a block at `address`, used or free: what a neighbour must show before it is joined.
    #[inline]
    pub(crate) fn is_sound(self, address: usize) -> bool {
        self.is_of(address) && (self.is_used() || self.is_free())
    }

    /// Whether the block belongs to the program.
    #[inline]
    pub(crate) fn is_live(self) -> bool {
        self.0 & (USED | WAITING) == USED
    }

    /// Whether the block is freed and not coalesced yet.
    #[inline]
    pub(crate) fn is_waiting(self) -> bool {
        self.0 & WAITING != 0
    }

    /// Whether the block before this one is used.
    #[inline]
    pub(crate) fn previous_used(self) -> bool {
        self.0 & PREVIOUS_USED != 0
    }

    /// What is left in place of the header of a block that became part of another. It fails the check and is not live; were the old
    /// header left there, a byte that the program writes over its flags could make it look like a live block's.
    pub(crate) const GONE: Self = Self(0);

    /// The same with the waiting flag as given.
    #[inline]
    pub(crate) fn with_waiting(self, waiting: bool) -> Self {
        Self(if waiting { self.0 | WAITING } else { self.0 & !WAITING })
    }

    /// The same with the previous-used flag as given.
    #[inline]
    pub(crate) fn with_previous_used(self, used: bool) -> Self {
        Self(if used { self.0 | PREVIOUS_USED } else { self.0 & !PREVIOUS_USED })
    }

    /// Whether this is the header of a live block at `address`: [`is_of`](Self::is_of) and [`is_live`](Self::is_live) in one.
    #[inline]
    pub(crate) fn is_live_of(self, address: usize) -> bool {
        (self.0 ^ check(address, self.size())) & (CHECK | USED | WAITING) == USED
    }

    /// Whether this is, or was, the header of a block at `address`.
    #[inline]
    pub(crate) fn is_of(self, address: usize) -> bool {
        self.0 & CHECK == check(address, self.size())
    }
}

/// The check bits for a block: the top bits of a product by 2^64 divided by the golden ratio, on which all lower bits of
/// the factor have an influence (Knuth, The Art of Computer Programming 3, section 6.4, multiplicative hashing).
#[inline]
fn check(address: usize, size: usize) -> usize {
    #[cfg(target_pointer_width = "64")]
    {
        (address ^ (size << 24)).wrapping_mul(0x9E37_79B9_7F4A_7C15) & CHECK
    }
    #[cfg(not(target_pointer_width = "64"))]
    {
        let _ = (address, size);
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_disturb_each_other() {
        for size in [0, 32, 48, 4096, 1 << 20] {
            let header = Header::used(0x5000, size, true);
            assert_eq!(header.size(), size);
            assert!(header.is_used() && header.is_live() && header.previous_used() && !header.is_waiting());
            let waiting = header.with_waiting(true);
            assert!(waiting.is_used() && !waiting.is_live() && waiting.is_waiting());
            assert_eq!(waiting.size(), size);
            assert_eq!(waiting.with_waiting(false), header);
            assert!(!header.with_previous_used(false).previous_used());
            assert!(!Header::GONE.is_live());
            assert!(!Header::free(0x5000, size).is_used());
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_check_depends_on_address_and_size() {
        let mut passed = 0;
        for step in 1..10_000 {
            passed += usize::from(Header::used(0x5000, 64, true).is_of(0x5000 + 8 * step));
            passed +=
                usize::from(Header(Header::used(0x5000, 64, true).0 ^ (8 << (step % 37))).is_of(0x5000));
            passed += usize::from(Header(step * 16 + 1).is_of(0x5000));
        }
        assert!(passed <= 2, "{passed} of 30,000 words passed for headers");
        assert!(Header::used(0x5000, 64, true).is_of(0x5000) && !Header::GONE.is_of(0x5000));
    }
}

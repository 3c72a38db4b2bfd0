//! A block, and all arithmetic on addresses: from a block to its words, its links and its neighbours.
//!
//! ```text
//!           header        payload                                     header of the next block
//!  used   │ size, flags │ the program's bytes ...................... │ size, flags │
//!  free   │ size, flags │ link 0 │ link 1 │ (2, 3) │ ....... │ footer │ size, flags │
//!         ▲             ▲                                              ▲             ▲
//!         address - 8   address, a multiple of the alignment                         address + size
//! ```
//! A block is named by the address of its payload. Links are words of 32 bits that count units of the alignment from the
//! lowest address of the heap (`space`), so four of them and a footer fit into the smallest block. The footer repeats the size,
//! for the neighbour behind to find the free block's header.
//!
//! # Invariant of the type
//! A [`Block`] names a place in the memory of a heap that begins with a header: a block, or the mark at a segment's end. It
//! holds as long as that block is neither split off, merged nor given back; whoever does that holds `&mut Heap` and drops
//! the names it has. Making one from a number is unsafe for that reason, using one is not.
//!
//! Addresses have the provenance of whatever the source exposed (`ptr::with_exposed_provenance`): a heap of
//! several regions has no single pointer to derive all others from.

use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};

use crate::header::{Header, WORD};

/// A block of a heap, by the address of its payload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Block(NonZeroUsize);

impl Block {
    /// The block whose payload begins at `address`.
    ///
    /// # Safety
    /// The invariant of the type holds for `address`, but that the header may be written a moment later.
    #[inline]
    pub(crate) unsafe fn at(address: usize) -> Self {
        debug_assert!(address.is_multiple_of(WORD) && address != 0);
        // SAFETY: memory of a heap is not at address 0.
        Self(unsafe { NonZeroUsize::new_unchecked(address) })
    }

    /// Where the payload begins.
    #[inline]
    pub fn address(self) -> usize {
        self.0.get()
    }

    /// The payload.
    #[inline]
    pub(crate) fn payload(self) -> NonNull<u8> {
        NonNull::with_exposed_provenance(self.0)
    }

    /// The block that begins `bytes` behind this one.
    ///
    /// # Safety
    /// As for [`at`](Self::at); `bytes` is not 0.
    #[inline]
    pub(crate) unsafe fn plus(self, bytes: usize) -> Self {
        // SAFETY: passed on to the caller.
        unsafe { Self::at(self.address() + bytes) }
    }

    /// The header.
    #[inline]
    pub(crate) fn header(self) -> Header {
        // SAFETY: the invariant: there is a header in front of the payload. `Header` is a word, of which every value is valid.
        unsafe { word(self.address() - WORD).cast::<Header>().read() }
    }

    /// Changes the header.
    #[inline]
    pub(crate) fn set_header(self, header: Header) {
        // SAFETY: as for `header`; nobody but the heap, which the caller borrows, refers to that word.
        unsafe { word(self.address() - WORD).cast::<Header>().write(header) }
    }

    /// The footer of the block before, which must be free: its size.
    ///
    /// # Safety
    /// This block's header says that the block before is free.
    #[inline]
    pub(crate) unsafe fn footer_before(self) -> usize {
        // SAFETY: the block before lies in the same segment, and its last word is in front of this header.
        unsafe { word(self.address() - 2 * WORD).read() }
    }

    /// Makes this a free block of `size` bytes: header and footer.
    ///
    /// # Safety
    /// The heap owns the `size` bytes from here on, no other block lies there, and `size` is at least the smallest block's.
    #[inline]
    pub(crate) unsafe fn set_free(self, size: usize) {
        self.set_header(Header::free(self.address(), size));
        // SAFETY: the caller's contract; the last word of the block is in front of the next header.
        unsafe { word(self.address() + size - 2 * WORD).write(size) };
    }

    /// One of the links, 0 to 3.
    #[inline]
    pub(crate) fn link(self, index: usize) -> u32 {
        // SAFETY: the smallest block has room for the links that its policy asked for, behind the header; a policy asks only
        // for links of free blocks. If it asks for those of a used one it gets the program's bytes, which are the block's too.
        unsafe { word(self.address()).cast::<u32>().add(index).read() }
    }

    /// Changes one of the links.
    #[inline]
    pub(crate) fn set_link(self, index: usize, to: u32) {
        // SAFETY: as for `link`; placements, which are unsafe to implement, write links of free blocks only.
        unsafe { word(self.address()).cast::<u32>().add(index).write(to) }
    }
}

/// A pointer to the word at `address`.
#[inline]
pub(crate) fn word(address: usize) -> *mut usize {
    ptr::with_exposed_provenance_mut(address)
}

/// The least multiple of `to`, a power of two, that is not less than `value`.
#[inline]
pub(crate) const fn round_up(value: usize, to: usize) -> usize {
    (value + to - 1) & !(to - 1)
}

/// The greatest multiple of `to`, a power of two, that is not greater than `value`.
#[inline]
pub(crate) const fn round_down(value: usize, to: usize) -> usize {
    value & !(to - 1)
}

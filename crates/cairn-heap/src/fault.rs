//! What can go wrong: errors of a request, and faults, which are bugs of the program that the heap noticed.

use core::fmt;
use core::num::NonZeroUsize;

/// Why there is no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The request is larger than any heap of this configuration can be.
    TooLarge,
    /// The source has no more memory, or not enough in one piece.
    OutOfMemory,
    /// The block to be reallocated is not one; it and the heap are as they were.
    Fault(Fault),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::TooLarge => f.write_str("the request is larger than the greatest heap"),
            Error::OutOfMemory => f.write_str("the heap's source has no more memory"),
            Error::Fault(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Error::Fault(fault)
    }
}

/// A bug of the program that the heap noticed, before it changed anything. All numbers are addresses or bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The address is not in the heap's memory.
    Foreign {
        /// What the program passed.
        address: usize,
    },
    /// The address is in the heap, but no block can begin there.
    Misaligned {
        /// What the program passed.
        address: usize,
        /// The heap's alignment.
        align: usize,
    },
    /// The block is free already.
    DoubleFree {
        /// What the program passed.
        address: usize,
    },
    /// The address lies within a block, not at its beginning.
    Interior {
        /// What the program passed.
        address: usize,
        /// Where the block's payload begins.
        block: usize,
        /// The block's size, its header included.
        size: usize,
    },
    /// A header or footer has been overwritten.
    Corrupted {
        /// What the program passed.
        address: usize,
        /// The word that is not what it was.
        word: usize,
    },
}

impl Fault {
    /// The address that the program passed.
    pub fn address(&self) -> usize {
        match *self {
            Fault::Foreign { address }
            | Fault::Misaligned { address, .. }
            | Fault::DoubleFree { address }
            | Fault::Interior { address, .. }
            | Fault::Corrupted { address, .. } => address,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Fault::Foreign { address } => write!(f, "{address:#x} is not a block of this heap"),
            Fault::Misaligned { address, align } => {
                write!(f, "{address:#x} is not a block: blocks begin at multiples of {align}")
            }
            Fault::DoubleFree { address } => {
                write!(f, "double free of {address:#x}: the block is free already")
            }
            Fault::Interior { address, block, size } => write!(
                f,
                "{address:#x} is not the beginning of a block, it is {} bytes inside the block at {block:#x} of {size} bytes",
                address - block
            ),
            Fault::Corrupted { address, word } => write!(
                f,
                "the heap is corrupted: the word at {word:#x}, found on the way from {address:#x}, has been overwritten, \
                 perhaps by a write beyond the end of the block before it"
            ),
        }
    }
}

impl core::error::Error for Fault {}

/// Why a free was refused, in one word: the way from the inside of the heap to its face is taken at each free, and a [`Fault`] has
/// five.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal(NonZeroUsize);

impl Refusal {
    /// The address is not that of a live block. No word has this address.
    pub(crate) const NOT_LIVE: Self = Self(NonZeroUsize::MIN);

    /// The word at this address, which is not 0, has been overwritten.
    #[inline]
    pub(crate) fn damaged(word: usize) -> Self {
        NonZeroUsize::new(word).map_or(Self::NOT_LIVE, Self)
    }

    /// The address of the damaged word, if that is why.
    pub(crate) fn word(self) -> Option<usize> {
        (self != Self::NOT_LIVE).then_some(self.0.get())
    }
}

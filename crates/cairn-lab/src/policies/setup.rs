//! The configurations of a heap that have a name here.

use std::marker::PhantomData;

use cairn_heap::{Carve, Coalesce, Config};

use super::any::Count;

/// A configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// The heap's defaults.
    Standard,
    /// Freed blocks are joined later.
    Deferred,
    /// As textbooks do it.
    Textbook,
    /// Alignment 8.
    Align8,
}

/// All configurations: name, what differs from the first.
pub const SETUPS: &[(&str, Setup, &str)] = &[
    (
        "standard",
        Setup::Standard,
        "alignment 16, neighbours joined at each free, large blocks cut from a free block's high end",
    ),
    (
        "deferred",
        Setup::Deferred,
        "freed small blocks wait in lists by size, and are joined when space is needed",
    ),
    ("textbook", Setup::Textbook, "every block is cut from a free block's low end"),
    ("align-8", Setup::Align8, "alignment 8: blocks are multiples of 8 bytes"),
];

impl Setup {
    /// The configuration of this name.
    ///
    /// # Errors
    /// One sentence that lists the names.
    pub fn named(name: &str) -> Result<Setup, String> {
        SETUPS.iter().find(|(known, ..)| *known == name).map(|(_, setup, _)| *setup).ok_or_else(|| {
            let names: Vec<&str> = SETUPS.iter().map(|(name, ..)| *name).collect();
            format!("there is no configuration '{name}'; there are: {}", names.join(", "))
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        SETUPS.iter().find(|(_, setup, _)| *setup == self).map_or("", |(name, ..)| name)
    }

    /// What blocks are multiples of.
    pub fn align(self) -> usize {
        if self == Setup::Align8 { 8 } else { 16 }
    }

    /// The smallest block: header, two links of 32 bits, footer.
    pub fn smallest(self) -> usize {
        (2 * HEADER + 8).next_multiple_of(self.align())
    }

    /// The whole block that a request of so many bytes takes: header and payload, rounded to the alignment, and not below the
    /// smallest block.
    pub fn block_size(self, payload: usize) -> usize {
        (payload + HEADER).next_multiple_of(self.align()).max(self.smallest())
    }
}

/// Bytes of a header.
pub const HEADER: usize = 8;

/// The configurations as types.
pub(super) struct Lab<M, const ALIGN: usize, const DEFERRED: bool, const LOW: bool>(PhantomData<M>);

impl<M: Count, const ALIGN: usize, const DEFERRED: bool, const LOW: bool> Config
    for Lab<M, ALIGN, DEFERRED, LOW>
{
    const ALIGN: usize = ALIGN;
    const COALESCE: Coalesce = if DEFERRED { Coalesce::Deferred } else { Coalesce::AtOnce };
    const CARVE: Carve = if LOW { Carve::Low } else { Carve::BySize };
    type Meter = M;
}

//! The head of a transfer stack: the only place that knows how its three fields share a word.
//!
//! ```text
//!   63            32 31     24 23            0
//!   ┌───────────────┬─────────┬───────────────┐
//!   │ version       │ depth   │ top + 1, or 0 │
//!   └───────────────┴─────────┴───────────────┘
//! ```

use cairn_core::planted;

/// The three fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Number of the uppermost batch.
    pub(super) top: Option<u32>,
    /// Length of the chain.
    pub(super) depth: u8,
    /// Pushes so far, modulo 2^32.
    pub(super) version: u32,
}

impl Head {
    /// Bits of the field `top`.
    pub(super) const TOP_BITS: u32 = 24;
    const VERSION_SHIFT: u32 = 32;

    /// The word of a stack that was never used.
    pub(super) const EMPTY: u64 = 0;

    #[inline]
    pub(super) fn from_word(word: u64) -> Self {
        let top = word as u32 & ((1 << Self::TOP_BITS) - 1);
        Self {
            top: top.checked_sub(1),
            depth: (word >> Self::TOP_BITS) as u8,
            version: (word >> Self::VERSION_SHIFT) as u32,
        }
    }

    #[inline]
    pub(super) fn word(self) -> u64 {
        u64::from(self.top.map_or(0, |top| top + 1))
            | u64::from(self.depth) << Self::TOP_BITS
            | u64::from(self.version) << Self::VERSION_SHIFT
    }

    /// The head after `top` was pushed.
    #[inline]
    pub(super) fn pushed(self, top: u32) -> Self {
        // The planted fault of the model test is to leave the version as it is.
        let version = if planted!("version") { self.version } else { self.version.wrapping_add(1) };
        Self { top: Some(top), depth: self.depth.wrapping_add(1), version }
    }

    /// The head after the uppermost batch was popped, under which was `next`.
    #[inline]
    pub(super) fn popped(self, next: Option<u32>) -> Self {
        Self { top: next, depth: self.depth.wrapping_sub(1), version: self.version }
    }
}

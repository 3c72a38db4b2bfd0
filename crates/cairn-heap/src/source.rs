//! Where a heap's memory comes from.
//!
//! A source hands out memory upwards: each piece begins where the last one ended, or higher. A heap extends its last segment as
//! long as pieces touch, and begins a new segment where they don't.
//!
//! | source | memory | gives back | feature |
//! |---|---|---|---|
//! | [`Region`] | a slice that the caller owns | (nobody waits for it) | |
//! | [`Regions`] | several of them | | |
//! | [`Break`] | the program break, `sbrk` | yes, the break falls | `os` |
//! | [`Map`] | a reservation by `mmap`, made usable as the heap grows | yes, the pages | `os` |

use core::ops::Range;

mod region;
mod regions;

#[cfg(feature = "os")]
mod map;
#[cfg(feature = "os")]
mod program_break;

#[cfg(feature = "os")]
pub use map::Map;
#[cfg(feature = "os")]
pub use program_break::Break;
pub use region::Region;
pub use regions::Regions;

/// A source of memory.
///
/// # Safety
/// What [`grow`](Self::grow) gives is readable and writable, its provenance is exposed, nobody else uses it, and it stays so until it
/// is given to [`shrink`](Self::shrink) or the source is dropped. No piece begins below [`lowest`](Self::lowest) or below the end
/// of the one before; none is at address 0 or reaches the end of the address space.
pub unsafe trait Source {
    /// No memory of this source has a lower address. May be asked again; it answers the same once it gave memory.
    fn lowest(&mut self) -> Option<usize>;

    /// Where the next piece will begin, unless something outside of the heap interferes.
    fn position(&mut self) -> Option<usize>;

    /// More memory: `wish` bytes if possible, else at least `least`. A source whose next piece can only be smaller than that gives it
    /// nevertheless; a further call goes on behind. None, if there is no more, or not now: then nothing has changed.
    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>>;

    /// Takes back the last `bytes` bytes below `end`, all of them or (false) none.
    ///
    /// # Safety
    /// `end` is where the last piece ended, the bytes are the source's, and nobody needs what they hold.
    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool;
}

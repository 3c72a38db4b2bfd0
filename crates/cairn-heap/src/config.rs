//! What can be chosen at compile time, beside the source and the placement.

use crate::fault::Fault;
use crate::meter::Meter;

/// When free neighbours are joined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coalesce {
    /// At each free.
    AtOnce,
    /// Freed blocks of up to 64 times the alignment wait in a list of their exact size, from which the next allocation
    /// of that size takes them. They are joined when a search finds nothing, before the heap grows. Faster, and somewhat less tight;
    /// and the top goes back to the source later.
    Deferred,
}

/// From which end of a free block a smaller one is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carve {
    /// From the low end: the textbook's way.
    Low,
    /// Small blocks from the low end, large ones from the high end. What is large is learnt from the requests: above their running
    /// mean. Blocks of a kind come to lie together, so they leave usable holes: a heap in which two sizes alternate, and one
    /// of them is freed, is the known trap for every policy that cuts from one end only.
    BySize,
}

/// The configuration of a heap: a type without values.
///
/// Each constant has a default; the [`Meter`] has to be named. What contradicts itself does not compile.
///
/// ```
/// use cairn_heap::{Config, Fault};
/// /// Alignment 8, as a microcontroller wants it.
/// struct Small;
/// impl Config for Small {
///     const ALIGN: usize = 8;
///     const GROW_MIN: usize = 256;
///     type Meter = ();
/// }
/// ```
pub trait Config: 'static {
    /// The alignment of every block in bytes: 8, 16, 32 and so on. Blocks are multiples of it. Links are
    /// 32 bits, so it also bounds the address range of a heap to `2^32` times the alignment (64 GiB at 16).
    const ALIGN: usize = 16;

    /// What is left of a free block becomes a block of its own if it has at least this many bytes, header included; else
    /// it stays a part of the block that is cut. Never less than the smallest block, which is also the default.
    const SPLIT_MIN: usize = 0;

    /// The heap grows by at least this many bytes, if the source has them. `usize::MAX`: by all that it has.
    const GROW_MIN: usize = 4096;

    /// The heap grows by at least its extent divided by 2 to this power: fewer calls of the source, and room to place by size.
    /// `u32::MAX`: by what is missing, and [`GROW_MIN`](Self::GROW_MIN).
    const GROW_SHIFT: u32 = 8;

    /// The top of the heap goes back to the source when its last block is free and has at least this many bytes, and
    /// at least an eighth of the heap. 0: always.
    const TRIM_MIN: usize = 128 << 10;

    /// When free neighbours are joined.
    const COALESCE: Coalesce = Coalesce::AtOnce;

    /// From which end a free block is cut.
    const CARVE: Carve = Carve::BySize;

    /// What counts the heap's work; `()` counts nothing and costs nothing.
    type Meter: Meter;

    /// What the doors without an error value (`GlobalAlloc`, `Allocator`) do with a fault: by default they panic with the fault's
    /// sentence. It is called from a place that can't unwind, so a panic ends the process.
    fn fault(fault: &Fault) -> ! {
        panic!("cairn: {fault}")
    }
}

/// The defaults, and nothing counted.
#[derive(Clone, Copy, Debug)]
pub struct Standard;

impl Config for Standard {
    type Meter = ();
}

/// For speed: [`Coalesce::Deferred`], [`Carve::Low`], and growth by larger steps, since each step first joins what waits.
#[derive(Clone, Copy, Debug)]
pub struct Fast;

impl Config for Fast {
    const GROW_MIN: usize = 16 << 10;
    const GROW_SHIFT: u32 = 5;
    const COALESCE: Coalesce = Coalesce::Deferred;
    const CARVE: Carve = Carve::Low;
    type Meter = ();
}

/// The defaults with [`Coalesce::Deferred`].
#[derive(Clone, Copy, Debug)]
pub struct Deferred;

impl Config for Deferred {
    const COALESCE: Coalesce = Coalesce::Deferred;
    type Meter = ();
}

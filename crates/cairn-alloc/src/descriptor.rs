//! What is known about one granule: 64 bytes, out of line.
//!
//! Invariants, which the page heap and the slabs keep under the page lock or the class lock:
//! - `kind` is not [`Kind::Inner`] if and only if the granule is the first of a span; then `len` is the span's length.
//! - `free_tail` is set if and only if the granule is the last of a *free* span; then `head` is its first granule.
//! - In a slab every granule's `head` is the slab's first granule, and the class map holds the class for each.
//! - The class map holds 0 for every granule that is not part of a slab.

use core::ptr::NonNull;
use core::sync::atomic::AtomicU32;

use cairn_core::os::Guard;

/// What the span that begins at a granule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Not the first granule of a span.
    Inner = 0,
    /// A free span, in one of the page heap's trees.
    Free = 1,
    /// Blocks of one size class.
    Slab = 2,
    /// One large block.
    Large = 3,
    /// Cairn's own records.
    Records = 4,
    /// Blocks of one size class, hardened: see hardened/slab.rs.
    HardSlab = 5,
    /// One large block, hardened: see hardened/large.rs.
    HardLarge = 6,
}

/// See the module.
#[repr(C, align(64))]
pub struct Descriptor {
    /// What begins here.
    pub kind: Kind,
    /// Last granule of a free span.
    pub free_tail: bool,
    /// Class of the slab that begins here.
    pub class: u8,
    /// Granules of the span that begins here.
    pub len: u32,
    /// See the module's invariants.
    pub head: u32,
    /// What is known of a slab without a lock. If its blocks are small: the thread that takes from it before others do, see [`Home`](crate::center::Home);
    /// changes under the class lock. If they are medium: which of them the program holds, see slab/held.rs.
    pub tag: AtomicU32,
    /// Depends on `kind`.
    pub body: Body,
}

/// The part of a descriptor that depends on its kind.
#[derive(Clone, Copy)]
#[repr(C)]
pub union Body {
    /// For [`Kind::Free`].
    pub free: FreeBody,
    /// For [`Kind::Slab`].
    pub slab: SlabBody,
    /// For [`Kind::Large`].
    pub large: LargeBody,
    /// For [`Kind::HardSlab`].
    pub hard_slab: HardSlabBody,
    /// For [`Kind::HardLarge`].
    pub hard_large: HardLargeBody,
}

/// A free span's place in its tree.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct FreeBody {
    /// First granule of the left child + 1, or 0.
    pub left: u32,
    /// The same for the right child.
    pub right: u32,
    /// The same for the parent.
    pub parent: u32,
    /// Granules of this span that may have pages.
    pub dirty: u32,
    /// Height of the subtree.
    pub height: u8,
}

/// A slab's state; under the lock of its class.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct SlabBody {
    /// One bit a block, set if and only if the block was carved and is free in this slab.
    pub bitmap: *mut u64,
    /// Neighbours in the list of slabs of like fullness.
    pub next: Option<NonNull<Descriptor>>,
    /// See `next`.
    pub previous: Option<NonNull<Descriptor>>,
    /// The bitmap of a slab of at most 64 blocks.
    pub inline_bitmap: u64,
    /// Bits set in the bitmap. (A half word would do, here and below; but compilers read two of them at once, and a read
    /// that spans a half word just written stalls the processor: it was a third of the time of a flush.)
    pub free: u32,
    /// Blocks from here on were never handed out, and their bitmap words are not initialized.
    pub carved: u32,
    /// No bit is set in the words before this one, which is initialized once a block was carved.
    pub first_word: u32,
    /// The list it is in, or [`NO_LIST`].
    pub list: u8,
    /// Whether its page-sized holes may be worth giving back.
    pub holes: Holes,
    /// The number of free blocks at which it belongs into another list, or is empty: until then, who puts blocks back needs
    /// not work out where the slab belongs.
    pub leave_at: u16,
}

/// The free pages inside a slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Holes {
    /// Given back, or none.
    Given = 0,
    /// Perhaps some, and nothing was taken from the slab since the last round.
    Idle = 1,
    /// Blocks were taken from the slab since the last round: it may need its free pages soon.
    Stirred = 2,
}

/// A full slab is in no list.
pub const NO_LIST: u8 = u8::MAX;

/// A large block.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct LargeBody {
    /// Bytes that the program may use: a multiple of the page size, at most the span's length.
    pub bytes: usize,
    /// It was allocated to read as zero, so perhaps only a part of it was ever touched.
    pub zeroed: bool,
    /// The kernel may give its span huge pages.
    pub huge: bool,
}

/// A hardened slab's state; under the lock of its class.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct HardSlabBody {
    /// One bit a block, set if and only if the block is free in this slab.
    pub bitmap: *mut u64,
    /// Neighbours in the list of slabs of like fullness.
    pub next: Option<NonNull<Descriptor>>,
    /// See `next`.
    pub previous: Option<NonNull<Descriptor>>,
    /// The bitmap of a slab of at most 64 blocks.
    pub inline_bitmap: u64,
    /// One bit a page, set if and only if a block that lies in it was taken since the page came.
    pub touched: u64,
    /// Bits set in the bitmap.
    pub free: u32,
    /// The list it is in, or [`NO_LIST`].
    pub list: u8,
    /// What keeps the slab's end from being touched.
    pub guard: Guard,
    /// Blocks were taken from it since its holes were last looked at.
    pub stirred: bool,
}

/// A hardened large block; its owner's, but `live`, which is under the lock of hardened/large.rs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct HardLargeBody {
    /// Bytes that the program asked for.
    pub size: usize,
    /// Bytes of the span before it.
    pub offset: u32,
    /// Bytes of the guard behind it, which begins at the next page.
    pub guard_bytes: u32,
    /// What keeps that guard from being touched,
    pub guard: Guard,
    /// and the page before the block's first one.
    pub front: Guard,
    /// Whether the program has it; it is in quarantine, or on the way, if not.
    pub live: bool,
}

const _: () = assert!(core::mem::size_of::<Descriptor>() == 64);

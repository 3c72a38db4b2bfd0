//! Where the engine asks the mode: the one place in which operations part.
//!
//! Each function answers for the modes that are not the default one, and `None` (or `false`) means "not mine": the default engine goes
//! on. So a mode may leave any request to the engine, and blocks of both live side by side: a mode must recognise its own blocks
//! by their address.
//!
//! Callers are the slow halves only. In the default mode each costs one load and one comparison. errno is kept here; hardened mode, whose
//! every operation comes this way, does so itself where it may change. What comes by itself, now and then, asks elsewhere: the
//! decay, the census, the audit, fork.

use core::alloc::Layout;

use crate::inside::Inside;
use crate::mode::{self, Mode};
use crate::{guarded, hardened};

/// Which door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// C and C++: a block is freed by its address.
    C,
    /// Rust: a block is freed by its layout, into a bin that asks nothing if the thread has bins.
    Rust,
}

/// What is asked of an allocation.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Bytes that the program asked for.
    pub size: usize,
    /// A power of two.
    pub align: usize,
    /// The block shall read as zero.
    pub zeroed: bool,
    /// Where it came from.
    pub door: Door,
}

impl Request {
    /// A request of C without an alignment: what any object of that size may need, at most 16 and at least 8.
    pub fn of_c(size: usize, zeroed: bool) -> Request {
        Request { size, align: if size >= 16 { 16 } else { 8 }, zeroed, door: Door::C }
    }
}

/// Gets ready for a mode that is about to begin; false if memory is short.
pub fn prepare(mode: Mode) -> bool {
    match mode {
        Mode::Hardened => hardened::prepare(),
        Mode::Default => true,
        Mode::Debug => guarded::prepare_debug(),
        Mode::Sampled => guarded::prepare_sampled(),
    }
}

/// A mode without bins, for which [`prepare`] got ready, does not begin: a second attempt, at this mode or another, shall not find less
/// memory.
pub fn give_back(mode: Mode) {
    // What hardened mode prepares is small, read-only, and used by the next attempt.
    if mode == Mode::Debug {
        guarded::give_back();
    }
}

/// What a mode has at hand for the C door, else what `slower` gives: the fast path of hardened mode. Inlined into the doors' slow halves, so that
/// these need no frame for it.
#[inline(always)]
pub fn allocate_quick(size: usize, slower: impl FnOnce(usize) -> *mut u8) -> *mut u8 {
    if mode::current() == Mode::Hardened { hardened::allocate_quick(size, slower) } else { slower(size) }
}

/// A block, null if memory is short, or None: the default engine's.
#[inline(always)]
pub fn allocate(request: Request) -> Option<*mut u8> {
    match mode::current() {
        Mode::Default => None,
        Mode::Hardened => Some(hardened::allocate(request)),
        Mode::Debug | Mode::Sampled => allocate_cold(request),
    }
}

#[cold]
#[inline(never)]
fn allocate_cold(request: Request) -> Option<*mut u8> {
    let _inside = Inside::enter();
    match mode::current() {
        Mode::Debug => guarded::allocate(request),
        Mode::Sampled => guarded::allocate_sampled(request),
        Mode::Default | Mode::Hardened => None,
    }
}

/// Whether a block of so many bytes that was just handed out reads as zero, whoever had it before.
#[inline]
pub fn is_zero(size: usize) -> bool {
    mode::current() == Mode::Hardened && hardened::is_zero(size)
}

/// A bin fetches so many blocks, which may then be handed out without anybody hearing of it.
#[inline]
pub fn pass(blocks: usize) {
    if mode::current() == Mode::Sampled {
        guarded::pass(blocks - 1);
    }
}

/// Frees a block of which nothing is said, as a mode does that has a fast path for it; else `slower` does.
///
/// # Safety
/// `block` is null or a live block.
#[inline(always)]
pub unsafe fn free_quick(block: *mut u8, slower: impl FnOnce(*mut u8)) {
    if mode::current() == Mode::Hardened {
        // SAFETY: the caller's contract.
        return unsafe { hardened::free_quick(block, slower) };
    }
    slower(block);
}

/// Frees a block that is the mode's (null is not); false if it is not. `layout` is what the caller says about it, if it says so.
///
/// # Safety
/// `block` is null or a live block.
#[inline(always)]
pub unsafe fn free(block: *mut u8, layout: Option<Layout>) -> bool {
    // SAFETY: the caller's contract.
    unsafe {
        match mode::current() {
            Mode::Default => false,
            Mode::Hardened => hardened::free(block, layout),
            Mode::Debug | Mode::Sampled => guarded::owns(block) && free_cold(block, layout),
        }
    }
}

/// # Safety
/// As for [`free`].
#[cold]
#[inline(never)]
unsafe fn free_cold(block: *mut u8, layout: Option<Layout>) -> bool {
    let _inside = Inside::enter();
    guarded::free(block, layout);
    true
}

/// Changes the size of a block: the block, moved or not; null, and the block as it was, if memory is short; None if the default
/// engine may change it in its own way. `request` is the new size and alignment, `old` what the caller says about the block.
///
/// # Safety
/// `block` is a live block, not null.
#[inline(always)]
pub unsafe fn reallocate(block: *mut u8, old: Option<Layout>, request: Request) -> Option<*mut u8> {
    // SAFETY: the caller's contract.
    unsafe {
        match mode::current() {
            Mode::Default => None,
            Mode::Hardened => hardened::reallocate(block, old, request),
            Mode::Debug | Mode::Sampled if guarded::owns(block) => reallocate_cold(block, old, request),
            Mode::Debug | Mode::Sampled => None,
        }
    }
}

/// # Safety
/// As for [`reallocate`].
#[cold]
#[inline(never)]
unsafe fn reallocate_cold(block: *mut u8, old: Option<Layout>, request: Request) -> Option<*mut u8> {
    let _inside = Inside::enter();
    // SAFETY: the caller's contract.
    Some(unsafe { guarded::reallocate(block, old, request) })
}

/// The bytes that the program may use of a block that is the mode's.
///
/// # Safety
/// `block` is a live block, not null.
#[inline(always)]
pub unsafe fn usable_size(block: *mut u8) -> Option<usize> {
    // SAFETY: the caller's contract.
    unsafe {
        match mode::current() {
            Mode::Default => None,
            Mode::Hardened => hardened::usable_size(block),
            Mode::Debug | Mode::Sampled if guarded::owns(block) => usable_size_cold(block),
            Mode::Debug | Mode::Sampled => None,
        }
    }
}

/// # Safety
/// As for [`usable_size`].
#[cold]
#[inline(never)]
unsafe fn usable_size_cold(block: *mut u8) -> Option<usize> {
    let _inside = Inside::enter();
    Some(guarded::usable_size(block))
}

/// Lets go what waits in the mode, and gives the free pages of its slabs back; returns their bytes.
pub fn trim() -> usize {
    if mode::current() == Mode::Hardened { hardened::trim() } else { 0 }
}

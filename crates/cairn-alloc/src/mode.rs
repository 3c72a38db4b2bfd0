//! The modes of the heap, and which one this process is in.
//!
//! | mode | how it is entered | what it does |
//! |---|---|---|
//! | default | | fast; faults of the program are named where they reach the heap |
//! | hardened | the fast path misses | see `hardened` |
//! | debug | the fast path misses | each block on its own pages, see `guarded` |
//! | sampled | bins as in default mode | like debug for a few blocks, see `guarded` |
//!
//! "The fast path misses" means that no thread gets bins of its own: each keeps the distance 0 to the bins of
//! [`NOBODY`](crate::thread::NOBODY), which are empty and full at once, so that every operation comes to the engine's slow half,
//! which asks [`modes`](crate::modes). The default mode's fast path pays nothing for that.
//!
//! Invariant: the mode changes at most once, away from the default, under the lock of modes, while at most one thread has bins (the
//! calling one, which loses them). Blocks from before are the default engine's for as long as they live, and can be freed and
//! reallocated at any time.
//!
//! Orderings: a thread without bins may look at the mode at any time, with no lock. So the mode is stored by `Release` and loaded
//! by `Acquire`: who finds it finds what was prepared for it. That a thread in a mode without bins gets none is what the lock of births
//! is for, under which it asks again. The models: crates/cairn-model, `modes`.

use core::fmt;

use cairn_core::lock::Lock;
use cairn_core::sync::AtomicU8;
use cairn_core::{ord, shared};

use crate::inside::Inside;
use crate::{modes, thread};

/// What the heap does beyond allocating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mode {
    /// Fast; faults are named where they reach the heap.
    Default = 0,
    /// Random placement, quarantine, canaries, guard pages: makes attacks hard.
    Hardened = 1,
    /// Each block on its own pages: an overflow or a use after free stops at the instruction.
    Debug = 2,
    /// Like debug for one block in so many.
    Sampled = 3,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 4] = [Mode::Default, Mode::Hardened, Mode::Debug, Mode::Sampled];

    /// Its name in `CAIRN_MODE` and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Mode::Default => "default",
            Mode::Hardened => "hardened",
            Mode::Debug => "debug",
            Mode::Sampled => "sampled",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &[u8]) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name().as_bytes() == name)
    }

    /// Whether threads have bins of their own in this mode.
    const fn has_bins(self) -> bool {
        matches!(self, Mode::Default | Mode::Sampled)
    }
}

/// Why a mode could not be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The process is in another mode than the default one already.
    Entered(Mode),
    /// Another thread has allocated already: a mode begins with the process.
    Threads,
    /// The kernel gives no memory or address space for it.
    Memory,
}

impl Refused {
    /// The reason in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Refused::Entered(_) => "the process is in another mode already",
            Refused::Threads => {
                "other threads have allocated already; a mode is entered at the start of the process"
            }
            Refused::Memory => "the kernel gives no address space for it",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl core::error::Error for Refused {}

shared! {
    static CURRENT: AtomicU8 = AtomicU8::new(Mode::Default as u8);
    /// Held by who enters a mode: what is prepared for one is prepared by one thread, and only one is entered.
    static ENTER: Lock = Lock::new();
}

/// The lock of modes, for fork: the outermost.
pub(crate) fn lock() -> &'static Lock {
    &ENTER
}

/// The mode of this process.
#[inline(always)]
pub fn current() -> Mode {
    match CURRENT.load(ord!("mode-current", Acquire)) {
        1 => Mode::Hardened,
        2 => Mode::Debug,
        3 => Mode::Sampled,
        _ => Mode::Default,
    }
}

/// Whether threads may have bins.
#[inline]
pub(crate) fn has_bins() -> bool {
    current().has_bins()
}

/// Enters a mode, for the rest of the process. To be called at its start, before a second thread allocates.
///
/// # Errors
/// If that is too late or memory is short; the process then goes on in the mode that it was in.
///
/// ```
/// use cairn_alloc::mode::{self, Mode};
///
/// assert_eq!(mode::enter(Mode::Default), Ok(()));
/// assert_eq!(mode::current(), Mode::Default);
/// ```
pub fn enter(mode: Mode) -> Result<(), Refused> {
    let _inside = Inside::enter();
    let _held = ENTER.hold();
    let now = current();
    if mode == now {
        return Ok(());
    }
    if now != Mode::Default {
        return Err(Refused::Entered(now));
    }
    // Nothing is prepared for what will be refused.
    if !mode.has_bins() && thread::others_have_bins() {
        return Err(Refused::Threads);
    }
    if !modes::prepare(mode) {
        return Err(Refused::Memory);
    }
    let begin = || CURRENT.store(mode as u8, ord!("mode-begin", Release));
    if mode.has_bins() {
        thread::be_born();
        begin();
    } else if !thread::end_bins(begin) {
        // Another thread was born since we asked.
        modes::give_back(mode);
        return Err(Refused::Threads);
    }
    Ok(())
}

//! Stands in for the records of `cairn-alloc`, from which bins get their arrays: the system's allocator, and a call when a piece is
//! given back.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::RefCell;

#[cfg(any(loom, shuttle))]
pub use crate::rooms::{records_lock as lock, take_forever};

/// The least piece in bytes, as in the engine.
pub const PIECE_MIN: usize = 32;

std::thread_local! {
    static ON_GIVE: RefCell<Option<Box<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Has `run` called when this thread gives a piece back (once).
pub fn on_give(run: impl Fn() + 'static) {
    ON_GIVE.set(Some(Box::new(run)));
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes.max(PIECE_MIN).next_power_of_two(), 16).expect("a small piece")
}

/// A piece of at least `bytes` that reads as zero.
pub fn take(bytes: usize) -> *mut u8 {
    // SAFETY: the size isn't zero.
    unsafe { alloc_zeroed(layout(bytes)) }
}

/// Gives a piece back.
///
/// # Safety
/// `piece` came from [`take`] with the same number of bytes, and is not used any more.
pub unsafe fn give(piece: *mut u8, bytes: usize) {
    if let Some(run) = ON_GIVE.take() {
        run();
    }
    // SAFETY: says the caller.
    unsafe { dealloc(piece, layout(bytes)) }
}

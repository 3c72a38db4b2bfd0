//! `Hmm*`: a heap manager on the program break. The break falls whenever the top of the heap is freed, and is where it was before
//! the first allocation when all is freed. Blocks are 16-byte aligned.

use cairn_heap::{Config, Heap};

use crate::Policy;
use crate::brk::{Brk, Run};
use crate::face::Face;

/// The top always goes back.
struct Falling;

impl Config for Falling {
    /// One page: the kernel gives no less.
    const GROW_MIN: usize = 4096;
    const TRIM_MIN: usize = 0;
    type Meter = ();
}

static RUN: Run = Run::new();
static HMM: Face<Heap<Brk, Policy, Falling>> = Face::new(Heap::new(Brk::new(isize::MAX as usize, &RUN)));

/// `malloc`.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the course's name")]
pub extern "C" fn HmmAlloc(size: usize) -> *mut u8 {
    HMM.allocate(size)
}

/// `calloc`.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the course's name")]
pub extern "C" fn HmmCalloc(count: usize, size: usize) -> *mut u8 {
    HMM.allocate_zeroed(count, size)
}

/// `free`.
///
/// # Safety
/// `block` is null, or nobody uses it any more.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the course's name")]
pub unsafe extern "C" fn HmmFree(block: *mut u8) {
    // SAFETY: passed on to the caller.
    unsafe { HMM.free("HmmFree", block) }
}

/// `realloc`.
///
/// # Safety
/// As for [`HmmFree`], unless the result is null and `size` is not 0.
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "the course's name")]
pub unsafe extern "C" fn HmmRealloc(block: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: passed on to the caller.
    unsafe { HMM.reallocate("HmmRealloc", block, size) }
}

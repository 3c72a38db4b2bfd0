//! `mm_*`: the names of the malloc lab. Blocks are 16-byte aligned.
//!
//! A driver begins each trace by resetting its break and calling `mm_init`; so that starts with an empty heap and forgets the old
//! one, with all its blocks. On the program break the old heap is given back first, if nothing lies above it.

use cairn_heap::{Config, Heap, Source};

use crate::Policy;
use crate::brk::Run;
use crate::face::Face;
use crate::memory::Memory;
use crate::report;

/// What the lab measures is the greatest extent, and asking the driver is cheap: so the heap grows by little more than it needs. Not by
/// exactly that: with no room at all, there is no choice of where to put a block.
struct Lab;

impl Config for Lab {
    const GROW_MIN: usize = 0;
    const GROW_SHIFT: u32 = 9;
    type Meter = ();
}

static RUN: Run = Run::new();
static MM: Face<Heap<Memory, Policy, Lab>> = Face::new(Heap::new(Memory::new(&RUN)));

/// Begins with an empty heap, and forgets the one before. Calling it is not necessary, but for that.
///
/// 0, or -1 if the driver's `mem_sbrk` gives nothing.
#[unsafe(no_mangle)]
pub extern "C" fn mm_init() -> libc::c_int {
    MM.with(|heap| {
        // SAFETY: all blocks of the old heap are forgotten: that is what the function promises.
        unsafe { RUN.give_back() };
        let mut memory = Memory::new(&RUN);
        let begins = memory.lowest().is_some();
        *heap = Heap::new(memory);
        if begins { 0 } else { -1 }
    })
}

/// `malloc`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_malloc(size: usize) -> *mut u8 {
    MM.allocate(size)
}

/// `calloc`.
#[unsafe(no_mangle)]
pub extern "C" fn mm_calloc(count: usize, size: usize) -> *mut u8 {
    MM.allocate_zeroed(count, size)
}

/// `free`.
///
/// # Safety
/// `block` is null, or nobody uses it any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_free(block: *mut u8) {
    // SAFETY: passed on to the caller.
    unsafe { MM.free("mm_free", block) }
}

/// `realloc`.
///
/// # Safety
/// As for [`mm_free`], unless the result is null and `size` is not 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mm_realloc(block: *mut u8, size: usize) -> *mut u8 {
    // SAFETY: passed on to the caller.
    unsafe { MM.reallocate("mm_realloc", block, size) }
}

/// Audits the heap: 1 and no word if all is well; else 0, and on stderr what is wrong, with address and block.
#[unsafe(no_mangle)]
pub extern "C" fn mm_check() -> libc::c_int {
    check("mm_check", 0)
}

/// The same; `line` is the caller's `__LINE__`, which the report repeats. (Labs that pass a "verbose" flag get the same report.)
#[unsafe(no_mangle)]
pub extern "C" fn mm_checkheap(line: libc::c_int) -> libc::c_int {
    check("mm_checkheap", usize::try_from(line).unwrap_or(0))
}

fn check(function: &str, line: usize) -> libc::c_int {
    match MM.with(|heap| heap.check()) {
        Ok(_) => 1,
        Err(violation) => {
            report::violation(function, line, &violation);
            0
        }
    }
}

//! The classic heap under the names that courses give it: a small C library, static and shared, with headers.
//!
//! ```text
//!   mm.rs     mm_init mm_malloc mm_free mm_realloc mm_calloc mm_check mm_checkheap    include/mm.h
//!   dmm.rs    dmalloc_configure dmalloc_init dmalloc dfree                            include/dmm.h
//!   hmm.rs    HmmAlloc HmmCalloc HmmRealloc HmmFree                                   include/hmm.h
//!   team.rs   team                                       a variable that some drivers of mm_* print
//!      │
//!      ▼
//!   face.rs       what C says about malloc and its kin, once, over any heap behind a lock
//!   report.rs     faults and violations as one line on stderr
//!   settings.rs   CAIRN_DMM_* from the environment
//!   memory.rs     mm's source: the driver's mem_sbrk, or the program break     driver.rs   weak names
//!   brk.rs        the program break, given back to the last byte
//! ```
//! The three heaps have nothing to do with each other; a pointer of one is foreign to the others.
//!
//! Rules for all of them:
//! - Success keeps errno; failure is a null pointer and ENOMEM.
//! - What the heap recognises as a fault of the program ends the process, with one line that names the function that was
//!   called. The lock is free by then: a handler of SIGABRT may use the heap.
//! - No name of the C library's allocator is called, so a driver may interpose it.
// A debug build unwinds (see the profiles in Cargo.toml), which only `std` can; nothing here calls it. What is shipped and tested
// aborts, and is without.
#![cfg_attr(panic = "abort", no_std)]
#![no_builtins]

mod brk;
mod dmm;
mod driver;
mod face;
mod hmm;
mod memory;
mod mm;
mod report;
mod settings;
mod team;

/// The placement policy behind every name.
type Policy = cairn_heap::Segregated;

/// A panic in the heap is a bug of ours. The message names no place: a debugger on the core shows it.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    cairn_core::fault::Line::new()
        .text("internal error: an invariant of the heap is broken; please report it")
        .abort()
}

/// Nothing here allocates through Rust's global allocator. But where all crates of the workspace are built at once, the heap is built
/// with the collections of its `Allocator` tests, and those ask for one.
#[global_allocator]
static NOBODY: Nobody = Nobody;

/// An allocator without memory.
struct Nobody;

// SAFETY: it gives no block, so there is none to be freed.
unsafe impl core::alloc::GlobalAlloc for Nobody {
    unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}
}

// Without optimisation the compiled parts of `core` refer to the routine that unwinding would call. Nothing
// unwinds here, and stable Rust has no other way to say so. Weak, because a Rust program that links
// libcairn_course.a brings one.
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    ".long 0"
);

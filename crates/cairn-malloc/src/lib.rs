//! Cairn as a C library: `libcairn.so` and `libcairn.a`, the malloc ABI.
//!
//! Every file here is one group of exported names over the same engine (`cairn_alloc::engine`):
//!
//! ```text
//!   standard.rs   malloc free calloc realloc ..      the names that every program calls
//!   aligned.rs    posix_memalign aligned_alloc ..    with an alignment
//!   cxx.rs        operator new and delete            20 forms; cxx/ has the assembly of those that fail
//!   info.rs       mallinfo malloc_info mallopt ..    questions and wishes
//!   start.rs      no name: runs at load              CAIRN_* from the environment
//!   report.rs     no name: runs at exit              CAIRN_STATS
//!   audit.rs      cairn_check                        is the heap whole?
//!   helper.rs     no name                            threads of Cairn's own
//!   text.rs       no name                            numbers and words into a descriptor or a FILE
//! ```
//!
//! Rules for all of them:
//! - The first line of a hot function asks the engine's fast path, and the function leaves by a tail call
//!   into its cold half when that misses. A test counts the instructions of the result.
//! - No exported name is called from inside. A call of `malloc` here would go to whoever interposes it, and
//!   LLVM, which knows what `malloc` does, would rewrite the callers: `malloc` and `memset` become
//!   `calloc`, which would then call itself. `no_builtins` takes that knowledge away.
//! - Success keeps errno, and so does free; failure sets ENOMEM where the standard of the function says so.
//! - Nothing unwinds, in either direction, through a Rust frame: see `cxx`.
// A debug build unwinds (see the profiles in Cargo.toml), which only `std` can; nothing here calls it. What is shipped and tested
// aborts, and is without.
#![cfg_attr(panic = "abort", no_std)]
#![no_builtins]

mod aligned;
mod audit;
mod cxx;
mod helper;
mod info;
mod report;
mod standard;
mod start;
mod text;

/// A panic in the allocator is a bug of ours. The message names no place: the text of places is larger than
/// the rest of this library's constants, and a debugger on the core shows it.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    cairn_core::fault::Line::new()
        .text("internal error: an invariant of the heap is broken; please report it")
        .abort()
}

// Without optimisation the compiled parts of `core` refer to the routine that unwinding would call. Nothing
// unwinds here, and stable Rust has no other way to say so. Weak, because a Rust program that links
// libcairn.a brings one.
core::arch::global_asm!(
    ".weak rust_eh_personality",
    ".hidden rust_eh_personality",
    "rust_eh_personality:",
    ".long 0"
);

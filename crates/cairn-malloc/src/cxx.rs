//! C++ `operator new` and `operator delete`: 20 forms.
//!
//! A new that succeeds is malloc, a delete is free. A new that fails calls the program's new-handler until
//! it gets memory or there is no handler; then the plain forms throw `std::bad_alloc` and the nothrow forms
//! return null. A handler may throw too: that passes through the plain forms and makes the nothrow forms
//! return null.
//!
//! **How Rust without unwinding throws.** It doesn't. The loop around the handler is assembly ([`stub`]),
//! with tables that describe its frame, and it leaves by a jump into libstdc++'s own
//! `std::__throw_bad_alloc()`:
//!
//! ```text
//!   _Znwm (Rust) ── fast path ── block ──────────────────────────────────► return
//!     └─ jmp cairn_new_slow (assembly)
//!          ┌─► try_new (Rust): the engine's slow path ── block ──────────► return
//!          │   handler (Rust): std::get_new_handler() ── none ──► jmp std::__throw_bad_alloc()
//!          └── call the handler ── it throws ──► through this frame, by its tables
//! ```
//! So whenever an exception is on its way, no Rust frame is on the stack: those have returned or were left
//! by a jump. The nothrow stub has a handler table of its own and names libstdc++'s personality routine, as
//! a `catch (...)` has.
//!
//! **Where libstdc++ comes from.** Cairn doesn't need it: the references are weak, so that a C program runs
//! without. If it came by `dlopen` after Cairn, the references are null and are looked up by `dlsym` when a
//! new has failed, only then. libc++ has the same names and works the same way. Without either (or on a
//! processor without a stub) a failed plain new ends the process with a message.

use crate::aligned;
use crate::standard::{export, or_out_of_memory, release, release_sized};
use cairn_alloc::engine;

/// The table by which the unwinder finds that the nothrow stub catches everything its handler throws: the
/// layout of `.gcc_except_table`, with one call site, one action, and the type "any". The labels are the
/// stub's.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
macro_rules! catch_all_table {
    () => {
        concat!(
            ".pushsection .gcc_except_table,\"a\",@progbits\n",
            ".p2align 2\n",
            ".Lcairn_new_catch:\n",
            ".byte 0xff\n", // addresses count from the function's start
            ".byte 0x9b\n", // types are relative addresses
            ".uleb128 .Lcairn_new_types - .Lcairn_new_head\n",
            ".Lcairn_new_head:\n",
            ".byte 0x01\n", // call sites are uleb128
            ".uleb128 .Lcairn_new_sites_end - .Lcairn_new_sites\n",
            ".Lcairn_new_sites:\n",
            ".uleb128 .Lcairn_new_call - cairn_new_nothrow_slow\n",
            ".uleb128 .Lcairn_new_called - .Lcairn_new_call\n",
            ".uleb128 .Lcairn_new_caught - cairn_new_nothrow_slow\n",
            ".uleb128 1\n", // action 1
            ".Lcairn_new_sites_end:\n",
            ".byte 1\n", // action 1: type 1 ..
            ".byte 0\n", // .. and no further action
            ".p2align 2\n",
            ".long 0\n", // type 1: any
            ".Lcairn_new_types:\n",
            ".popsection",
        )
    };
}
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use catch_all_table;

#[path = "cxx/runtime.rs"] // so that it also holds where the fuzz target takes this file in
mod runtime;
#[cfg_attr(target_arch = "x86_64", path = "cxx/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "cxx/aarch64.rs")]
#[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), path = "cxx/portable.rs")]
mod stub;

/// What a stub tries again: the slow path of new. `align` 0 stands for the forms without alignment.
extern "C" fn try_new(size: usize, align: usize) -> *mut u8 {
    let block = match align {
        0 => engine::allocate_slow(size),
        // An alignment that is no power of two is undefined in C++; it is rounded up, as memalign does.
        _ => align
            .checked_next_power_of_two()
            .map_or(core::ptr::null_mut(), |align| aligned::allocate(align, size)),
    };
    or_out_of_memory(block)
}

#[inline(always)]
fn new(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    if !block.is_null() {
        return block;
    }
    // SAFETY: a stub has malloc's contract; it may throw, and this is a tail call without anything to clean
    // up.
    unsafe { stub::cairn_new_slow(size) }
}

#[inline(always)]
fn new_nothrow(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    if !block.is_null() {
        return block;
    }
    // SAFETY: a stub has malloc's contract.
    unsafe { stub::cairn_new_nothrow_slow(size) }
}

export! {
    in ".text.cairn_new_fast",
    /// `operator new(size_t)`
    _Znwm
    /// `operator new[](size_t)`
    _Znam
    => fn(size: usize) -> *mut u8 = new(size)
}
export! {
    /// `operator new(size_t, nothrow_t const&)`
    _ZnwmRKSt9nothrow_t
    /// `operator new[](size_t, nothrow_t const&)`
    _ZnamRKSt9nothrow_t
    => fn(size: usize, _tag: *const u8) -> *mut u8 = new_nothrow(size)
}
export! {
    /// `operator new(size_t, align_val_t)`
    _ZnwmSt11align_val_t
    /// `operator new[](size_t, align_val_t)`
    _ZnamSt11align_val_t
    // SAFETY: a stub has malloc's contract; it may throw, and this is a tail call without anything to clean
    // up.
    => fn(size: usize, align: usize) -> *mut u8 = unsafe { stub::cairn_new_aligned_slow(size, align) }
}
export! {
    /// `operator new(size_t, align_val_t, nothrow_t const&)`
    _ZnwmSt11align_val_tRKSt9nothrow_t
    /// `operator new[](size_t, align_val_t, nothrow_t const&)`
    _ZnamSt11align_val_tRKSt9nothrow_t
    // SAFETY: a stub has malloc's contract.
    => fn(size: usize, align: usize, _tag: *const u8) -> *mut u8 = unsafe {
        stub::cairn_new_nothrow_aligned_slow(size, align)
    }
}
export! {
    in ".text.cairn_free",
    /// `operator delete(void*)`
    _ZdlPv
    /// `operator delete[](void*)`
    _ZdaPv
    => unsafe fn(block: *mut u8) -> () = release(block)
}
export! {
    in ".text.cairn_free_sized",
    /// `operator delete(void*, size_t)`
    _ZdlPvm
    /// `operator delete[](void*, size_t)`
    _ZdaPvm
    => unsafe fn(block: *mut u8, size: usize) -> () = release_sized(block, size)
}
export! {
    /// `operator delete(void*, align_val_t)`
    _ZdlPvSt11align_val_t
    /// `operator delete[](void*, align_val_t)`
    _ZdaPvSt11align_val_t
    /// `operator delete(void*, nothrow_t const&)`
    _ZdlPvRKSt9nothrow_t
    /// `operator delete[](void*, nothrow_t const&)`
    _ZdaPvRKSt9nothrow_t
    => unsafe fn(block: *mut u8, _second: usize) -> () = release(block)
}
export! {
    /// `operator delete(void*, size_t, align_val_t)`
    _ZdlPvmSt11align_val_t
    /// `operator delete[](void*, size_t, align_val_t)`
    _ZdaPvmSt11align_val_t
    => unsafe fn(block: *mut u8, size: usize, align: usize) -> () = engine::free_sized_slow(block, size, align)
}
export! {
    /// `operator delete(void*, align_val_t, nothrow_t const&)`
    _ZdlPvSt11align_val_tRKSt9nothrow_t
    /// `operator delete[](void*, align_val_t, nothrow_t const&)`
    _ZdaPvSt11align_val_tRKSt9nothrow_t
    => unsafe fn(block: *mut u8, _second: usize, _third: usize) -> () = release(block)
}

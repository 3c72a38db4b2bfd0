//! The stubs in plain Rust, for a processor without assembly of ours.
//!
//! The same loops, with one thing missing: nothing here can be unwound, so a handler that throws ends the
//! process. A plain new without a handler calls libstdc++'s thrower, which works where the compiler makes
//! that a jump.

use super::runtime::{self, Function};
use super::try_new;
use core::mem::MaybeUninit;

fn next(handler: Function) -> bool {
    if handler.is_null() {
        return false;
    }
    // SAFETY: std::new_handler is a function without arguments or result.
    let handler: extern "C" fn() = unsafe { core::mem::transmute(handler) };
    handler();
    true
}

/// A new that missed the fast path: memory or `bad_alloc`.
///
/// # Safety
/// None is needed; the assembly forms can't be declared safe.
pub unsafe fn cairn_new_slow(size: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { cairn_new_aligned_slow(size, 0) }
}

/// The same with an alignment.
///
/// # Safety
/// As for [`cairn_new_slow`].
pub unsafe fn cairn_new_aligned_slow(size: usize, align: usize) -> *mut u8 {
    loop {
        let block = try_new(size, align);
        if !block.is_null() {
            return block;
        }
        if !next(runtime::handler()) {
            let mut arguments = MaybeUninit::new([core::ptr::null(); 3]);
            let throw = runtime::thrower(&mut arguments);
            // SAFETY: it was made with a value.
            let [first, second, third] = unsafe { arguments.assume_init() };
            // SAFETY: `thrower` returns a function that takes these arguments (or ignores them) and doesn't
            // return.
            let throw: extern "C" fn(Function, Function, Function) -> *mut u8 =
                unsafe { core::mem::transmute(throw) };
            return throw(first, second, third);
        }
    }
}

/// A nothrow new that missed the fast path: memory or null.
///
/// # Safety
/// As for [`cairn_new_slow`].
pub unsafe fn cairn_new_nothrow_slow(size: usize) -> *mut u8 {
    // SAFETY: as above.
    unsafe { cairn_new_nothrow_aligned_slow(size, 0) }
}

/// The same with an alignment.
///
/// # Safety
/// As for [`cairn_new_slow`].
pub unsafe fn cairn_new_nothrow_aligned_slow(size: usize, align: usize) -> *mut u8 {
    loop {
        let block = try_new(size, align);
        if !block.is_null() || !next(runtime::handler_nothrow()) {
            return block;
        }
    }
}

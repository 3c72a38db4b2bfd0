//! The names of ISO C and those that grew around them: malloc, free, calloc, realloc, and their `__libc_`
//! twins.
//!
//! ```text
//!   malloc(n) ── engine::allocate_fast ── a block ─────────────────────────► return
//!                       └── null (bin empty, or n is large) ── malloc_slow ─► block, or null and ENOMEM
//!   free(p)   ── engine::free_fast ── true ────────────────────────────────► return
//!                       └── false (bin full, large, null, fault) ── free_slow ─► return
//! ```
//! The `__libc_` names are glibc's own, which some programs use to get behind an interposed malloc. They must
//! reach the same heap, or such a program would free our blocks with glibc's `__libc_free`.

use cairn_alloc::engine;
use core::ptr;

/// The largest size that any function grants: differences of pointers into a block must fit `ptrdiff_t`.
pub const SIZE_MAX: usize = isize::MAX as usize;

/// Sets errno.
fn set_errno(code: libc::c_int) {
    // SAFETY: the C library's errno location is valid for the calling thread at any time.
    unsafe { *libc::__errno_location() = code }
}

/// Fails with ENOMEM.
#[cold]
#[inline(never)]
pub fn out_of_memory() -> *mut u8 {
    set_errno(libc::ENOMEM);
    ptr::null_mut()
}

/// Fails with EINVAL.
#[cold]
#[inline(never)]
pub fn invalid() -> *mut u8 {
    set_errno(libc::EINVAL);
    ptr::null_mut()
}

/// Passes a block through; null becomes null and ENOMEM.
#[inline(always)]
pub fn or_out_of_memory(block: *mut u8) -> *mut u8 {
    if block.is_null() { out_of_memory() } else { block }
}

/// `malloc`: the hot half.
#[inline(always)]
pub fn allocate(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    if !block.is_null() {
        return block;
    }
    malloc_slow(size)
}

#[cold]
#[inline(never)]
extern "C" fn malloc_slow(size: usize) -> *mut u8 {
    engine::allocate_quick(size, malloc_slower)
}

#[cold]
#[inline(never)]
fn malloc_slower(size: usize) -> *mut u8 {
    or_out_of_memory(engine::allocate_slower(size))
}

/// `free`: the hot half.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[inline(always)]
pub unsafe fn release(block: *mut u8) {
    // SAFETY: passed on to the caller, for both halves.
    unsafe {
        if !engine::free_fast(block) {
            free_slow(block);
        }
    }
}

/// [`release`] by one who says how large the block is.
///
/// # Safety
/// As for [`release`].
#[inline(always)]
pub unsafe fn release_sized(block: *mut u8, size: usize) {
    // SAFETY: passed on to the caller, for both halves.
    unsafe {
        if !engine::free_sized_fast(block, size) {
            free_sized_slow(block, size);
        }
    }
}

/// # Safety
/// As for [`release`].
#[cold]
#[inline(never)]
unsafe extern "C" fn free_sized_slow(block: *mut u8, size: usize) {
    // SAFETY: passed on to the caller.
    unsafe { engine::free_sized_slow(block, size, 1) }
}

/// # Safety
/// As for [`release`].
#[cold]
#[inline(never)]
unsafe extern "C" fn free_slow(block: *mut u8) {
    // SAFETY: passed on to the caller.
    unsafe { engine::free_slow(block) }
}

#[inline(always)]
fn allocate_zeroed(count: usize, size: usize) -> *mut u8 {
    match count.checked_mul(size) {
        Some(bytes) if bytes <= SIZE_MAX => or_out_of_memory(engine::allocate_zeroed(bytes)),
        _ => out_of_memory(),
    }
}

/// # Safety
/// `block` is null or a live block of this allocator.
#[inline(always)]
unsafe fn resize(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        return allocate(size);
    }
    if size == 0 {
        // SAFETY: not null, so live, says the caller.
        unsafe { release(block) };
        return ptr::null_mut();
    }
    if size > SIZE_MAX {
        return out_of_memory();
    }
    // SAFETY: not null, so live, says the caller; the size is not 0.
    or_out_of_memory(unsafe { engine::reallocate(block, size) })
}

/// Exports functions that do the same under several names. `$args` is the list with its parentheses.
///
/// A fast path is given a section of its own, which begins at a line of the cache: where it lay by chance, some bytes more in another function
/// made a malloc and a free take a tenth longer. (Assembly comes before what is compiled.)
macro_rules! export {
    (in $section:literal, $($(#[$doc:meta])* $name:ident)* => $($function:tt)*) => {
        core::arch::global_asm!(
            concat!(".pushsection ", $section, ",\"ax\",@progbits"),
            ".p2align 6",
            ".popsection"
        );
        export! { $($(#[$doc])* #[unsafe(link_section = $section)] $name)* => $($function)* }
    };
    ($($(#[$doc:meta])* $name:ident)* => unsafe fn $args:tt -> $out:ty = $body:expr) => {$(
        $(#[$doc])*
        ///
        /// # Safety
        /// A pointer to a block is null or a live block of this allocator; a pointer to a result can be
        /// written.
        #[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
        pub unsafe extern "C" fn $name $args -> $out {
            // SAFETY: passed on to the caller.
            unsafe { $body }
        }
    )*};
    ($($(#[$doc:meta])* $name:ident)* => fn $args:tt -> $out:ty = $body:expr) => {$(
        $(#[$doc])*
        #[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
        pub extern "C" fn $name $args -> $out {
            $body
        }
    )*};
}
pub(crate) use export;

export! {
    in ".text.cairn_malloc",
    /// A block of `size` bytes; for size 0 a block of its own.
    malloc
    /// [`malloc`].
    __libc_malloc
    => fn(size: usize) -> *mut u8 = allocate(size)
}
export! {
    in ".text.cairn_free",
    /// Frees a block, or does nothing for null.
    free
    /// [`free`].
    cfree
    /// [`free`].
    __libc_free
    /// [`free`].
    __libc_cfree
    => unsafe fn(block: *mut u8) -> () = release(block)
}
export! {
    /// C23: [`free`] by one who knows the size; a wrong one ends the process with a message.
    free_sized
    => unsafe fn(block: *mut u8, size: usize) -> () = release_sized(block, size)
}
export! {
    /// C23: [`free`] by one who knows alignment and size; wrong ones end the process with a message.
    free_aligned_sized
    => unsafe fn(block: *mut u8, align: usize, size: usize) -> () = engine::free_sized_slow(block, size, align)
}
export! {
    /// A block of `count * size` bytes that read as zero.
    calloc
    /// [`calloc`].
    __libc_calloc
    => fn(count: usize, size: usize) -> *mut u8 = allocate_zeroed(count, size)
}
export! {
    /// Changes a block's size, and moves it if it must. As in glibc, size 0 frees and returns null.
    realloc
    /// [`realloc`].
    __libc_realloc
    => unsafe fn(block: *mut u8, size: usize) -> *mut u8 = resize(block, size)
}

/// [`realloc`] to `count * size` bytes; a product that overflows is out of memory.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub unsafe extern "C" fn reallocarray(block: *mut u8, count: usize, size: usize) -> *mut u8 {
    match count.checked_mul(size) {
        // SAFETY: passed on to the caller.
        Some(bytes) => unsafe { resize(block, bytes) },
        None => out_of_memory(),
    }
}

/// How many bytes the caller may use of a block; 0 for null.
///
/// # Safety
/// `block` is null or a live block of this allocator.
#[cfg_attr(not(cairn_inside), unsafe(no_mangle))]
pub unsafe extern "C" fn malloc_usable_size(block: *mut u8) -> usize {
    // SAFETY: not null, so live, says the caller.
    if block.is_null() { 0 } else { unsafe { engine::usable_size(block) } }
}

//! The doors through which a shadow reaches the heap: the C functions, as a table, so that the same steps run on the engine (in this
//! crate, which has no C names) and on the exported functions (the fuzz target), and the Rust door, which is called as it is.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_int;
use std::ptr;

use cairn_alloc::mode::{self, Mode};
use cairn_alloc::{Cairn, engine};

use super::random::Random;

type Block = *mut u8;

/// The C functions.
pub struct Door {
    pub malloc: fn(usize) -> Block,
    pub calloc: fn(usize, usize) -> Block,
    pub realloc: unsafe fn(Block, usize) -> Block,
    pub reallocarray: unsafe fn(Block, usize, usize) -> Block,
    pub free: unsafe fn(Block),
    pub free_sized: unsafe fn(Block, usize),
    pub free_aligned_sized: unsafe fn(Block, usize, usize),
    pub aligned_alloc: fn(usize, usize) -> Block,
    pub posix_memalign: unsafe fn(*mut Block, usize, usize) -> c_int,
    pub memalign: fn(usize, usize) -> Block,
    pub valloc: fn(usize) -> Block,
    pub pvalloc: fn(usize) -> Block,
    pub usable_size: unsafe fn(Block) -> usize,
    pub trim: fn(usize) -> c_int,
    pub new: fn(usize) -> Block,
    pub new_nothrow: fn(usize, *const u8) -> Block,
    pub new_aligned: fn(usize, usize) -> Block,
    pub new_aligned_nothrow: fn(usize, usize, *const u8) -> Block,
    pub delete: unsafe fn(Block),
    pub delete_sized: unsafe fn(Block, usize),
    pub delete_aligned: unsafe fn(Block, usize),
    pub delete_sized_aligned: unsafe fn(Block, usize, usize),
}

/// How a block was asked for. It is freed in a way that is allowed to its like.
#[derive(Clone, Copy, Debug)]
pub enum Owner {
    /// malloc, calloc, realloc.
    Plain { size: usize },
    /// aligned_alloc.
    Aligned { size: usize, align: usize },
    /// posix_memalign, memalign, valloc, pvalloc: freed by free only.
    Other { size: usize, align: usize },
    /// operator new; alignment 0 for the forms without one.
    New { size: usize, align: usize },
    /// The Rust door.
    Rust(Layout),
}

impl Owner {
    /// Size and alignment that were asked for, as the engine has them.
    pub fn request(&self) -> (usize, usize) {
        match *self {
            Owner::Plain { size } => (size, 16),
            Owner::Aligned { size, align } | Owner::Other { size, align } | Owner::New { size, align } => {
                (size, align.max(16))
            }
            Owner::Rust(layout) => (layout.size(), layout.align()),
        }
    }
}

impl Owner {
    /// The alignment that every mode owes.
    pub fn align(&self) -> usize {
        match *self {
            _ if mode::current() == Mode::Default => self.request().1,
            // What an object of that size may need, and no more: the block ends where its page does.
            Owner::Plain { size } | Owner::New { size, align: 0 } => {
                if size >= 16 {
                    16
                } else {
                    8
                }
            }
            Owner::Aligned { align, .. } | Owner::Other { align, .. } | Owner::New { align, .. } => align,
            Owner::Rust(layout) => layout.align(),
        }
    }
}

const ERRNO: c_int = 4711;

fn errno() -> *mut c_int {
    // SAFETY: the C library's errno location is valid for the calling thread at any time.
    unsafe { libc::__errno_location() }
}

/// Runs one call of the C door: success keeps errno, null means ENOMEM.
pub fn called(call: impl FnOnce() -> Block) -> Block {
    // SAFETY: the calling thread's own.
    unsafe { *errno() = ERRNO };
    let block = call();
    // SAFETY: as above.
    let after = unsafe { *errno() };
    assert_eq!(after, if block.is_null() { libc::ENOMEM } else { ERRNO }, "errno after {block:p}");
    block
}

impl Door {
    /// Frees a block in one of the ways that are allowed.
    ///
    /// # Safety
    /// `block` is live and was asked for as `owner` tells.
    pub unsafe fn release(&self, block: Block, owner: Owner, random: &mut Random) {
        // SAFETY: the calling thread's errno; the rest is the caller's contract.
        unsafe {
            *errno() = ERRNO;
            match owner {
                Owner::Plain { size } if random.once_in(4) => (self.free_sized)(block, size),
                Owner::Aligned { size, align } if random.once_in(2) => {
                    (self.free_aligned_sized)(block, align, size);
                }
                Owner::Plain { .. } | Owner::Aligned { .. } | Owner::Other { .. } => (self.free)(block),
                Owner::New { size, align: 0 } => match random.below(2) {
                    0 => (self.delete)(block),
                    _ => (self.delete_sized)(block, size),
                },
                Owner::New { size, align } => match random.below(2) {
                    0 => (self.delete_aligned)(block, align),
                    _ => (self.delete_sized_aligned)(block, size, align),
                },
                Owner::Rust(layout) => Cairn.dealloc(block, layout),
            }
            assert_eq!(*errno(), ERRNO, "free keeps errno");
        }
    }
}

/// The same functions on the engine itself.
pub static ENGINE: Door = Door {
    malloc,
    calloc: |count, size| match count.checked_mul(size) {
        Some(size) => given(engine::allocate_zeroed(size)),
        None => no_memory(),
    },
    realloc,
    reallocarray: |block, count, size| match count.checked_mul(size) {
        // SAFETY: the caller's contract.
        Some(size) => unsafe { realloc(block, size) },
        None => no_memory(),
    },
    free,
    free_sized,
    free_aligned_sized: |block, align, size| unsafe { engine::free_sized_slow(block, size, align) },
    aligned_alloc: |align, size| given(engine::allocate_aligned(align, size)),
    posix_memalign: |out, align, size| {
        let block = engine::allocate_aligned(align, size);
        // SAFETY: the caller's contract.
        unsafe { out.write(block) };
        if block.is_null() { libc::ENOMEM } else { 0 }
    },
    memalign: |align, size| given(engine::allocate_aligned(align, size)),
    valloc: |size| given(engine::allocate_aligned(cairn_core::os::page_size(), size)),
    pvalloc: |size| {
        let page = cairn_core::os::page_size();
        given(engine::allocate_aligned(page, size.max(1).next_multiple_of(page)))
    },
    // SAFETY: the caller's contract.
    usable_size: |block| unsafe { engine::usable_size(block) },
    trim: |keep| c_int::from(engine::trim(keep)),
    new: malloc,
    new_nothrow: |size, _| malloc(size),
    new_aligned: |size, align| given(engine::allocate_aligned(align, size)),
    new_aligned_nothrow: |size, align, _| given(engine::allocate_aligned(align, size)),
    delete: free,
    delete_sized: free_sized,
    delete_aligned: |block, _| unsafe { free(block) },
    delete_sized_aligned: |block, _, _| unsafe { free(block) },
};

fn no_memory() -> Block {
    // SAFETY: the calling thread's own.
    unsafe { *errno() = libc::ENOMEM };
    ptr::null_mut()
}

fn given(block: Block) -> Block {
    if block.is_null() { no_memory() } else { block }
}

fn malloc(size: usize) -> Block {
    given(super::allocate(size))
}

unsafe fn free(block: Block) {
    // SAFETY: the caller's contract.
    unsafe { super::free(block) }
}

unsafe fn free_sized(block: Block, size: usize) {
    // SAFETY: the caller's contract.
    unsafe {
        if !engine::free_sized_fast(block, size) {
            engine::free_sized_slow(block, size, 1);
        }
    }
}

unsafe fn realloc(block: Block, size: usize) -> Block {
    if block.is_null() {
        return malloc(size);
    }
    // SAFETY: the caller's contract.
    unsafe {
        if size == 0 {
            free(block);
            return ptr::null_mut();
        }
        given(engine::reallocate(block, size))
    }
}

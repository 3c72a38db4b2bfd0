//! What C says about malloc and its kin, once, over any heap behind a lock.
//!
//! | call | result |
//! |---|---|
//! | allocate 0 bytes | a block of its own, to be freed like any other |
//! | more than `PTRDIFF_MAX` bytes, or more than there is | null, ENOMEM |
//! | calloc whose product overflows | null, ENOMEM |
//! | free of null | nothing |
//! | realloc of null | malloc |
//! | realloc to 0 bytes | free, null |
//! | free or realloc of what is no live block | one line on stderr, SIGABRT |

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::{self, NonNull};

use cairn_core::lock::Lock;
use cairn_heap::{Config, Error, Fault, Heap, Placement, Source};

use crate::report;

/// What the faces need of a heap.
pub trait Blocks {
    /// A block for `bytes`, of the heap's own alignment.
    fn allocate(&mut self, bytes: Layout) -> Result<NonNull<u8>, Error>;

    /// The same, zeroed.
    fn allocate_zeroed(&mut self, bytes: Layout) -> Result<NonNull<u8>, Error>;

    /// Frees a block.
    ///
    /// # Safety
    /// If it is a live block of this heap, nobody uses it any more.
    unsafe fn free(&mut self, block: NonNull<u8>) -> Result<(), Fault>;

    /// Changes a block's size.
    ///
    /// # Safety
    /// If it is a live block of this heap, nobody refers to its contents. If the result is a block, the old one is gone.
    unsafe fn reallocate(&mut self, block: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Error>;
}

impl<S: Source, P: Placement, C: Config> Blocks for Heap<S, P, C> {
    #[inline]
    fn allocate(&mut self, bytes: Layout) -> Result<NonNull<u8>, Error> {
        Heap::allocate(self, bytes)
    }

    fn allocate_zeroed(&mut self, bytes: Layout) -> Result<NonNull<u8>, Error> {
        Heap::allocate_zeroed(self, bytes)
    }

    #[inline]
    unsafe fn free(&mut self, block: NonNull<u8>) -> Result<(), Fault> {
        // SAFETY: passed on to the caller.
        unsafe { self.deallocate(block) }
    }

    unsafe fn reallocate(&mut self, block: NonNull<u8>, bytes: usize) -> Result<NonNull<u8>, Error> {
        // SAFETY: passed on to the caller. Every face allocates with alignment 1.
        unsafe { Heap::reallocate(self, block, Layout::new::<u8>(), bytes) }
    }
}

/// A heap in a static, for one thread at a time.
pub struct Face<H> {
    lock: Lock,
    heap: UnsafeCell<H>,
}

// SAFETY: the heap is reached only by `with`, inside the lock, by one thread at a time; which thread is the same to it.
unsafe impl<H: Send> Sync for Face<H> {}

impl<H> Face<H> {
    /// A heap behind a lock.
    pub const fn new(heap: H) -> Self {
        Self { lock: Lock::new(), heap: UnsafeCell::new(heap) }
    }

    /// Does something with the heap, alone. It must not call the program (which might come back here).
    #[inline]
    pub fn with<R>(&self, work: impl FnOnce(&mut H) -> R) -> R {
        let _inside = self.lock.hold();
        // SAFETY: inside the lock this is the only reference; it ends before the lock is left.
        work(unsafe { &mut *self.heap.get() })
    }
}

impl<H: Blocks> Face<H> {
    /// `malloc`.
    #[inline]
    pub fn allocate(&self, bytes: usize) -> *mut u8 {
        let Ok(layout) = Layout::from_size_align(bytes, 1) else { return out_of_memory() };
        match self.with(|heap| heap.allocate(layout)) {
            Ok(block) => block.as_ptr(),
            Err(_) => out_of_memory(),
        }
    }

    /// `calloc`.
    pub fn allocate_zeroed(&self, count: usize, size: usize) -> *mut u8 {
        let Some(bytes) = count.checked_mul(size) else { return out_of_memory() };
        let Ok(layout) = Layout::from_size_align(bytes, 1) else { return out_of_memory() };
        match self.with(|heap| heap.allocate_zeroed(layout)) {
            Ok(block) => block.as_ptr(),
            Err(_) => out_of_memory(),
        }
    }

    /// `free`, called by the name `function`.
    ///
    /// # Safety
    /// If `block` is a live block of this heap, nobody uses it any more.
    #[inline]
    pub unsafe fn free(&self, function: &str, block: *mut u8) {
        let Some(block) = NonNull::new(block) else { return };
        // SAFETY: passed on to the caller.
        if let Err(fault) = self.with(|heap| unsafe { heap.free(block) }) {
            report::fault(function, &fault);
        }
    }

    /// `realloc`, called by the name `function`.
    ///
    /// # Safety
    /// As for [`free`](Self::free), unless the result is null and `size` is not 0: then the block is as it was.
    pub unsafe fn reallocate(&self, function: &str, block: *mut u8, size: usize) -> *mut u8 {
        let Some(block) = NonNull::new(block) else { return self.allocate(size) };
        if size == 0 {
            // SAFETY: passed on to the caller.
            unsafe { self.free(function, block.as_ptr()) };
            return ptr::null_mut();
        }
        // SAFETY: passed on to the caller.
        match self.with(|heap| unsafe { heap.reallocate(block, size) }) {
            Ok(block) => block.as_ptr(),
            Err(Error::Fault(fault)) => report::fault(function, &fault),
            Err(_) => out_of_memory(),
        }
    }
}

/// Fails with ENOMEM.
#[cold]
fn out_of_memory() -> *mut u8 {
    // SAFETY: the C library's errno location is valid for the calling thread at any time.
    unsafe { *libc::__errno_location() = libc::ENOMEM };
    ptr::null_mut()
}

//! A heap behind a lock of the user's choice.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use lock_api::{Mutex, MutexGuard, RawMutex};

use crate::config::{Config, Standard};
use crate::fault::{Error, Fault};
use crate::heap::Heap;
use crate::placement::Placement;
use crate::source::Source;

/// A heap that several threads (or interrupt handlers) share, behind a raw lock: a spin lock, a critical section, a lock of the
/// operating system. It is a [`GlobalAlloc`], and by features an `Allocator`. The lock must not allocate from this heap itself.
///
/// ```
/// use cairn_heap::{Heap, Locked, Region, TwoLevel};
///
/// const BYTES: usize = 4 << 20;
/// static mut ARENA: [u8; BYTES] = [0; BYTES];
///
/// #[global_allocator]
/// static HEAP: Locked<spin::Mutex<()>, Region, TwoLevel> = Locked::new(Heap::new(
///     // SAFETY: nobody else uses ARENA.
///     unsafe { Region::from_raw(&raw mut ARENA as *mut u8, BYTES) },
/// ));
///
/// let words: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
/// assert!(HEAP.inspect(|heap| heap.check()).unwrap().used_blocks > words.len());
/// ```
///
/// # Faults
/// These doors have no error value for a fault, so [`Config::fault`] ends the program, after the lock was left.
pub struct Locked<R: RawMutex, S: Source, P: Placement, C: Config = Standard> {
    heap: Mutex<R, Heap<S, P, C>>,
}

impl<R: RawMutex, S: Source, P: Placement, C: Config> Locked<R, S, P, C> {
    /// Puts a heap behind a lock.
    pub const fn new(heap: Heap<S, P, C>) -> Self {
        Self { heap: Mutex::const_new(R::INIT, heap) }
    }

    /// Looks at the heap while the lock is held: for audits, blocks and totals.
    ///
    /// If this heap is the program's global allocator, `look` must not allocate: the lock is held already.
    pub fn inspect<T>(&self, look: impl FnOnce(&Heap<S, P, C>) -> T) -> T {
        look(&self.heap.lock())
    }

    /// Enters the lock: for everything else that only a [`Heap`] can do.
    ///
    /// # Safety
    /// The heap is used, not replaced: what stands in its place when the lock is left is this heap, with all blocks of those who
    /// use it through the lock. If it is the program's global allocator, nothing is allocated meanwhile by other ways.
    pub unsafe fn lock(&self) -> MutexGuard<'_, R, Heap<S, P, C>> {
        self.heap.lock()
    }

    /// Gives a block, or none.
    pub(crate) fn allocate_block(&self, layout: Layout, zeroed: bool) -> Option<NonNull<u8>> {
        let mut heap = self.heap.lock();
        let block = if zeroed { heap.allocate_zeroed(layout) } else { heap.allocate(layout) };
        block.ok()
    }

    /// # Safety
    /// As for [`Heap::deallocate`].
    pub(crate) unsafe fn free_block(&self, payload: NonNull<u8>) {
        // SAFETY: the caller's contract. The lock is left at the end of the statement.
        let freed = unsafe { self.heap.lock().deallocate(payload) };
        if let Err(fault) = freed {
            fatal::<C>(&fault);
        }
    }

    /// # Safety
    /// As for [`Heap::reallocate`].
    pub(crate) unsafe fn resize_block(
        &self,
        payload: NonNull<u8>,
        old: Layout,
        size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's contract. The lock is left at the end of the statement.
        let resized = unsafe { self.heap.lock().reallocate(payload, old, size) };
        match resized {
            Ok(payload) => Some(payload),
            Err(Error::Fault(fault)) => fatal::<C>(&fault),
            Err(_) => None,
        }
    }
}

/// A global allocator must not unwind, and a panic in an `extern "C"` function can't: it ends the process.
#[cold]
extern "C" fn fatal<C: Config>(fault: &Fault) -> ! {
    C::fault(fault)
}

// SAFETY: the heap gives blocks of at least the layout's size at a multiple of its alignment, which belong to the caller until they
// are freed; the lock lets one thread in at a time; nothing unwinds (`fatal`).
unsafe impl<R: RawMutex, S: Source, P: Placement, C: Config> GlobalAlloc for Locked<R, S, P, C> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.allocate_block(layout, false).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.allocate_block(layout, true).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, payload: *mut u8, _layout: Layout) {
        if let Some(payload) = NonNull::new(payload) {
            // SAFETY: the contract of GlobalAlloc.
            unsafe { self.free_block(payload) }
        }
    }

    unsafe fn realloc(&self, payload: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(payload) = NonNull::new(payload) else { return ptr::null_mut() };
        // SAFETY: the contract of GlobalAlloc.
        unsafe { self.resize_block(payload, layout, size) }.map_or(ptr::null_mut(), NonNull::as_ptr)
    }
}

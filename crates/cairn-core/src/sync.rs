//! The one switch between the processor's atomics and those of the model checker [loom].
//!
//! Code that shares memory between threads takes its atomics, its cells and its pause from here and from
//! nowhere else. A build with `RUSTFLAGS="--cfg loom"` then runs *the code that ships* under every order of
//! events that the memory model allows; any other build sees `core` and nothing more.
//!
//! Two things differ under loom and show in the code that uses this module: its constructors are not
//! `const`, so a structure has a second `new` for it; and every object must be made inside `loom::model`.
//!
//! [loom]: https://docs.rs/loom

#[cfg(all(not(loom), target_has_atomic = "64"))]
pub use core::sync::atomic::AtomicU64;
#[cfg(not(loom))]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// Tells the processor, or the model, that this thread is waiting for another one.
#[inline]
pub fn pause() {
    #[cfg(not(loom))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// A cell whose contents may be changed through a shared reference.
///
/// The same as [`core::cell::UnsafeCell`], except that under loom every access is checked against those of
/// the other threads. Prefer [`with`](Self::with) and [`with_mut`](Self::with_mut), which tell the model how
/// long an access lasts; [`get`](Self::get) counts as a single write at the moment of the call.
#[derive(Debug, Default)]
#[cfg_attr(not(loom), repr(transparent))]
pub struct UnsafeCell<T> {
    #[cfg(not(loom))]
    inner: core::cell::UnsafeCell<T>,
    #[cfg(loom)]
    inner: loom::cell::UnsafeCell<T>,
}

impl<T> UnsafeCell<T> {
    /// A cell that holds `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self { inner: core::cell::UnsafeCell::new(value) }
    }

    /// A cell that holds `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self { inner: loom::cell::UnsafeCell::new(value) }
    }

    /// The address of the contents.
    #[cfg(not(loom))]
    #[inline]
    pub const fn get(&self) -> *mut T {
        self.inner.get()
    }

    /// The address of the contents; the model counts a write at this moment.
    #[cfg(loom)]
    pub fn get(&self) -> *mut T {
        self.inner.with_mut(|contents| contents)
    }

    /// Calls `read` with the address of the contents, to be read only.
    #[inline]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(loom))]
        return read(self.inner.get());
        #[cfg(loom)]
        return self.inner.with(read);
    }

    /// Calls `write` with the address of the contents, to be read or written.
    #[inline]
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(loom))]
        return write(self.inner.get());
        #[cfg(loom)]
        return self.inner.with_mut(write);
    }
}

//! The one switch between the processor's atomics and those of the model checkers [loom] and [shuttle].
//!
//! Code that shares memory between threads takes its atomics, its cells and its pause from here and from
//! nowhere else. A build with `RUSTFLAGS="--cfg loom"` then runs *the code that ships* under every order of
//! events that the memory model allows, one with `--cfg shuttle` under many random orders of many more threads (without
//! the reordering of memory); any other build sees `core` and nothing more. The models are in `crates/cairn-model`.
//!
//! Two things differ under a model and show in the code that uses this module: its constructors are not
//! `const`, so a structure has a second `new` for it; and every object must be made inside the model, which is what
//! [`shared!`](crate::shared) does to statics.
//!
//! # Orderings have names
//! What is stronger than `Relaxed` is written `ord!("name", Acquire)`. That is the ordering and nothing else, except in a build
//! for a model or with `--cfg cairn_mutants`: there the environment variable `CAIRN_MUTANT` may name one, which is
//! then weakened. The table of `cairn-model` says for each which test must then fail, so an ordering that nobody needs, or
//! that no test would miss, is found out.
//!
//! [loom]: https://docs.rs/loom
//! [shuttle]: https://docs.rs/shuttle

#[cfg(any(loom, shuttle, cairn_mutants))]
pub mod mutant;

#[cfg(all(not(any(loom, shuttle)), target_has_atomic = "64"))]
pub use core::sync::atomic::AtomicU64;
#[cfg(not(any(loom, shuttle)))]
pub use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub use loom::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(loom)]
pub use loom::sync::{Condvar, Mutex};
#[cfg(shuttle)]
pub use shuttle::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};
#[cfg(shuttle)]
pub use shuttle::sync::{Condvar, Mutex};

#[cfg(loom)]
pub use loom::lazy_static;
#[cfg(shuttle)]
pub use shuttle::lazy_static;

/// Private statics, which a model makes anew for each of its runs.
#[cfg(not(any(loom, shuttle)))]
#[macro_export]
macro_rules! shared {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $($(#[$attribute])* static $name: $type = $value;)*
    };
}

/// Private statics, which a model makes anew for each of its runs.
#[cfg(any(loom, shuttle))]
#[macro_export]
macro_rules! shared {
    ($($(#[$attribute:meta])* static $name:ident: $type:ty = $value:expr;)*) => {
        $($crate::sync::lazy_static! { $(#[$attribute])* static ref $name: $type = $value; })*
    };
}

/// An ordering and its name: `ord!("lock-enter", Acquire)`. See [`sync`](crate::sync).
#[cfg(not(any(loom, shuttle, cairn_mutants)))]
#[macro_export]
macro_rules! ord {
    ($name:literal, $order:ident) => {
        $crate::sync::Ordering::$order
    };
}

/// An ordering and its name: `ord!("lock-enter", Acquire)`. See [`sync`](crate::sync).
#[cfg(any(loom, shuttle, cairn_mutants))]
#[macro_export]
macro_rules! ord {
    ($name:literal, $order:ident) => {
        $crate::sync::mutant::weakened($name, $crate::sync::Ordering::$order)
    };
}

/// Whether a named fault is planted: never, except in a build for a model that was asked for it like for a weaker ordering.
#[cfg(not(any(loom, shuttle, cairn_mutants)))]
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        false
    };
}

/// Whether a named fault is planted: never, except in a build for a model that was asked for it like for a weaker ordering.
#[cfg(any(loom, shuttle, cairn_mutants))]
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        $crate::sync::mutant::is_asked_for($name)
    };
}

/// What a thread reads that alone changes the pointer: a plain read, which races with nothing (others only read), and which the
/// compiler may fold into another instruction. (Miri forgets on a plain read what a fence before the last write has ordered.)
///
/// # Safety
/// No other thread changes it.
#[inline(always)]
pub unsafe fn own<T>(pointer: &AtomicPtr<T>) -> *mut T {
    #[cfg(not(any(loom, shuttle, cairn_mutants)))]
    // SAFETY: the reference keeps it valid, and nobody writes meanwhile, says the caller.
    return unsafe { *pointer.as_ptr() };
    #[cfg(any(loom, shuttle, cairn_mutants))]
    return pointer.load(Ordering::Relaxed);
}

/// Keeps the compiler from moving memory accesses across this point; the processor may.
///
/// That is enough towards what stops this thread between two instructions, which sees its memory as it stands: a signal handler,
/// and the child of a `fork` by another thread. A model stops threads nowhere else than between two of its operations, so
/// there this is a fence between threads, and who looks from outside uses one too ([`look`]).
#[inline(always)]
pub fn compiler_fence(order: Ordering) {
    #[cfg(any(loom, shuttle, cairn_mutants))]
    mutant::pass();
    // Relaxed, which no fence can be, is how a weakened one arrives.
    if !matches!(order, Ordering::Relaxed) {
        #[cfg(not(any(loom, shuttle, cairn_mutants)))]
        core::sync::atomic::compiler_fence(order);
        #[cfg(any(loom, shuttle, cairn_mutants))]
        fence(order);
    }
}

/// The other side of [`compiler_fence`], for who finds a thread stopped between two instructions. Nothing outside of a model.
#[inline(always)]
pub fn look() {
    #[cfg(any(loom, shuttle, cairn_mutants))]
    fence(Ordering::Acquire);
}

/// Tells the processor, or the model, that this thread is waiting for another one.
#[inline]
pub fn pause() {
    #[cfg(not(any(loom, shuttle)))]
    core::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
    #[cfg(shuttle)]
    shuttle::thread::yield_now();
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

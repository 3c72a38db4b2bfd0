//! The doors: a heap behind a lock, as Rust's global allocator or as an `Allocator`.

#[cfg(feature = "lock")]
mod locked;

#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-04"))]
mod allocator;

#[cfg(feature = "lock")]
pub use locked::Locked;

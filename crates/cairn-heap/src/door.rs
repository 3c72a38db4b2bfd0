//! The doors: a heap behind a lock, as Rust's global allocator or as an `Allocator`.

#[cfg(feature = "lock")]
mod locked;

#[cfg(feature = "lock")]
pub use locked::Locked;

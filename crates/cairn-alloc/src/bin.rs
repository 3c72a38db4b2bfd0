//! A bin: the free blocks of one class that one thread keeps at hand.
//!
//! Two ways to build it stand behind this one type, until they are measured: an array of pointers, or a list through
//! the blocks (feature `bin-list`).

#[cfg(not(feature = "bin-list"))]
#[path = "bin_array.rs"]
mod imp;
#[cfg(feature = "bin-list")]
#[path = "bin_list.rs"]
mod imp;

pub use imp::{Bin, Cold};

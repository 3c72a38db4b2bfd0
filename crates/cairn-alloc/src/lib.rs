//! Cairn's process allocator.
//!
//! One engine ([`engine`]) behind two doors: [`Cairn`] for Rust programs (`#[global_allocator]`), and the C
//! names of the crate `cairn-malloc`. The rooms, from the door down:
//!
//! | room | the one thing it does |
//! |---|---|
//! | [`engine`] | allocate, free, reallocate: a fast half with one exit, and a slow half |
//! | [`mode`], `modes` | what the heap does beyond that, and where operations part for it |
//! | `guarded` | the modes debug and sampled: blocks on pages of their own |
//! | `thread`, `slot`, `bin` | a thread's bins, how it finds them, what happens when one misses |
//! | `registry`, `key`, `thread_value` | all threads' bins; how a thread's end is noticed |
//! | `center`, `transfer` | where bins of one class exchange blocks: batches, and slabs behind a short lock |
//! | `shelf` | where the small bins of many threads exchange a few blocks, one for each CPU |
//! | `mark`, `judge` | how a free block is known, and what is wrong with an address that can't be freed |
//! | `slab` | the blocks of one span, and which of them are free |
//! | `large` | blocks that are a span of their own and grow in place |
//! | `pages`, `decay` | the page heap: free spans, and when their pages go back to the kernel |
//! | `records` | memory for all of the above |
//! | `region`, `descriptor` | address space, and what is known of each granule |
//! | `fork`, `inside` | what a fork finds, and what it leaves to its child |
//! | [`class`] | the size classes |
//! | [`audit`] | looks whether all of the above is whole |
#![no_std]

#[cfg(test)]
extern crate std;

#[cfg(any(feature = "allocator-api2", feature = "allocator-api2-04"))]
mod allocator;
pub mod audit;
mod bin;
mod bits;
mod census;
mod center;
pub mod class;
mod decay;
mod descriptor;
pub mod engine;
mod fault;
mod fork;
mod global;
mod guarded;
mod hardened;
mod inside;
mod judge;
mod key;
mod large;
mod mark;
mod medium;
pub mod mode;
mod modes;
mod pages;
mod records;
#[cfg(test)]
#[path = "../../cairn-core/tests/refuse/mod.rs"]
mod refuse;
mod region;
mod registry;
pub mod settings;
mod shelf;
mod slab;
mod slot;
pub mod statistics;
mod thread;
mod thread_value;
mod transfer;

pub use global::Cairn;

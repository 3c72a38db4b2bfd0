//! The classic heap, done as well as it can be: boundary tags, replaceable placement policies, and an audit that names what is
//! wrong. `no_std`, without a dependency on an operating system unless a feature asks for it.
//!
//! ```
//! use cairn_heap::{Heap, Region, Segregated, Standard};
//! use core::alloc::Layout;
//!
//! let memory = Box::leak(vec![0; 1 << 20].into_boxed_slice());
//! let mut heap: Heap<Region, Segregated, Standard> = Heap::new(Region::new(memory));
//!
//! let layout = Layout::from_size_align(100, 16).unwrap();
//! let block = heap.allocate(layout).unwrap();
//! // SAFETY: the block is live, and nobody refers to it.
//! let block = unsafe { heap.reallocate(block, layout, 5000) }.unwrap();
//! assert_eq!(heap.check().unwrap().used_blocks, 1);
//! // SAFETY: as above.
//! unsafe { heap.deallocate(block) }.unwrap();
//! // SAFETY: a fault is an error value here; nothing is harmed.
//! assert!(unsafe { heap.deallocate(block) }.is_err());
//! ```
//!
//! Three things are chosen independently, at compile time:
//!
//! | | |
//! |---|---|
//! | a [`Source`] | where memory comes from: [`Region`], [`Regions`], with the feature `os` also `Break` and `Map` |
//! | a [`Placement`] | which free block to take: [`Segregated`], [`TwoLevel`], [`BestFitTree`], [`FirstFit`] and others |
//! | a [`Config`] | alignment, splitting, growing, coalescing, counting: [`Standard`], [`Deferred`], or your own |
//!
//! # The modules, lowest first
//! `header` (the bits of a header word) → `block` (arithmetic on addresses) → `space` (segments; from an address to a block) →
//! `placement`, `waiting` (the free index; what waits to be coalesced) → `heap` (allocate, free, reallocate, grow) → `audit`,
//! `blocks` (looking) → `door` (`GlobalAlloc`, `Allocator`). Beside them: `config`, `meter`, `fault`, `source`.
//!
//! # Cost
//! A live block costs one word; the smallest block is 32 bytes on 64 bits (24 at alignment 8, with policies that keep lists), 16 on
//! 32 bits. The heap's own structure has 100 bytes plus the policy's: 16 for a list, 3.7 KB for the bins of all sizes (less with fewer
//! `LEVELS`).
#![no_std]

#[cfg(test)]
extern crate std;

mod audit;
mod block;
mod blocks;
mod config;
mod door;
mod fault;
mod header;
mod heap;
mod meter;
mod placement;
mod source;
mod space;
mod waiting;

pub use audit::{Invariant, Totals, Violation};
pub use block::Block;
pub use blocks::{BlockInfo, Blocks, Entry, State};
pub use config::{Carve, Coalesce, Config, Deferred, Fast, Standard};
#[cfg(feature = "lock")]
pub use door::Locked;
pub use fault::{Error, Fault};
pub use heap::Heap;
pub use meter::{Meter, Tally};
pub use placement::{
    BestFit, BestFitTree, FirstFit, FirstFitAddress, NextFit, Place, Placement, Segregated, TwoLevel,
    WorstFit,
};
#[cfg(feature = "os")]
pub use source::{Break, Map};
pub use source::{Region, Regions, Source};
pub use space::Space;

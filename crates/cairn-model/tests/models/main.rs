//! The models, and the test that they fail when they have to. See the crate.

#[cfg(any(loom, shuttle, cairn_mutants))]
mod bins;
#[cfg(any(loom, shuttle))]
mod forks;
mod key;
mod lock;
#[cfg(any(loom, shuttle))]
mod modes;
mod mutants;
mod regions;
mod registry;
#[cfg(any(loom, shuttle))]
mod shelves;
mod transfer;

//! The models, and the test that they fail when they have to. See the crate.

#[cfg(any(loom, shuttle, cairn_mutants))]
mod bins;
mod key;
mod lock;
mod mutants;
mod regions;
mod registry;
mod transfer;

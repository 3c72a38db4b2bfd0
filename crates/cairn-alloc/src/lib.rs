//! Cairn's process allocator.
//!
//! One engine ([`engine`]) behind two doors: [`Cairn`] for Rust programs (`#[global_allocator]`), and the C
//! names of the crate `cairn-malloc`. The rooms, from the door down, are drawn in ARCHITECTURE.md.
#![no_std]

pub mod class;
pub mod engine;
pub mod settings;
pub mod statistics;

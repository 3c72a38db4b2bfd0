//! What is modelled: files of `cairn-alloc`, as they are.
#![allow(
    dead_code,
    missing_docs,
    clippy::new_without_default,
    reason = "cairn-alloc uses and documents them"
)]

#[path = "../../cairn-alloc/src/bin.rs"]
pub mod bin;
#[path = "../../cairn-alloc/src/key.rs"]
pub mod key;
#[path = "../../cairn-alloc/src/registry.rs"]
pub mod registry;
#[path = "../../cairn-alloc/src/transfer.rs"]
pub mod transfer;
#[path = "../../cairn-alloc/src/region/window.rs"]
pub mod window;

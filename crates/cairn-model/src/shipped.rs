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

#[cfg(any(loom, shuttle))]
#[path = "../../cairn-alloc/src/fork.rs"]
pub mod fork;
#[cfg(any(loom, shuttle))]
#[path = "../../cairn-alloc/src/thread/hands.rs"]
pub mod hands;
#[cfg(any(loom, shuttle))]
#[path = "../../cairn-alloc/src/inside.rs"]
pub mod inside;
/// The rest has statics, which no model but these two can make anew.
#[cfg(any(loom, shuttle))]
#[path = "../../cairn-alloc/src/thread/living.rs"]
pub mod living;
#[cfg(any(loom, shuttle))]
#[path = "../../cairn-alloc/src/mode.rs"]
pub mod mode;
#[cfg(any(loom, shuttle))]
#[path = "../../cairn-alloc/src/shelf.rs"]
pub mod shelf;

//! Measures allocators on the same work, side by side: what `cairn bench` does.
//!
//! ```text
//!   prepare ──► libcairn.so, the peers, cairn-workload
//!      ▼
//!   compare ──► schedule: A B C  C A B … one process per run
//!      │           │
//!      │           ▼
//!      │        cairn-workload launch: a small process that starts the measured one and reports its rusage
//!      │           │  LD_PRELOAD = the allocator; at the Rust door, the allocator is linked into the program
//!      │           ▼
//!      │        cairn-workload: one pattern of malloc and free; or a real program
//!      ▼
//!   statistics ──► tables, JSON, page, docs/benchmarks.md
//! ```
//! Nothing that is measured runs in this process, so it may use whatever libraries it likes.

pub mod atomics;
pub mod classes;
pub mod command;
pub mod compare;
pub mod count;
pub mod heaps;
pub mod prepare;
pub mod statistics;

pub use heaps::serve_if_asked;

//! Measures allocators on the same work, side by side.
//!
//! ```text
//!   cairn-bench compare ──► schedule: A B C A B C … one process per run
//!        │                     │
//!        │                     ▼
//!        │                  launch: a small process that starts the measured one and reports its rusage
//!        │                     │  LD_PRELOAD = the allocator
//!        │                     ▼
//!        │                  workload: one pattern of malloc and free, or a real program
//!        ▼
//!   statistics ──► tables, JSON, docs/benchmarks.md
//! ```
//!
//! Everything is one executable, so that `cargo run -p cairn-bench` never measures workloads of another build;
//! `cairn-workload` is a second door to the same workloads, for use under `perf` or `valgrind` by hand.
//! No allocator is linked in here: whatever `LD_PRELOAD` gives is what is measured.

pub mod classes;
pub mod compare;
pub mod count;
pub mod heaps;
pub mod launch;
pub mod statistics;
pub mod workload;

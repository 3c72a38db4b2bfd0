//! `cairn-workload-native`: the same workloads in a program whose global allocator is Cairn.
//!
//! Only `mix` uses the global allocator in its timed part, so it is the one workload that tells something here: what
//! the Rust door, which is told sizes and alignments and is inlined, gains over the C door. All others call the C
//! functions by design. Built with `--features native`, compared with `cairn-bench compare --native PATH`.

use cairn_bench::workload::Options;
use clap::Parser;

#[global_allocator]
static ALLOCATOR: cairn_alloc::Cairn = cairn_alloc::Cairn;

fn main() -> anyhow::Result<()> {
    Options::parse().run()
}

//! `cairn-workload`: one allocation pattern in one process, for use by hand under `perf`, `valgrind` or `strace`.
//!
//! `LD_PRELOAD=libcairn.so cairn-workload pairs --size 64` prints one line of JSON.

use cairn_bench::workload::Options;
use clap::Parser;

fn main() -> anyhow::Result<()> {
    Options::parse().run()
}

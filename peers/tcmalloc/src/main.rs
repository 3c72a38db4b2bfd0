//! The workloads with google/tcmalloc as the allocator of Rust's collections.

use tcmalloc_better::TCMalloc;

#[global_allocator]
static GLOBAL: TCMalloc = TCMalloc;

fn main() -> std::process::ExitCode {
    // As the crate's README tells every program to begin: the thread that gives memory back.
    TCMalloc::process_background_actions_thread();
    cairn_workload::main()
}

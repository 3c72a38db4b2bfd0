//! The workloads with Cairn as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: cairn_alloc::Cairn = cairn_alloc::Cairn;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

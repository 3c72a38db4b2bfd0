//! The workloads with mimalloc 2 as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

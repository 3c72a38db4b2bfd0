//! The workloads with jemalloc as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

//! The workloads with snmalloc as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: snmalloc_rs::SnMalloc = snmalloc_rs::SnMalloc;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

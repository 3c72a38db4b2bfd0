//! The workloads with rpmalloc as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: rpmalloc::RpMalloc = rpmalloc::RpMalloc;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

//! The workloads with google/tcmalloc as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: tcmalloc_better::TCMalloc = tcmalloc_better::TCMalloc;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

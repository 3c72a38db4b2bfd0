//! The workloads with ferroc as the allocator of Rust's collections.

#[global_allocator]
static GLOBAL: ferroc::Ferroc = ferroc::Ferroc;

fn main() -> std::process::ExitCode {
    cairn_workload::main()
}

//! `cairn-workload`: one allocation pattern in one process, under whatever allocator is preloaded; and the launcher of
//! measured processes.
//!
//! `LD_PRELOAD=libcairn.so cairn-workload pairs --size 64` prints one line of JSON. `cairn bench` starts the same program as
//! `cairn-workload launch …` between itself and each measured process, see `launch.rs`, and `cairn-workload ready …` before it, see
//! `ready.rs`.

fn main() -> std::process::ExitCode {
    // Before anything else is set up: the launcher must stay small, see its module.
    if let Some(status) = cairn_workload::launch::run_if_asked().or_else(cairn_workload::ready::run_if_asked)
    {
        std::process::exit(status);
    }
    cairn_workload::main()
}

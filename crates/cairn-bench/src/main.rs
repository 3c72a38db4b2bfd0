//! `cairn-bench`: compares allocators, counts instructions, runs one workload.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use cairn_bench::{classes, compare, count, heaps, launch, workload};

/// Compares Cairn with other allocators on the same workloads.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every workload on every allocator, interleaved, and print tables
    Compare(compare::Compare),
    /// Count instructions per operation under valgrind, where time is too noisy
    Count(count::Count),
    /// What other size classes would cost real programs, from recorded histograms
    Classes(classes::Classes),
    /// Utilisation and time of Cairn's classic heaps and other no_std heaps, on traces
    Heaps(heaps::Heaps),
    /// Run one workload in this process and print one line of JSON
    Workload(workload::Options),
}

fn main() -> ExitCode {
    // Before anything else is set up: the launcher must stay small, see its module.
    if let Some(status) = launch::run_if_asked() {
        std::process::exit(status);
    }
    if let Some(status) = heaps::serve_if_asked() {
        std::process::exit(status);
    }
    let done = match Program::parse().command {
        Command::Compare(options) => options.run(),
        Command::Count(options) => options.run(),
        Command::Classes(options) => options.run(),
        Command::Heaps(options) => options.run(),
        Command::Workload(options) => options.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

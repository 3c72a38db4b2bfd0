//! The workloads: one pattern of allocation each, one file each.
//!
//! A workload sets itself up, runs its timed part, and returns an [`Outcome`], which is printed as one line of
//! JSON. All blocks come from the C functions of the process ([`heap`]), so `LD_PRELOAD` decides what is
//! measured. Every workload takes sizes and counts with defaults that run 0.3 to 1.5 s on glibc. Those that use Rust's
//! collections take whatever global allocator the program has: the C functions in `cairn-workload`, a crate's in the programs
//! under `peers/`, which are this library behind another `#[global_allocator]`.
//!
//! [`launch`] is the process between `cairn bench` and a measured one, [`ready`] the one before it.

pub mod heap;
pub mod launch;
pub mod random;
pub mod ready;

mod one_thread;
mod rust;
mod threads;

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use serde::{Deserialize, Serialize};

/// What a workload reports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Its name on the command line.
    pub workload: String,
    /// What one operation is, in words.
    pub operation: String,
    /// How many operations the timed part did.
    pub operations: u64,
    /// How long the timed part took.
    pub elapsed_ns: u64,
    /// Their quotient.
    pub ns_per_operation: f64,
    /// Resident memory at named points, if the workload is about memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<Point>,
}

/// Resident memory at one point of a workload.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// Which moment this is.
    pub at: String,
    /// Bytes that the workload holds at that moment, in KiB.
    pub live_kib: u64,
    /// What the kernel counts as resident, in KiB.
    pub resident_kib: u64,
}

impl Outcome {
    /// The outcome of `operations` operations that took `elapsed` together.
    pub fn new(workload: &str, operation: &str, operations: u64, elapsed: Duration) -> Outcome {
        let elapsed_ns = elapsed.as_nanos() as u64;
        Outcome {
            workload: workload.to_owned(),
            operation: operation.to_owned(),
            operations,
            elapsed_ns,
            ns_per_operation: elapsed_ns as f64 / operations.max(1) as f64,
            points: Vec::new(),
        }
    }
}

/// What every workload can do.
trait Workload {
    /// Runs it once; `scale` multiplies its number of operations or rounds, not its sizes.
    fn run(&self, scale: Scale) -> Outcome;
}

/// A factor for operation counts.
#[derive(Clone, Copy, Debug)]
pub struct Scale(f64);

impl Scale {
    /// `count` times the factor, but at least one.
    fn of(self, count: u64) -> u64 {
        ((count as f64 * self.0).round() as u64).max(1)
    }
}

/// The command line of `cairn-workload`.
#[derive(Parser)]
#[command(
    name = "cairn-workload",
    version,
    about = "Run one allocation pattern and print one line of JSON",
    arg_required_else_help = true
)]
pub struct Options {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    which: Which,
}

#[derive(Args)]
struct Common {
    /// Multiply the number of operations or rounds by this (sizes and live data stay as they are)
    #[arg(long, global = true, default_value_t = 1.0, value_parser = positive)]
    scale: f64,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be a number above zero, such as 0.5".to_owned()),
    }
}

#[derive(Subcommand)]
enum Which {
    #[command(flatten)]
    OneThread(one_thread::Which),
    #[command(flatten)]
    Threads(threads::Which),
    #[command(flatten)]
    Rust(rust::Which),
}

impl Which {
    fn workload(&self) -> &dyn Workload {
        match self {
            Which::OneThread(which) => which.workload(),
            Which::Threads(which) => which.workload(),
            Which::Rust(which) => which.workload(),
        }
    }
}

/// Runs what the command line asks for: the whole of a workload program's `main`.
pub fn main() -> std::process::ExitCode {
    match Options::parse().run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn-workload: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}

impl Options {
    /// Runs the chosen workload and prints its outcome.
    pub fn run(&self) -> anyhow::Result<()> {
        let outcome = self.outcome();
        println!("{}", serde_json::to_string(&outcome)?);
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        self.which.workload().run(Scale(self.common.scale))
    }
}

#[cfg(test)]
mod tests;

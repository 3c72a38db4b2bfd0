//! Many short processes, one after the other.
//!
//! Models shell scripts, build tools, compilers: the life of a process is a few hundred allocations. Stresses
//! what an allocator does before the first of them: mapping tables, touching caches, starting threads, loading.

use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;

use crate::{Outcome, Scale, Workload};

#[derive(Args)]
pub struct Startup {
    /// The program that is started
    #[arg(long, default_value = "/bin/true")]
    program: String,
    /// Number of processes
    #[arg(long, default_value_t = 400)]
    ops: u64,
}

impl Workload for Startup {
    fn run(&self, scale: Scale) -> Outcome {
        let ops = scale.of(self.ops);
        let start = Instant::now();
        for _ in 0..ops {
            match Command::new(&self.program).stdin(Stdio::null()).stdout(Stdio::null()).status() {
                Ok(status) if status.success() => {}
                Ok(status) => fail(&format!("{} ended with {status}", self.program)),
                Err(error) => fail(&format!("can't start {}: {error}", self.program)),
            }
        }
        Outcome::new("startup", "one process started and ended", ops, start.elapsed())
    }
}

fn fail(what: &str) -> ! {
    eprintln!("cairn-workload: {what}");
    std::process::exit(1)
}

//! `atomics`: what the threads of a load share, counted instead of timed.
//!
//! ```text
//!   libcairn.so with --cfg cairn_count ──► each load once ──► one line of counts for each process
//!   libcairn.so as it ships            ──► each load once ──► CPU time of an operation
//!                                                   │
//!                                     counts: per thousand operations, and which line is full first
//! ```
//! A machine with two CPUs can't show by the clock what happens on one with 64. How often a line of memory is touched hardly depends
//! on the machine, and how long it takes to go from core to core is known; `counts` multiplies the two. docs/scaling.md argues with
//! the result.

mod counts;
mod tables;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use cairn_workload::{Outcome, launch};
use clap::Args;
use serde::Serialize;

use crate::compare::catalogue::{Kind, Load, patterns};
use crate::compare::markdown::write_between;
use crate::compare::measure::{failure, split};
use crate::compare::positive;
use crate::compare::results::machine;
use crate::prepare::{self, Counting, Progress};
use counts::Counts;

/// Seconds after which a run is ended: a build that counts is slow.
const TIMEOUT_S: u64 = 300;

/// The options of `cairn bench atomics`.
#[derive(Debug, Args)]
pub struct Atomics {
    /// Only loads whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Multiply the operations of each load by this; counts per operation hardly depend on it
    #[arg(long, default_value_t = 0.2, value_parser = positive)]
    scale: f64,
    /// Also the loads of 16 threads with other numbers of them, whatever this machine has of CPUs
    #[arg(long, value_name = "NUMBER,…", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(2..))]
    threads: Vec<u32>,
    /// One JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Also write the tables into this file, between its two marker lines
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// What was counted of one load.
#[derive(Debug, Serialize)]
struct Counted {
    load: String,
    /// What an operation is.
    operation: String,
    operations: u64,
    /// CPU time of an operation, all threads together, on the library as it ships.
    cpu_ns: f64,
    counts: Counts,
}

impl Atomics {
    /// Builds what is needed, runs the loads, and prints tables.
    ///
    /// # Errors
    /// If nothing is chosen, or something doesn't build. A load that fails is named and left out.
    pub fn run(&self) -> anyhow::Result<()> {
        let loads = self.loads();
        ensure!(!loads.is_empty(), "no such load of many threads; see: cairn bench list");
        let built = prepare::counting(&Progress::on_stderr())?;
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for load in &loads {
            eprintln!("cairn: bench: counting {}", load.name);
            match count(load, &built) {
                Ok(counted) => done.push(counted),
                Err(error) => failed.push(format!("{}: {error:#}", load.name)),
            }
        }
        for line in &failed {
            eprintln!("cairn: bench: left out: {line}");
        }
        if let Some(file) = &self.markdown {
            write_between(file, &self.page(&done, &failed))?;
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&done)?);
        } else {
            tables::print(&done);
        }
        Ok(())
    }

    fn loads(&self) -> Vec<Load> {
        let wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()));
        let shared = || patterns(self.scale).into_iter().filter(|load| load.kind == Kind::ManyThreads);
        let more = self
            .threads
            .iter()
            .flat_map(|&threads| shared().filter_map(move |load| with_threads(load, threads)));
        shared().chain(more).filter(|load| wanted(&load.name)).collect()
    }

    fn page(&self, done: &[Counted], failed: &[String]) -> String {
        let command: Vec<String> = std::env::args().skip(1).collect();
        let mut page = format!(
            "Machine: {}. Command: `cairn {}`.\n{}",
            machine(),
            command.join(" "),
            tables::markdown(done)
        );
        failed.iter().for_each(|line| page += &format!("\nLeft out: {line}\n"));
        page
    }
}

/// A load of 16 threads with another number of them; none if it is not one, or its words don't say so.
fn with_threads(mut load: Load, threads: u32) -> Option<Load> {
    load.name = format!("{}-{threads}", load.name.strip_suffix("-16")?);
    let (at, number) = load.words.windows(2).enumerate().find_map(|(at, pair)| match pair {
        [option, _] if option == "--threads" => Some((at, threads)),
        [option, _] if option == "--pairs" => Some((at, threads / 2)),
        _ => None,
    })?;
    load.words[at + 1] = number.to_string();
    Some(load)
}

/// Runs a load on both libraries.
fn count(load: &Load, built: &Counting) -> anyhow::Result<Counted> {
    let plain = run(load, &built.workload, &built.plain)?;
    let counting = run(load, &built.workload, &built.counting)?;
    let counts = Counts::read(&counting.complaint).context("the library told no counts")?;
    Ok(Counted {
        load: load.name.clone(),
        operation: counting.outcome.operation,
        operations: counting.outcome.operations,
        cpu_ns: plain.cpu_ns as f64 / plain.outcome.operations.max(1) as f64,
        counts,
    })
}

/// What one run gave.
struct Run {
    outcome: Outcome,
    cpu_ns: u64,
    complaint: String,
}

fn run(load: &Load, workload: &Path, library: &Path) -> anyhow::Result<Run> {
    let output = Command::new(workload)
        .args([launch::WORD, &TIMEOUT_S.to_string()])
        .args(&load.settings)
        .arg(format!("LD_PRELOAD={}", library.display()))
        .arg("--")
        .arg(workload)
        .args(&load.words)
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't start the launcher {}", workload.display()))?;
    let (report, printed) = split(&output.stdout).context("the launcher gave no report")?;
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    if let Some(failure) = failure(&report, &complaint, Some(library)) {
        bail!(failure);
    }
    let outcome = serde_json::from_slice(printed).context("the load told no outcome")?;
    Ok(Run { outcome, cpu_ns: report.cpu_ns(), complaint })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_of_16_threads_can_have_more() {
        let with = |name: &str| {
            let load = patterns(1.0).into_iter().find(|load| load.name == name).unwrap();
            with_threads(load, 64).map(|load| (load.name, load.words.join(" ")))
        };
        let (name, words) = with("producer-consumer-16").unwrap();
        assert_eq!(name, "producer-consumer-64");
        assert!(words.contains("--pairs 32"), "{words}");
        let (name, words) = with("larson-16").unwrap();
        assert_eq!(name, "larson-64");
        assert!(words.contains("--threads 64"), "{words}");
        assert_eq!(with("larson-2"), None);
        assert_eq!(with("chains"), None);
    }
}

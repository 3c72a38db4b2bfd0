//! `compare`: every workload on every allocator, in one interleaved session.
//!
//! [`peers`] finds the allocators, [`catalogue`] and [`programs`] the loads, [`schedule`] runs them,
//! [`measure`] is one run and [`disturbance`] its judge, [`results`] is what is kept, [`ratios`] compares it,
//! [`tables`] and [`markdown`] print it.

pub mod catalogue;
pub mod disturbance;
pub mod markdown;
pub mod measure;
pub mod peers;
pub mod programs;
pub mod ratios;
pub mod results;
pub mod schedule;
pub mod tables;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;

use peers::Peer;
use results::Results;

/// The options of `cairn-bench compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// How often each workload runs on each allocator [default: 5, with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// A quarter of the operations and two runs: to see that everything works, not to judge by
    #[arg(long)]
    quick: bool,
    /// Only loads whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only these allocators, by name, separated by commas (the reference, glibc, should be among them)
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    peers: Vec<String>,
    /// More allocators; a name that begins with "cairn" counts as one of ours, any other as a peer
    #[arg(long, value_delimiter = ',', value_name = "NAME=PATH,…")]
    libs: Vec<Peer>,
    /// Where libcairn.so is, if not where the build command puts it
    #[arg(long, value_name = "PATH")]
    cairn: Option<PathBuf>,
    /// Write every single run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the tables between the markers of this file (docs/benchmarks.md)
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print the results of an earlier session (a file written by --json), and run nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["runs", "quick", "only", "peers", "libs", "cairn", "json"])]
    from: Option<PathBuf>,
    /// How often a disturbed run is repeated before its least disturbed attempt is kept
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// Seconds after which a run is ended; that is a result
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// List the loads and allocators, and run nothing
    #[arg(long)]
    list: bool,
}

impl Compare {
    /// Runs the comparison and prints its tables.
    pub fn run(&self) -> anyhow::Result<()> {
        if let Some(file) = &self.from {
            return self.print(&read_results(file)?);
        }
        let found = peers::find(self.cairn.as_deref(), &self.libs, &self.peers)?;
        for missing in &found.missing {
            eprintln!("cairn-bench: left out: {missing}");
        }
        let scratch = tempfile::tempdir().context("can't make a directory for the inputs of the programs")?;
        let scale = if self.quick { 0.25 } else { 1.0 };
        let mut loads = catalogue::patterns(scale);
        let (programs, skipped) = programs::prepare(scratch.path())?;
        loads.extend(programs);
        loads.retain(|load| {
            self.only.is_empty() || self.only.iter().any(|word| load.name.contains(word.as_str()))
        });
        for skipped in &skipped {
            eprintln!("cairn-bench: skipped: {skipped}");
        }
        ensure!(!loads.is_empty(), "no load has a name that contains {}; see --list", self.only.join(" or "));
        if self.list {
            list(&loads, &found.peers);
            return Ok(());
        }
        let plan = schedule::Plan {
            workload: peers::workload_program()?,
            runs: self.runs.unwrap_or(if self.quick { 2 } else { 5 }),
            retries: self.retries,
            timeout: Duration::from_secs(self.timeout),
        };
        let mut results = Results::new(plan.runs, scale, &found, skipped);
        for load in &loads {
            results.loads.push(schedule::run(load, &found.peers, &plan)?);
            tables::print_load(results.loads.last().expect("it was just added"), &results.allocators());
            // Written after each load, so that an interrupted session keeps what it has.
            if let Some(file) = &self.json {
                write_results(file, &results)?;
            }
        }
        self.print_end(&results)
    }

    fn print(&self, results: &Results) -> anyhow::Result<()> {
        for load in &results.loads {
            tables::print_load(load, &results.allocators());
        }
        self.print_end(results)
    }

    fn print_end(&self, results: &Results) -> anyhow::Result<()> {
        tables::print_overall(results);
        if let Some(file) = &self.markdown {
            markdown::write(file, results)?;
            eprintln!("cairn-bench: the tables are in {}", file.display());
        }
        Ok(())
    }
}

fn list(loads: &[catalogue::Load], peers: &[Peer]) {
    println!("loads:");
    for load in loads {
        println!("  {:<20} {}", load.name, load.about);
    }
    println!("allocators:");
    for peer in peers {
        match &peer.library {
            Some(file) => println!("  {:<20} {}", peer.name, file.display()),
            None => println!("  {:<20} nothing is preloaded", peer.name),
        }
    }
}

fn read_results(file: &Path) -> anyhow::Result<Results> {
    let text = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a file that --json of this version wrote", file.display()))
}

fn write_results(file: &Path, results: &Results) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(results)?;
    std::fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
}

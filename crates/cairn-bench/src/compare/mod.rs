//! `compare`: every workload on every allocator, in one interleaved session.
//!
//! ```text
//!   peers: the allocators ─┐
//!   catalogue, programs:   ├─► schedule ─► measure: one run ─► disturbance, distance: was it quiet?
//!   the loads ─────────────┘       │
//!                                  ▼
//!                    results: every run, as JSON
//!                                  │
//!        ratios ─► standing: won, lost, in doubt ─► bars: what has to be reached
//!           └────► chance: how much of a mean is luck
//!                                  │
//!                              sections ─► tables (terminal), markdown, page (HTML)
//! ```

pub mod bars;
pub mod catalogue;
pub mod chance;
pub mod distance;
pub mod disturbance;
pub mod list;
pub mod markdown;
pub mod measure;
pub mod page;
pub mod peers;
pub mod programs;
pub mod progress;
pub mod ratios;
pub mod report;
pub mod results;
pub mod schedule;
pub mod sections;
pub mod standing;
pub mod tables;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;

use crate::count;
use catalogue::{Load, quick};
use peers::{Choice, Found, Peer};
use results::Results;
use schedule::Plan;

/// The options of `cairn bench`.
#[derive(Debug, Args)]
pub struct Compare {
    /// An overview within five minutes (once all is built): a choice of allocators and loads, a tenth of the work, two runs
    #[arg(long)]
    quick: bool,
    /// Only loads whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// How often each load runs on each allocator [default: 5, with --quick 2]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Multiply the operations of each load by this [default: 1, with --quick 0.1]
    #[arg(long, value_parser = positive)]
    scale: Option<f64>,
    /// How often a disturbed run is repeated before its least disturbed attempt is kept
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// Seconds after which a run is ended; that is a result [default: 120, with --quick 20]
    #[arg(long)]
    timeout: Option<u64>,
    /// At the end, count the instructions of the loads of one thread under valgrind too: this takes long
    #[arg(long)]
    count: bool,
    /// Write every single run to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    outputs: report::Outputs,
}

pub(crate) fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be a number above zero, such as 0.5".to_owned()),
    }
}

/// A folder for the inputs of the programs; it is removed at the end.
fn scratch() -> anyhow::Result<tempfile::TempDir> {
    tempfile::tempdir().context("can't make a directory for the inputs of the programs")
}

impl Compare {
    /// Runs the comparison and prints its report.
    ///
    /// # Errors
    /// A sentence for whoever typed it. What goes wrong in a measured process is a result and no error.
    pub fn run(&self) -> anyhow::Result<()> {
        if self.count {
            count::check_valgrind()?;
        }
        let scratch = scratch()?;
        let scale = self.scale.unwrap_or(if self.quick { quick::SCALE } else { 1.0 });
        // Before anything is built: a mistyped name should not take minutes.
        let (loads, mut left_out) = self.loads(scratch.path(), scale)?;
        let mut found = self.choice.find()?;
        if self.quick && self.choice.peers.is_empty() {
            left_out.extend(quick::choose_peers(&mut found.peers, &self.choice.libs));
        }
        for line in found.missing.iter().chain(&left_out) {
            eprintln!("cairn: bench: left out: {line}");
        }
        let plan = self.plan(&found)?;
        let mut results = Results::new(plan.runs, scale, &found, left_out);
        self.measure(&loads, &found.peers, &plan, &mut results)?;
        if self.count {
            for load in loads.iter().filter(|load| count::can_be_counted(load)) {
                results.instructions.push(count::count(&load.name, &found.peers, &plan.workload));
                self.keep(&results)?;
            }
        }
        tables::print_end(&results);
        self.outputs.write(&results)?;
        self.say_what_next();
        Ok(())
    }

    /// The chosen loads, and a sentence about each that is left out.
    fn loads(&self, scratch: &std::path::Path, scale: f64) -> anyhow::Result<(Vec<Load>, Vec<String>)> {
        let quick = self.quick && self.only.is_empty();
        let wanted =
            |name: &str| self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()));
        let mut loads = catalogue::patterns(scale);
        loads.retain(|load| wanted(&load.name));
        // Their inputs take a moment to be made: only for those that are run.
        let (programs, mut left_out) =
            programs::prepare(scratch, scale, |name| wanted(name) && (!quick || quick::has_program(name)))?;
        loads.extend(programs);
        if quick {
            left_out.extend(quick::choose_loads(&mut loads));
        }
        let why = left_out.first().map_or(String::new(), |line| format!(" (left out: {line})"));
        ensure!(
            !loads.is_empty(),
            "no load has a name that contains {}{why}; see: cairn bench list",
            self.only.join(" or ")
        );
        Ok((loads, left_out))
    }

    fn plan(&self, found: &Found) -> anyhow::Result<Plan> {
        let runs = self.runs.unwrap_or(if self.quick { quick::RUNS } else { 5 });
        let timeout = if self.quick { quick::TIMEOUT } else { Duration::from_secs(120) };
        Ok(Plan {
            workload: found.workload()?.to_owned(),
            runs,
            // At most as many again: a load that is in doubt after that is so close that it hardly matters.
            extra_runs: if self.quick || runs == 1 { 0 } else { runs },
            retries: if self.quick { self.retries.min(1) } else { self.retries },
            timeout: self.timeout.map_or(timeout, Duration::from_secs),
            deadline: self.quick.then(|| Instant::now() + quick::LIMIT),
        })
    }

    /// Runs all loads, each with its table as soon as it is through.
    fn measure(
        &self,
        loads: &[Load],
        peers: &[Peer],
        plan: &Plan,
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let steps: Vec<u64> = loads.iter().map(|load| plan.steps(load, peers)).collect();
        let progress = progress::Progress::new(steps.iter().sum());
        let mut places = distance::Places::default();
        let mut done = 0;
        for (load, steps) in loads.iter().zip(steps) {
            done += steps;
            match schedule::run(load, peers, plan, &progress, &mut places)? {
                Some(result) => {
                    progress.suspend(|| tables::print_load(&result, &results.allocators()));
                    results.loads.push(result);
                    // Written after each load, so that an interrupted session keeps what it has.
                    self.keep(results)?;
                }
                None => results.left_out.push(format!("{}: the time was up", load.name)),
            }
            progress.load_done(&load.name, done);
        }
        progress.finish();
        results.loads.sort_by_key(|load| load.kind);
        self.keep(results)
    }

    fn keep(&self, results: &Results) -> anyhow::Result<()> {
        self.json.as_deref().map_or(Ok(()), |file| report::write(file, results))
    }

    fn say_what_next(&self) {
        match &self.json {
            Some(file) if self.outputs.html.is_none() => {
                eprintln!("Next: cairn bench report {} --html page.html", file.display());
            }
            Some(_) => {}
            None => eprintln!("To keep a session: cairn bench --json run.json --html run.html"),
        }
    }
}

//! `heaps`: the classic heaps of cairn-heap against the heaps of other `no_std` crates and glibc, on the same traces.
//!
//! ```text
//!   trace ──► script (slots, known sizes) ──► measure ──► results ──► report
//!                                               │
//!             arena ──► subject: peers, ours ◄──┘  replay: place (extent), run (time)
//! ```
//!
//! The timed loop is one function ([`replay::run`]), compiled once for each heap. Only the heaps are in it.
//! What the figures mean is written in docs/benchmarks-heap.md.

pub mod arena;
pub mod measure;
pub mod ours;
pub mod peers;
pub mod replay;
pub mod report;
pub mod results;
pub mod script;
pub mod subject;
pub mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_lab::generate::Recipe;
use cairn_lab::trace::Trace;
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use indicatif::ProgressBar;

use measure::{Contender, Plan};
use results::{HeapName, Results};
use script::Script;

pub use peers::glibc::serve_if_asked;

/// The options of `cairn bench heaps`.
#[derive(Debug, Args)]
pub struct Heaps {
    /// Traces: .rep files (also .rep.gz), names of recorded ones (--list), or shapes as NAME[,ops=N][,seed=N] [default: all shapes and the recorded traces]
    traces: Vec<String>,
    /// Three rounds, no search for the smallest arena, no heap over mmap: a first look
    #[arg(long)]
    quick: bool,
    /// Rounds of timing, in which the heaps take turns [default: 7, with --quick 3]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Only heaps whose name contains one of these
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    heaps: Vec<String>,
    /// Leave out heaps whose name contains one of these
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    without: Vec<String>,
    /// The alignment of all blocks
    #[arg(long, default_value_t = 16, value_parser = parse_align)]
    align: usize,
    /// Print everything as JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Write the tables between the markers of this file (docs/benchmarks-heap.md)
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Milliseconds after which a timed replay ends; what is timed by then counts, marked with ≥
    #[arg(long, default_value_t = 2000)]
    limit: u64,
    /// List the heaps and traces, and run nothing
    #[arg(long)]
    list: bool,
}

impl Heaps {
    /// Runs the comparison and prints its tables.
    pub fn run(&self) -> anyhow::Result<()> {
        let contenders = self.contenders()?;
        let traces = self.traces()?;
        if self.list {
            list(&contenders, &traces);
            return Ok(());
        }
        let plan = Plan {
            align: self.align,
            rounds: self.rounds.unwrap_or(if self.quick { 3 } else { 7 }) as usize,
            smallest: !self.quick,
            limit: Duration::from_millis(self.limit),
        };
        let mut results = Results {
            machine: crate::compare::results::machine(),
            align: plan.align,
            rounds: plan.rounds,
            heaps: contenders.iter().map(name).collect(),
            rows: Vec::new(),
        };
        let bar = ProgressBar::new(traces.len() as u64);
        bar.enable_steady_tick(Duration::from_millis(200));
        for trace in &traces {
            let script = Script::of(trace, plan.align);
            let tell = |what: &str| bar.set_message(what.to_owned());
            bar.set_style(indicatif::ProgressStyle::with_template("{pos}/{len} {elapsed} {wide_msg}")?);
            let row = measure::measure(&script, &contenders, &plan, &tell)
                .with_context(|| format!("on the trace {}", trace.name))?;
            if !self.json {
                bar.suspend(|| {
                    println!("\n{}", report::row_title(&row));
                    println!("{}", report::row_table(&results, &row, UTF8_FULL_CONDENSED));
                });
            }
            results.rows.push(row);
            bar.inc(1);
        }
        bar.finish_and_clear();
        self.print(&results)
    }

    fn print(&self, results: &Results) -> anyhow::Result<()> {
        if self.json {
            let means = results.means();
            let all = serde_json::json!({ "results": results, "means": means, "verdict": results.verdict() });
            println!("{}", serde_json::to_string_pretty(&all)?);
        } else {
            println!("\nMeans over {} traces", results.rows.len());
            println!("{}", report::means_table(results, UTF8_FULL_CONDENSED));
            for line in report::end(results) {
                println!("{line}");
            }
        }
        if let Some(file) = &self.markdown {
            let command: Vec<String> = std::env::args().skip(1).collect();
            let command = format!("cargo run --release -- {}", command.join(" "));
            crate::compare::markdown::write_between(file, &report::markdown(results, &command))?;
            eprintln!("cairn: bench: the tables are in {}", file.display());
        }
        Ok(())
    }

    fn contenders(&self) -> anyhow::Result<Vec<Contender>> {
        let named = |words: &[String], name: &str| words.iter().any(|word| name.contains(word.as_str()));
        let mut all = table::contenders(self.align);
        all.retain(|heap| {
            (self.heaps.is_empty() || named(&self.heaps, heap.name))
                && !named(&self.without, heap.name)
                && !(self.quick && heap.what == "mmap")
        });
        ensure!(!all.is_empty(), "no heap is left to measure; see --list for their names");
        Ok(all)
    }

    fn traces(&self) -> anyhow::Result<Vec<Trace>> {
        if self.traces.is_empty() {
            return all_traces();
        }
        self.traces.iter().map(|word| trace(word)).collect()
    }
}

/// A file, if there is one, or a recorded trace of the repository, or else a shape.
fn trace(word: &str) -> anyhow::Result<Trace> {
    let path = Path::new(word);
    if path.exists() {
        return Ok(Trace::open(path)?);
    }
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../cairn-lab/traces/{word}.rep.gz"));
    if recorded.exists() {
        return Ok(Trace::open(&recorded)?);
    }
    let recipe = Recipe::parse(word)
        .map_err(|reason| anyhow::anyhow!("'{word}' is neither a file nor a shape: {reason}"))?;
    Ok(recipe.make())
}

/// All shapes as they are by default, and the recorded traces of the repository.
///
/// # Errors
/// If the folder of recorded traces or one of them can't be read.
pub fn all_traces() -> anyhow::Result<Vec<Trace>> {
    let mut traces: Vec<Trace> = Recipe::all().map(|recipe| recipe.make()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cairn-lab/traces");
    let entries =
        std::fs::read_dir(&folder).with_context(|| format!("can't read the folder {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.retain(|file| {
        let name = file.to_string_lossy();
        name.ends_with(".rep") || name.ends_with(".rep.gz")
    });
    files.sort();
    for file in files {
        traces.push(Trace::open(&file)?);
    }
    Ok(traces)
}

fn parse_align(word: &str) -> Result<usize, String> {
    match word {
        "8" => Ok(8),
        "16" => Ok(16),
        _ => Err("blocks can be aligned to 8 or 16".to_owned()),
    }
}

fn name(heap: &Contender) -> HeapName {
    HeapName { name: heap.name.to_owned(), what: heap.what.to_owned(), ours: heap.ours }
}

fn list(contenders: &[Contender], traces: &[Trace]) {
    println!("heaps:");
    for heap in contenders {
        println!("  {:<36} {}", heap.name, heap.what);
    }
    println!("traces:");
    for trace in traces {
        println!(
            "  {:<20} {:>9} operations, at most {:>10} bytes live",
            trace.name,
            trace.ops.len(),
            trace.peak_payload()
        );
    }
}

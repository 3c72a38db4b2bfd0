//! `cairn replay`: traces on any set of placement policies, with the figures side by side.
//!
//! Every trace is read and checked before the first is run. The figures go to stdout, all else to stderr.

mod inputs;
mod progress;
mod report;

use std::path::{Path, PathBuf};

use cairn_lab::generate::SHAPES;
use cairn_lab::picture::png::png;
use cairn_lab::policies::{POLICIES, Policy, SETUPS, Setup};
use cairn_lab::replay::{Options, Report, Score, means, plot, replay, work};
use cairn_lab::trace::Trace;

use crate::failure::{Failure, OURS, USAGE};

pub use inputs::{Inputs, heaps};
pub use progress::Progress;
pub use report::heap_name;

/// Exit status: a heap did something wrong.
pub const WRONG: i32 = 1;

/// `cairn replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct Replay {
    #[command(flatten)]
    inputs: Inputs,
    /// Placement policies to run, separated by commas; all unless given
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    policy: Vec<String>,
    /// Configurations of the heap, separated by commas
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', default_value = "standard")]
    config: Vec<String>,
    /// Timed runs of each heap, of which the fastest counts
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// No further timed run begins after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0, value_parser = positive)]
    seconds: f64,
    /// The score's w: what utilisation counts, from 0 to 1
    #[arg(long, value_name = "W", default_value_t = 0.6, value_parser = part)]
    score_weight: f64,
    /// The score's R: operations a second that earn all of the throughput's part
    #[arg(long, value_name = "R", default_value_t = 600_000.0, value_parser = positive)]
    score_reference: f64,
    /// Print a JSON document instead of tables
    #[arg(long)]
    json: bool,
    /// Draw live bytes and heap extent over time into FILE, which ends in .svg or .png (may be given twice)
    #[arg(long, value_name = "FILE")]
    plot: Vec<PathBuf>,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value > 0.0 => Ok(value),
        _ => Err("it must be a number above 0".into()),
    }
}

fn part(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("it must be a number from 0 to 1".into()),
    }
}

/// What the names of the laboratory mean; also used by `cairn check`.
pub fn names() -> String {
    let mut text = String::new();
    let mut list = |title: &str, rows: &mut dyn Iterator<Item = (&str, &str)>| {
        text += &format!("\n{title}:\n");
        for (name, what) in rows {
            text += &format!("  {name:<18} {what}\n");
        }
    };
    list("Policies", &mut POLICIES.iter().map(|policy| (policy.name, policy.what)));
    list("Configurations", &mut SETUPS.iter().map(|(name, _, what)| (*name, *what)));
    list("Shapes for --generate", &mut SHAPES.iter().map(|shape| (shape.name, shape.what)));
    text
}

const COLUMNS: &str = "\
Each heap runs each trace once with everything checked (every block's alignment, place and contents, no two live
blocks overlap), then some times for the clock with nothing checked.

Columns:
  heap       the greatest extent of the heap: bytes taken from its source
  util       utilisation: peak of live payload / greatest extent
  perfect    the bound of perfect reuse / greatest extent; 100 % can't be beaten with these headers
  ns/op      nanoseconds for an operation, and Mop/s, million operations a second: the fastest timed run
  splits     free blocks cut in two
  joins      neighbours coalesced
  search     free blocks looked at in a search of the free index, on average
  internal   the part of the heap in live blocks that is no payload (headers, rounding), and
  external   the part that is free: both when the heap first had its greatest extent
  pages      pages of memory that were written to
  score      the malloc-lab score: 100 * (w * util + (1 - w) * min(1, T / R)), T operations a second, w = 0.6 and
             R = 600,000 unless changed by --score-weight and --score-reference
Bounds: 'no reuse' is the sum of all blocks that were ever allocated (one that grows is a new one), 'perfect reuse' the
greatest sum of the blocks that are live at one time, both with headers, rounding and smallest block.
Means: of utilisation and fragmentation over the traces; throughput is all operations over all seconds.
";

/// The form of a trace.
const FORM: &str = "
A trace is a text file, as malloc-lab courses have it:
  20000        suggested heap size (not used)
  2            number of ids: 0 and 1 here
  4            number of operations, one on each of the lines that follow
  1            weight (not used)
  a 0 512      block 0 = malloc(512)
  a 1 100
  r 0 640      block 0 = realloc(block 0, 640)
  f 1          free(block 1)
";

fn help() -> String {
    format!(
        "{COLUMNS}{FORM}{}\
\nExit status: 0; 1 if a heap did something wrong; 2 if the command line or a trace is wrong (then nothing was run).

Examples:
  cairn replay short1.rep random.rep.gz          all policies on two traces
  cairn replay traces/ --policy segregated,two-level --json
  cairn replay --generate uniform,ops=100000,seed=7 --plot uniform.svg
  cairn replay --generate all --config standard,deferred
  cairn replay --generate ramp --save .          also write the trace to ramp.rep",
        names()
    )
}

/// Carries out the command.
pub fn run(args: &Replay) -> Result<(), Failure> {
    let heaps = heaps(&args.policy, &args.config)?;
    for file in &args.plot {
        if kind(file).is_none() {
            let sentence = format!("{}: a plot's name ends in .svg or .png", file.display());
            return Err(Failure::new(USAGE, sentence));
        }
    }
    let traces = args.inputs.traces()?;
    let options = Options {
        rounds: args.rounds,
        seconds: args.seconds,
        score: Score { weight: args.score_weight, reference: args.score_reference },
    };
    let reports = replay_all(&traces, &heaps, &options);
    let means = means(&reports, &heaps, options.score);
    if args.json {
        print!("{}", report::json(&reports, &means, options.score));
    } else {
        print!("{}", report::text(&reports, &means));
    }
    for file in &args.plot {
        draw(file, &reports)?;
    }
    let mut failed = 0;
    for report in &reports {
        for failure in &report.failures {
            failed += 1;
            let heap = report::heap_name(failure.policy, failure.config);
            eprintln!("cairn: {heap} on {}: {}", report.trace, failure.reason);
        }
    }
    if failed > 0 {
        let all = reports.len() * heaps.len();
        return Err(Failure::new(WRONG, format!("{failed} of {all} replays failed, see above")));
    }
    Ok(())
}

fn replay_all(traces: &[Trace], heaps: &[(&Policy, Setup)], options: &Options) -> Vec<Report> {
    let total = traces.iter().map(work).sum::<u64>() * heaps.len() as u64;
    let progress = Progress::new(total);
    let one = |trace: &Trace| {
        progress.about(&trace.name);
        replay(trace, heaps, options, &mut |ops| progress.advance(ops))
    };
    traces.iter().map(one).collect()
}

/// Whether a plot's name says SVG or PNG.
fn kind(file: &Path) -> Option<&str> {
    let ending = file.extension()?.to_str()?;
    ["svg", "png"].into_iter().find(|known| ending.eq_ignore_ascii_case(known))
}

fn draw(file: &Path, reports: &[Report]) -> Result<(), Failure> {
    let failed = |reason: String| Failure::new(OURS, format!("{}: {reason}", file.display()));
    let svg = plot::svg(reports).map_err(failed)?;
    let bytes = match kind(file) {
        Some("png") => png(&svg).map_err(|error| failed(error.to_string()))?,
        _ => svg.into_bytes(),
    };
    std::fs::write(file, bytes).map_err(|error| failed(format!("can't be written: {error}")))
}

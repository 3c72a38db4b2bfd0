//! `cairn view`: draws the heap that a trace makes on a policy.
//!
//! ```text
//!   TRACE ──record on each policy──┬─► Still   ─► terminal, .svg, .png, --json
//!                                  └─► History ─► .html
//! ```

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use cairn_lab::history::{History, Keep, Recording, Still, Totals, record};
use cairn_lab::picture::html::{self, HtmlError, POLICIES_MAX, STEPS_MAX};
use cairn_lab::picture::palette::Theme;
use cairn_lab::picture::terminal::{Screen, terminal};
use cairn_lab::picture::{png, svg};
use cairn_lab::policies::{Policy, Setup};
use cairn_lab::trace::Trace;
use clap::ValueEnum;
use serde::Serialize;

use crate::failure::{Failure, OURS, USAGE};
use crate::replay::{Inputs, Progress, heaps, names};
use crate::table::{bytes, count};

/// Letters in a line where the terminal doesn't tell.
const WIDTH: usize = 100;

/// The policy unless told otherwise.
const POLICY: &str = "best-fit-tree";

/// `cairn view`.
#[derive(Debug, clap::Args)]
#[command(after_help = help())]
pub struct View {
    #[command(flatten)]
    inputs: Inputs,
    /// Placement policy; several, separated by commas or given twice, are drawn together
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', default_value = POLICY)]
    policy: Vec<String>,
    /// Configurations of the heap, separated by commas
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', default_value = "standard")]
    config: Vec<String>,
    /// Draw the heap after N operations, or open the page there [default: when the live payload is at its greatest]
    #[arg(long, value_name = "N")]
    at: Option<usize>,
    /// Draw into FILE, which ends in .html (a page that plays the trace), .svg or .png
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The page begins after N operations
    #[arg(long, value_name = "N")]
    from: Option<usize>,
    /// The page ends after N operations
    #[arg(long, value_name = "N")]
    to: Option<usize>,
    /// The ground of an .svg or .png; auto follows the viewer where it can
    #[arg(long, value_name = "GROUND", default_value = "auto")]
    theme: Ground,
    /// Print the heap as a JSON document instead of drawing it
    #[arg(long, conflicts_with = "output")]
    json: bool,
}

/// What a still picture is drawn on.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Ground {
    Auto,
    Light,
    Dark,
}

fn help() -> String {
    format!(
        "Without --output the heap is drawn in the terminal. A page opens from disk in any browser and needs nothing else; it plays
at most {} operations, so choose a part of a longer trace with --from and --to.
{}\
\nExit status: 0; 2 if the command line or the trace is wrong; 125 if the heap refuses an operation or a file can't be written.

Examples:
  cairn view short1.rep                                          in the terminal, with most of it in use
  cairn view short1.rep --policy first-fit --at 12 -o heap.svg
  cairn view --generate compiler,ops=2000 --policy best-fit-tree,first-fit -o heap.html",
        count(STEPS_MAX as u64),
        names()
    )
}

/// The picture's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Terminal,
    Json,
    Svg,
    Png,
    Html,
}

/// Carries out the command.
pub fn run(view: &View) -> Result<(), Failure> {
    let form = form(view)?;
    let theme = match view.theme {
        Ground::Auto => Theme::Auto,
        Ground::Light => Theme::Light,
        Ground::Dark => Theme::Dark,
    };
    let heaps = heaps(&view.policy, &view.config)?;
    if form == Form::Html && heaps.len() > POLICIES_MAX {
        return Err(usage(HtmlError::Policies(heaps.len())));
    }
    let traces = view.inputs.traces()?;
    let [trace] = traces.as_slice() else {
        return Err(usage(format!("a picture shows one trace, and here are {}: name one", traces.len())));
    };
    let scene = Scene { trace, heaps: &heaps };
    if form == Form::Html {
        let page =
            html::html(&scene.histories(view)?, scene.moment(view, scene.opening(view))?).map_err(usage)?;
        return write(view, page.as_bytes());
    }
    if view.from.is_some() || view.to.is_some() {
        return Err(usage(
            "--from and --to choose the part that an .html page plays; for one moment use --at",
        ));
    }
    let stills = scene.stills(view)?;
    match form {
        Form::Svg => write(view, svg::svg(&stills, theme).as_bytes()),
        Form::Png => {
            let drawn = png::png(&svg::svg(&stills, theme)).map_err(|error| ours(error.to_string()))?;
            write(view, &drawn)
        }
        Form::Json => say(&json(&stills)?),
        Form::Terminal | Form::Html => say(&terminal(&stills, screen())),
    }
}

/// The form that the output's name asks for.
fn form(view: &View) -> Result<Form, Failure> {
    let Some(path) = &view.output else {
        return Ok(if view.json { Form::Json } else { Form::Terminal });
    };
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("svg") => Ok(Form::Svg),
        Some("png") => Ok(Form::Png),
        Some("html") => Ok(Form::Html),
        _ => {
            Err(usage(format!("{}: the name's ending chooses the form: .svg, .png or .html", path.display())))
        }
    }
}

/// What is drawn.
struct Scene<'a> {
    trace: &'a Trace,
    heaps: &'a [(&'static Policy, Setup)],
}

impl Scene<'_> {
    /// The moment that is asked for.
    fn moment(&self, view: &View, otherwise: usize) -> Result<usize, Failure> {
        let last = self.trace.ops.len();
        match view.at {
            Some(at) if at > last => Err(usage(format!(
                "--at {at}: {} has only {} operations",
                self.trace.name,
                count(last as u64)
            ))),
            at => Ok(at.unwrap_or(otherwise)),
        }
    }

    /// One moment of each heap; without `--at` the one at which the live payload is at its greatest.
    fn stills(&self, view: &View) -> Result<Vec<Still>, Failure> {
        let at = self.moment(view, self.trace.peak_moment())?;
        self.record(Keep::Moment(at), |recording| match recording {
            Recording::Still(still) => Some(*still),
            _ => None,
        })
    }

    /// Where a page opens without `--at`: when most is in use, within the part that it shows.
    fn opening(&self, view: &View) -> usize {
        let last = view.to.unwrap_or(self.trace.ops.len());
        self.trace.peak_moment().min(last).max(view.from.unwrap_or(0))
    }

    /// The part of each heap's life that is asked for.
    fn histories(&self, view: &View) -> Result<Vec<History>, Failure> {
        let last = self.trace.ops.len();
        let (from, to) = (view.from.unwrap_or(0), view.to.unwrap_or(last));
        if from > to || to > last {
            return Err(usage(format!(
                "--from {from} --to {to}: these must be in order and at most {}, the operations of {}",
                count(last as u64),
                self.trace.name
            )));
        }
        if to - from > STEPS_MAX {
            let wanted = HtmlError::TooLong(to - from);
            return Err(usage(format!("{wanted}, as in: --from {from} --to {}", from + STEPS_MAX)));
        }
        self.record(Keep::Steps { from, to }, |recording| match recording {
            Recording::History(history) => Some(*history),
            _ => None,
        })
    }

    fn record<T>(&self, keep: Keep, pick: fn(Recording) -> Option<T>) -> Result<Vec<T>, Failure> {
        let progress = Progress::new((self.heaps.len() * self.trace.ops.len()) as u64);
        let run = |(policy, setup): &(&'static Policy, Setup)| {
            progress.about(&format!("{} on {}", policy.name, self.trace.name));
            let kept = record(self.trace, policy, *setup, keep, &mut |ops| progress.advance(ops));
            pick(kept.map_err(ours)?)
                .ok_or_else(|| ours("the recorder kept something else than it was asked for"))
        };
        self.heaps.iter().map(run).collect()
    }
}

/// What is known of stdout.
fn screen() -> Screen {
    let is_terminal = std::io::stdout().is_terminal();
    let width = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let width = if is_terminal { width } else { None };
    Screen { width: width.or(asked).unwrap_or(WIDTH), colours: is_terminal && !no_colour }
}

/// A moment as a JSON document has it.
#[derive(Serialize)]
struct Moment<'a> {
    #[serde(flatten)]
    still: &'a Still,
    totals: Totals,
    utilisation: f64,
}

fn json(stills: &[Still]) -> Result<String, Failure> {
    let moments = stills.iter().map(|still| {
        let totals = still.snapshot.totals();
        Moment { still, totals, utilisation: totals.utilisation() / 100.0 }
    });
    let document = serde_json::json!({ "heaps": moments.collect::<Vec<_>>() });
    serde_json::to_string_pretty(&document).map(|text| text + "\n").map_err(|error| ours(error.to_string()))
}

/// Prints the result. A reader that has seen enough (`| head`) is no failure.
fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(ours(format!("stdout can't be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes the picture, and tells how to look at it.
fn write(view: &View, content: &[u8]) -> Result<(), Failure> {
    let Some(path) = &view.output else { return Ok(()) };
    fs::write(path, content)
        .map_err(|error| ours(format!("{} can't be written: {error}", path.display())))?;
    eprintln!("cairn: {} written, {}: open it in a browser", path.display(), bytes(content.len() as u64));
    Ok(())
}

fn usage(sentence: impl ToString) -> Failure {
    Failure::new(USAGE, sentence.to_string())
}

fn ours(sentence: impl Into<String>) -> Failure {
    Failure::new(OURS, sentence)
}

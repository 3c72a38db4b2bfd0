//! `cairn lesson`: short guided runs that compute everything they show.
//!
//! The laboratory computes the values; here they are laid out for people, one file for each lesson, or printed as JSON.

mod beyond_the_end;
mod holes;
mod locality;
mod memory_map;
mod page;
mod reuse;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use cairn_lab::lesson::{LESSONS, Lesson as Values, run as compute};
use serde::Serialize;

use crate::failure::{Failure, OURS, USAGE};
use page::Page;

const HELP: &str = "\
Without NAME, the lessons are listed. Everything that a lesson shows happens while it runs: on a real heap, in this
process, or in a child process that may die.

Exit status: 0; 2 if the command line is wrong; 125 if the lesson can't be run.

Examples:
  cairn lesson                                     which lessons there are
  cairn lesson reuse
  cairn lesson holes --save .                      and its requests as traces, for cairn view and cairn replay
  cairn lesson locality --json";

/// `cairn lesson`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub struct Lesson {
    /// Which lesson
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Also write the lesson's requests into this directory, as traces (reuse and holes have requests)
    #[arg(long, value_name = "DIR", requires = "name")]
    save: Option<PathBuf>,
    /// Print the computed values as a JSON document
    #[arg(long)]
    json: bool,
}

/// A lesson in the list.
#[derive(Serialize)]
struct Listed {
    name: &'static str,
    what: &'static str,
}

/// Runs one lesson, or lists all.
pub fn run(args: &Lesson) -> Result<(), Failure> {
    let Some(name) = &args.name else { return list(args.json) };
    if !LESSONS.iter().any(|(known, _)| known == name) {
        let names: Vec<&str> = LESSONS.iter().map(|(known, _)| *known).collect();
        return Err(Failure::new(
            USAGE,
            format!("there is no lesson '{name}'; there are: {} (see: cairn lesson)", names.join(", ")),
        ));
    }
    let values =
        compute(name).map_err(|sentence| Failure::new(OURS, format!("lesson {name}: {sentence}")))?;
    let saved = args.save.as_deref().map(|directory| save(name, &values, directory)).transpose()?;
    if args.json {
        return print(&json(&values));
    }
    let mut page = Page::new();
    let what = LESSONS.iter().find(|(known, _)| known == name).map_or("", |(_, what)| *what);
    page.title(name, what);
    match &values {
        Values::MemoryMap(values) => memory_map::show(values, &mut page),
        Values::Reuse(values) => reuse::show(values, &mut page),
        Values::BeyondTheEnd(values) => beyond_the_end::show(values, &mut page),
        Values::Holes(values) => holes::show(values, &mut page),
        Values::Locality(values) => locality::show(values, &mut page),
    }
    print(&page.finish())?;
    for path in saved.unwrap_or_default() {
        eprintln!("cairn: wrote {}", path.display());
    }
    Ok(())
}

fn list(as_json: bool) -> Result<(), Failure> {
    if as_json {
        let all: Vec<Listed> = LESSONS.iter().map(|&(name, what)| Listed { name, what }).collect();
        return print(&json(&all));
    }
    let mut page = Page::new();
    page.gap();
    for (name, what) in LESSONS {
        let name = page.bold(&format!("{name:<16}"));
        page.line(&format!("{name}{what}"));
    }
    page.next(&[("cairn lesson memory-map", "begin here")]);
    print(&page.finish())
}

fn json(values: &impl Serialize) -> String {
    serde_json::to_string_pretty(values).expect("plain data has a JSON form") + "\n"
}

/// Prints to stdout. A reader that has seen enough and closed the pipe is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(OURS, format!("the lesson can't be written to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a lesson's traces; gives their paths.
fn save(name: &str, values: &Values, directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let traces = values.traces();
    if traces.is_empty() {
        return Err(Failure::new(
            USAGE,
            format!("lesson {name} has no requests to save; reuse and holes have"),
        ));
    }
    let fail = |path: &Path, error: io::Error| {
        Failure::new(OURS, format!("{} can't be written: {error}", path.display()))
    };
    fs::create_dir_all(directory).map_err(|error| fail(directory, error))?;
    let mut paths = Vec::new();
    for trace in traces {
        let path = directory.join(format!("{}.rep", trace.name));
        trace.save(&path).map_err(|error| fail(&path, error))?;
        paths.push(path);
    }
    Ok(paths)
}

//! `cairn bench prepare`: its options, what it prints, and the line that moves while it works.

use std::io::{IsTerminal, stderr};
use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Options, Prepared, names, prepare};

/// The options of `cairn bench prepare`.
#[derive(Debug, Args)]
pub struct Prepare {
    /// Only these allocators, separated by commas
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = clap::builder::PossibleValuesParser::new(names()))]
    only: Vec<String>,
    /// One line of JSON instead of a table
    #[arg(long)]
    json: bool,
}

impl Prepare {
    /// Prepares, tells what is there, and gives it.
    ///
    /// # Errors
    /// A sentence for whoever typed it.
    pub fn run(&self) -> anyhow::Result<Prepared> {
        let prepared = prepare(&Options { only: self.only.clone() }, &Progress::on_stderr())?;
        if self.json {
            println!("{}", serde_json::to_string(&prepared)?);
        } else {
            println!("{}", table(&prepared));
            eprintln!("Next: cairn bench");
        }
        Ok(prepared)
    }
}

fn table(prepared: &Prepared) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["allocator", "version", "shared object, or why not"]);
    for ready in &prepared.ready {
        table.add_row([ready.name.clone(), ready.version.clone(), ready.library.display().to_string()]);
    }
    for failed in &prepared.failed {
        table.add_row([failed.name.clone(), "left out".to_owned(), failed.reason.clone()]);
    }
    table
}

/// What is being built, on standard error: a line that moves on a terminal, a line per step elsewhere.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// For people.
    pub fn on_stderr() -> Progress {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} preparing {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        Progress { bar, lines: !stderr().is_terminal() }
    }

    /// For tests.
    pub fn silent() -> Progress {
        Progress { bar: ProgressBar::hidden(), lines: false }
    }

    /// The next thing is begun.
    pub(super) fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if self.lines {
            eprintln!("preparing {what}");
        }
    }

    /// A part of it is done.
    pub(super) fn detail(&self, what: &str, part: &str) {
        self.bar.set_message(format!("{what}: {part} is done"));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Failed, Ready};
    use super::*;

    #[test]
    fn the_table_names_what_is_there_and_what_is_not() {
        let prepared = Prepared {
            workload: "/t/cairn-workload".into(),
            ready: vec![Ready {
                name: "jemalloc".to_owned(),
                version: "5.3.1".to_owned(),
                library: "/t/libjemalloc.so".into(),
                rust_workload: None,
                environment: Vec::new(),
            }],
            failed: vec![Failed { name: "ferroc".to_owned(), reason: "error[E0599]".to_owned() }],
        };
        let text = table(&prepared).to_string();
        assert!(text.contains("5.3.1") && text.contains("/t/libjemalloc.so"), "{text}");
        assert!(text.contains("left out") && text.contains("error[E0599]"), "{text}");
    }
}

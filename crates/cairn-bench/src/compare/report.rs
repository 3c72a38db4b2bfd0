//! `report`: what a session has to say, after its end or from its file; on the terminal, as Markdown, as a page.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::results::Results;
use super::{bars, markdown, page, standing, tables};

/// Where the report goes besides the terminal.
#[derive(Debug, Default, Args)]
pub struct Outputs {
    /// Write the tables between the markers of this file (docs/benchmarks.md)
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
    /// Write one self-contained page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The options of `cairn bench report`.
#[derive(Debug, Args)]
pub struct Report {
    /// The file that `cairn bench --json` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    outputs: Outputs,
    /// Print bars and losses as one JSON document, and no tables
    #[arg(long)]
    json: bool,
}

impl Report {
    /// Prints the report.
    ///
    /// # Errors
    /// If the file can't be read, or another not written.
    pub fn run(&self) -> anyhow::Result<()> {
        let results = read(&self.file)?;
        if self.json {
            let losses = standing::ours(&results).map(|ours| standing::losses(&results, ours));
            let document = serde_json::json!({ "bars": bars::bars(&results), "losses": losses });
            println!("{}", serde_json::to_string_pretty(&document)?);
        } else {
            for load in &results.loads {
                tables::print_load(load, &results.allocators());
            }
            tables::print_end(&results);
        }
        self.outputs.write(&results)
    }
}

impl Outputs {
    /// Writes the files that are asked for.
    ///
    /// # Errors
    /// If one can't be written.
    pub fn write(&self, results: &Results) -> anyhow::Result<()> {
        if let Some(file) = &self.markdown {
            markdown::write(file, results)?;
            eprintln!("cairn: bench: the tables are in {}", file.display());
        }
        if let Some(file) = &self.html {
            let page = page::page(results);
            std::fs::write(file, page).with_context(|| format!("can't write {}", file.display()))?;
            eprintln!("cairn: bench: the page is {}", file.display());
        }
        Ok(())
    }
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// If the file isn't there or isn't one of those.
pub fn read(file: &Path) -> anyhow::Result<Results> {
    let text = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| {
        format!("{} is not a file that cairn bench --json of this version wrote", file.display())
    })
}

/// Writes a session.
///
/// # Errors
/// If the file can't be written.
pub fn write(file: &Path, results: &Results) -> anyhow::Result<()> {
    let text = serde_json::to_vec_pretty(results)?;
    std::fs::write(file, text).with_context(|| format!("can't write {}", file.display()))
}

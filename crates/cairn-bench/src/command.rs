//! The command line of `cairn bench`: the comparison itself, and the smaller tools beside it.

use clap::{Args, Subcommand};

use crate::{classes, compare, count, heaps};

/// The options of `cairn bench`: without a further word, the comparison.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    #[command(subcommand)]
    tool: Option<Tool>,
    #[command(flatten)]
    compare: compare::Compare,
}

#[derive(Debug, Subcommand)]
enum Tool {
    /// Count instructions per operation under valgrind, where time is too noisy
    Count(count::Count),
    /// What other size classes would cost real programs, from recorded histograms
    Classes(classes::Classes),
    /// Utilisation and time of Cairn's classic heaps and other no_std heaps, on traces
    Heaps(heaps::Heaps),
}

impl Bench {
    /// Does what the command line asks for.
    ///
    /// # Errors
    /// A sentence for whoever typed it.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.tool {
            None => self.compare.run(),
            Some(Tool::Count(options)) => options.run(),
            Some(Tool::Classes(options)) => options.run(),
            Some(Tool::Heaps(options)) => options.run(),
        }
    }
}

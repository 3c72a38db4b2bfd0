//! The command line of `cairn bench`: the comparison itself, and the smaller tools beside it.

use clap::{Args, Subcommand};

use crate::{atomics, classes, compare, count, heaps, prepare};

/// The options of `cairn bench`: without a further word, the comparison.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = HELP)]
pub struct Bench {
    #[command(subcommand)]
    tool: Option<Tool>,
    #[command(flatten)]
    compare: compare::Compare,
}

const HELP: &str = "\
Each load runs in a process of its own, the allocators take turns, and a run that something else disturbed is repeated. What
is missing is built first, which takes minutes the first time; peers that can't be built are named and left out.

Examples:
  cairn bench --quick                                      an overview, within five minutes once all is built
  cairn bench --json run.json --html run.html              everything: leave the machine alone meanwhile
  cairn bench --only larson --only rptest --runs 11        loads whose names contain one of these
  cairn bench --peers cairn,glibc,mimalloc3 --libs mine=./libmine.so
  cairn bench report run.json --html run.html              an earlier session again";

#[derive(Debug, Subcommand)]
enum Tool {
    /// Build Cairn, the workloads and all peers, and tell what is there
    Prepare(prepare::Prepare),
    /// List the loads, and the allocators that are prepared
    List(compare::list::List),
    /// Print the report of an earlier session, from the file that --json wrote
    Report(compare::report::Report),
    /// Count instructions per operation under valgrind, where time is too noisy
    Count(count::Count),
    /// Count what threads share: atomics, locks and system calls per thousand operations, and which line is full first
    Atomics(atomics::Atomics),
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
            Some(Tool::Prepare(options)) => {
                compare::peers::remember(&options.run()?.into());
                Ok(())
            }
            Some(Tool::List(options)) => options.run(),
            Some(Tool::Report(options)) => options.run(),
            Some(Tool::Count(options)) => options.run(),
            Some(Tool::Atomics(options)) => options.run(),
            Some(Tool::Classes(options)) => options.run(),
            Some(Tool::Heaps(options)) => options.run(),
        }
    }
}

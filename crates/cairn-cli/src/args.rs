//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use cairn_alloc::mode::Mode;
use clap::builder::PossibleValuesParser;
use clap::{Parser, Subcommand};

/// Runs any program on the Cairn memory allocator, without rebuilding it.
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    propagate_version = true,
    after_help = "Try: cairn run python3 -c 'print(\"hello\")'"
)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `cairn` can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a program, and every program it starts, on Cairn
    Run(Run),
    /// List the environment variables that tune Cairn
    Settings {
        /// Print a JSON document instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print the path of libcairn.so, as in: LD_PRELOAD=$(cairn library) PROGRAM
    Library,
    /// Run allocation traces on any set of placement policies, and compare the heaps
    Replay(crate::replay::Replay),
    /// Run allocation traces with an audit of the whole heap after each operation
    Check(crate::check::Check),
    /// Draw the heap that a trace makes: in the terminal, as a picture, or as a page that plays it
    View(crate::view::View),
    /// Compare allocators: time and memory of workloads and real programs, side by side
    Bench(Box<cairn_bench::command::Bench>),
    /// See how memory works: short guided runs that compute everything they show
    Lesson(crate::lesson::Lesson),
}

const RUN_HELP: &str = "\
The program keeps its arguments, environment, streams, exit status and signals, and the programs that it
starts use Cairn too. Cairn is preloaded (LD_PRELOAD), so static and setuid programs can't be run so.

Exit status: the program's own, or
  2    the command line of cairn is wrong
  125  cairn itself failed
  126  the program can't be run on Cairn
  127  the program was not found

Examples:
  cairn run python3 -c 'print(\"hello\")'
  cairn run --stats -- gcc -O2 -c file.c
  cairn run --mode debug ./prog
  cairn run --audit 100 python3 test.py
  cairn run --json --stats-file heap.json -- ./server --port 8080
  CAIRN_DECAY_MS=0 cairn run ./server        (see: cairn settings)";

/// `cairn run`.
#[derive(Debug, clap::Args)]
#[command(after_help = RUN_HELP)]
pub struct Run {
    /// At the end, print time, memory and what the heap held to stderr
    #[arg(long)]
    pub stats: bool,
    /// Print the statistics as a JSON document (implies --stats)
    #[arg(long)]
    pub json: bool,
    /// Write the statistics to this file instead of stderr (implies --stats)
    #[arg(long, value_name = "PATH")]
    pub stats_file: Option<PathBuf>,
    /// What the heap does beyond allocating (also: CAIRN_MODE=MODE): find overflows and uses after free at the
    /// instruction (debug), in a few blocks and at hardly any cost (sampled), or make them hard to exploit (hardened)
    #[arg(long, value_name = "MODE", value_parser = mode_names())]
    pub mode: Option<String>,
    /// Look at the whole heap every MS milliseconds and at exit, in the program and in every program it starts; damage ends it with
    /// a line that names it, and a run without any is told at the end
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..=3_600_000))]
    pub audit: Option<u32>,
    /// Preload this libcairn.so instead of the one inside cairn (also: CAIRN_LIBRARY=PATH)
    #[arg(long, value_name = "PATH")]
    pub library: Option<PathBuf>,
    /// The program, looked up in PATH unless it contains a slash, and its arguments
    #[arg(value_name = "PROGRAM", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

/// The names of the engine's modes.
fn mode_names() -> PossibleValuesParser {
    PossibleValuesParser::new(Mode::ALL.map(Mode::name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(line: &[&str]) -> Run {
        let words = ["cairn", "run"].iter().chain(line);
        match Args::try_parse_from(words).expect("a valid command line").verb {
            Verb::Run(run) => run,
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn options_after_the_program_belong_to_it() {
        let parsed = run(&["--stats", "prog", "--json", "--", "-x", "--help"]);
        assert!(parsed.stats && !parsed.json);
        assert_eq!(parsed.command, ["prog", "--json", "--", "-x", "--help"]);
    }

    #[test]
    fn two_dashes_end_our_options() {
        let parsed = run(&["--", "--stats", "--", "a"]);
        assert!(!parsed.stats);
        assert_eq!(parsed.command, ["--stats", "--", "a"]);
    }

    #[test]
    fn the_pause_between_audits_is_within_bounds() {
        assert_eq!(run(&["--audit", "20", "prog"]).audit, Some(20));
        assert_eq!(run(&["prog"]).audit, None);
        for wrong in ["0", "3600001", "-1", "often"] {
            assert!(Args::try_parse_from(["cairn", "run", "--audit", wrong, "prog"]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_unknown_option_of_ours_is_refused() {
        assert!(Args::try_parse_from(["cairn", "run", "--bogus", "prog"]).is_err());
    }
}

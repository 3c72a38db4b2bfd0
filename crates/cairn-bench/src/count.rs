//! `count`: instructions of one operation, by valgrind's callgrind, where time is too noisy.
//!
//! A load of one thread runs twice, with N and with 2 N operations; the difference divided by N is what one operation
//! takes, and start-up cancels out. It counts the workload's own loop too, so compare allocators and don't read the numbers
//! as the length of malloc and free. N is a share of the load's usual work, as small as its rounds allow: valgrind takes
//! some fifty times as long as the processor.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use cairn_workload::Outcome;
use clap::Args;

use crate::compare::catalogue::{Kind, Load, Threads, patterns};
use crate::compare::peers::{Choice, Peer};
use crate::compare::results::{Instructions, Results};
use crate::compare::sections::instructions_section;
use crate::compare::tables::print_section;

/// The shares of a load's usual work that are tried for N, the least first.
const SCALES: [f64; 5] = [0.01, 0.03, 0.1, 0.25, 0.5];
/// A load whose 2 N operations take longer than this without valgrind is not counted.
const NATIVE_MAX: Duration = Duration::from_millis(1_500);

/// The options of `cairn bench count`.
#[derive(Debug, Args)]
pub struct Count {
    /// Only loads whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    #[command(flatten)]
    choice: Choice,
    /// One JSON document instead of a table
    #[arg(long)]
    json: bool,
}

impl Count {
    /// Counts and prints a table.
    ///
    /// # Errors
    /// If nothing is chosen, or valgrind isn't there.
    pub fn run(&self) -> anyhow::Result<()> {
        let names: Vec<String> = countable().map(|load| load.name).collect();
        let chosen =
            |name: &String| self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()));
        let wanted: Vec<&String> = names.iter().filter(|name| chosen(name)).collect();
        ensure!(
            !wanted.is_empty(),
            "no load of one thread is named {}; there are: {}",
            self.only.join(" or "),
            names.join(", ")
        );
        check_valgrind()?;
        let found = self.choice.find()?;
        let workload = found.workload()?;
        let mut results = Results::new(1, 1.0, &found, Vec::new());
        for name in wanted {
            results.instructions.push(count(name, &found.peers, workload));
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&results.instructions)?);
        } else if let Some(section) = instructions_section(&results) {
            print_section(&section);
        }
        Ok(())
    }
}

/// The loads that can be counted at all: those of one thread that don't sleep.
fn countable() -> impl Iterator<Item = Load> {
    patterns(1.0).into_iter().filter(can_be_counted)
}

/// Whether a load is of one thread, ours, and never sleeps.
pub fn can_be_counted(load: &Load) -> bool {
    matches!(load.kind, Kind::OneThread | Kind::ManyThreads) && load.threads == Threads::One
}

/// Fails, with what to do about it, if there is no valgrind.
///
/// # Errors
/// If it can't be started.
pub fn check_valgrind() -> anyhow::Result<()> {
    let started =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stdin(Stdio::null()).status();
    started.map(|_| ()).context("can't start valgrind; install it with: apt-get install valgrind")
}

/// Counts one load on all allocators. What can't be counted is named in the result.
pub fn count(name: &str, peers: &[Peer], workload: &Path) -> Instructions {
    let mut counted = Instructions { load: name.to_owned(), counts: Vec::new(), failures: Vec::new() };
    let pair = match calibrate(name, workload) {
        Ok(pair) => pair,
        Err(error) => {
            counted.failures.push(format!("{error:#}"));
            return counted;
        }
    };
    for peer in peers {
        eprintln!("cairn: bench: counting {name} on {}", peer.name);
        match per_operation(&pair, peer, workload) {
            Ok(count) => counted.counts.push((peer.name.clone(), count)),
            Err(error) => counted.failures.push(format!("{}: {error:#}", peer.name)),
        }
    }
    counted
}

/// The same load with N and with 2 N operations, and how many those are.
type Pair = [(Load, u64); 2];

/// Finds an N that is small, but large enough that 2 N is about twice as much work.
fn calibrate(name: &str, workload: &Path) -> anyhow::Result<Pair> {
    for scale in SCALES {
        let start = Instant::now();
        let once = sized(name, scale, workload)?;
        let twice = sized(name, 2.0 * scale, workload)?;
        if twice.1 as f64 > 1.5 * once.1 as f64 {
            return Ok([once, twice]);
        }
        ensure!(start.elapsed() < NATIVE_MAX, "too long to be counted");
    }
    bail!("its work can't be made smaller, so it can't be counted");
}

/// The load with this share of its operations, and how many it says that these are.
fn sized(name: &str, scale: f64, workload: &Path) -> anyhow::Result<(Load, u64)> {
    let load = patterns(scale).into_iter().find(|load| load.name == name);
    let load = load.with_context(|| format!("there is no load named {name}"))?;
    let output = Command::new(workload)
        .args(&load.words)
        .env_remove("LD_PRELOAD")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("can't start {}", workload.display()))?;
    let outcome: Outcome = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{} ended with {}", workload.display(), output.status))?;
    Ok((load, outcome.operations))
}

fn per_operation([once, twice]: &Pair, peer: &Peer, workload: &Path) -> anyhow::Result<f64> {
    let less = instructions(&once.0, peer, workload)?;
    let more = instructions(&twice.0, peer, workload)?;
    ensure!(more > less, "twice the operations took no more instructions");
    Ok((more - less) as f64 / (twice.1 - once.1) as f64)
}

fn instructions(load: &Load, peer: &Peer, workload: &Path) -> anyhow::Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"]).arg(workload);
    command.args(&load.words).envs(peer.environment.iter().cloned());
    command.env_remove("LD_PRELOAD").stdin(Stdio::null());
    if let Some(library) = &peer.library {
        command.env("LD_PRELOAD", library);
    }
    let output =
        command.output().context("can't start valgrind; install it with: apt-get install valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("ended with {} under valgrind", output.status);
    }
    // A library that isn't loaded would let glibc be counted under its name.
    ensure!(!text.contains("cannot be preloaded"), "can't be preloaded");
    collected(&text).context("valgrind told no count")
}

/// The number in valgrind's line `==123== Collected : 456`.
fn collected(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(':').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loads_of_one_thread_that_do_not_sleep_are_counted() {
        let names: Vec<String> = countable().map(|load| load.name).collect();
        assert!(names.iter().any(|name| name == "pairs-16"), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("after") || name.starts_with("startup")));
    }

    #[test]
    fn reads_what_valgrind_prints() {
        let text = "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n";
        assert_eq!(collected(text), Some(1_234_567));
        assert_eq!(collected("==7== I refs: 5\n"), None);
    }
}

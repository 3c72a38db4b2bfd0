//! `count`: instructions of one operation, by valgrind's callgrind, where time is too noisy.
//!
//! The workload runs twice, with N and with 2 N operations; the difference divided by N is what one operation
//! takes, and start-up cancels out. It counts the workload's own loop too (a few instructions), so compare allocators and
//! don't read the numbers as the length of malloc and free.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;

use crate::compare::peers::{self, Peer};
use crate::compare::tables::{align, new_table};

/// Workloads of one thread whose operations are all alike, and how many to count.
const WORKLOADS: [(&str, &str, u64); 4] = [
    ("pairs-64", "pairs --size 64", 50_000),
    ("pairs-1024", "pairs --size 1024", 50_000),
    ("ordered", "ordered", 100_000),
    ("random", "random --live 20000", 100_000),
];

/// The options of `cairn-bench count`.
#[derive(Debug, Args)]
pub struct Count {
    /// Only workloads whose name contains this; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only these allocators, by name, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "NAME,…")]
    peers: Vec<String>,
    /// More allocators
    #[arg(long, value_delimiter = ',', value_name = "NAME=PATH,…")]
    libs: Vec<Peer>,
    /// Where libcairn.so is, if not where the build command puts it
    #[arg(long, value_name = "PATH")]
    cairn: Option<PathBuf>,
}

impl Count {
    /// Counts and prints a table.
    pub fn run(&self) -> anyhow::Result<()> {
        let found = peers::find(self.cairn.as_deref(), &self.libs, &self.peers)?;
        for missing in &found.missing {
            eprintln!("cairn-bench: left out: {missing}");
        }
        let chosen =
            |name: &str| self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()));
        let workloads: Vec<_> = WORKLOADS.iter().filter(|(name, ..)| chosen(name)).collect();
        let names = WORKLOADS.map(|(name, ..)| name).join(", ");
        ensure!(
            !workloads.is_empty(),
            "nothing to count is named {}; there are: {names}",
            self.only.join(" or ")
        );
        let mut heads = vec!["instructions of one operation"];
        heads.extend(found.peers.iter().map(|peer| peer.name.as_str()));
        let mut table = new_table(UTF8_FULL_CONDENSED, &heads);
        for (name, words, ops) in workloads {
            let mut row = vec![(*name).to_owned()];
            for peer in &found.peers {
                eprintln!("cairn-bench: counting {name} on {}", peer.name);
                row.push(match per_operation(words, *ops, peer) {
                    Ok(count) => format!("{count:.1}"),
                    Err(error) => {
                        eprintln!("cairn-bench: {error:#}");
                        "failed".to_owned()
                    }
                });
            }
            table.add_row(row);
        }
        println!("{}", align(table));
        Ok(())
    }
}

fn per_operation(words: &str, ops: u64, peer: &Peer) -> anyhow::Result<f64> {
    let once = instructions(words, ops, peer)?;
    let twice = instructions(words, 2 * ops, peer)?;
    ensure!(twice > once, "{}: twice the operations of {words} took no more instructions", peer.name);
    Ok((twice - once) as f64 / ops as f64)
}

fn instructions(words: &str, ops: u64, peer: &Peer) -> anyhow::Result<u64> {
    let program = peers::workload_program()?;
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    command.args(words.split(' ')).arg("--ops").arg(ops.to_string());
    command.env_remove("LD_PRELOAD").stdin(Stdio::null());
    if let Some(library) = &peer.library {
        command.env("LD_PRELOAD", library);
    }
    let output =
        command.output().context("can't start valgrind; install it with: apt-get install valgrind")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{words} on {} ended with {} under valgrind", peer.name, output.status);
    }
    // A library that isn't loaded would let glibc be counted under its name.
    ensure!(!text.contains("cannot be preloaded"), "{} can't be preloaded", peer.name);
    collected(&text).with_context(|| format!("valgrind told no count for {words} on {}", peer.name))
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
    fn reads_what_valgrind_prints() {
        let text = "==7== Events    : Ir\n==7== Collected : 1234567\n==7== \n";
        assert_eq!(collected(text), Some(1_234_567));
        assert_eq!(collected("==7== I refs: 5\n"), None);
    }
}

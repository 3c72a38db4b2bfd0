//! `list`: the loads and the allocators that a session would have.

use clap::Args;

use super::catalogue::{Kind, Load, patterns};
use super::peers::Choice;
use super::programs;

/// The options of `cairn bench list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    choice: Choice,
    /// One JSON document instead of a list
    #[arg(long)]
    json: bool,
}

impl List {
    /// Prints them; builds and measures nothing.
    ///
    /// # Errors
    /// If an allocator that is asked for isn't there.
    pub fn run(&self) -> anyhow::Result<()> {
        let found = self.choice.look()?;
        let scratch = super::scratch()?;
        let mut loads = patterns(1.0);
        let (programs, skipped) = programs::prepare(scratch.path(), 1.0, |_| true)?;
        loads.extend(programs);
        if self.json {
            let loads: Vec<_> = loads.iter().map(load_as_json).collect();
            let left_out = [found.missing, skipped].concat();
            let document =
                serde_json::json!({ "loads": loads, "allocators": found.peers, "left_out": left_out });
            println!("{document}");
            return Ok(());
        }
        for kind in Kind::ALL {
            println!("{}:", kind.in_words());
            for load in loads.iter().filter(|load| load.kind == kind) {
                println!("  {:<22} {}", load.name, load.about);
            }
        }
        println!("allocators:");
        for peer in &found.peers {
            let version = if peer.version.is_empty() { "of unknown version" } else { &peer.version };
            match &peer.library {
                Some(file) => println!("  {:<22} {version}, {}", peer.name, file.display()),
                None => println!("  {:<22} {version}, nothing is preloaded", peer.name),
            }
        }
        for line in found.missing.iter().chain(&skipped) {
            eprintln!("cairn: bench: left out: {line}");
        }
        Ok(())
    }
}

fn load_as_json(load: &Load) -> serde_json::Value {
    serde_json::json!({ "name": load.name, "about": load.about, "kind": load.kind, "words": load.words })
}

//! Git on a repository that is made here: the history with its differences, and a pack with new deltas.
//!
//! The repository is imported once and never changed; the caller's configuration of git isn't read.

use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;

use super::Ready;
use super::place::{Place, find, load, word};
use crate::compare::catalogue::Load;

const SETTINGS: &[&str] = &["GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_PAGER=cat"];

pub fn log(place: &Place) -> Ready {
    repository(place, |git, dir| {
        let words = [git, dir, "log", "--stat", "--find-renames", "--format=%h", "main"];
        load("history of a few thousand commits with its differences", &words)
    })
}

pub fn pack(place: &Place) -> Ready {
    let base = word(&place.path("pack"));
    repository(place, |git, dir| {
        let words =
            [git, dir, "pack-objects", "--all", "--no-reuse-delta", "--threads=1", "-q", base.as_str()];
        load("packs a repository with new deltas, in one thread", &words)
    })
}

/// A load on the repository, given git and the word that names the repository.
fn repository(place: &Place, make: impl FnOnce(&str, &str) -> Load) -> Ready {
    let Some(git) = find(&["git"]) else {
        return Ok(Err("git is not installed".to_owned()));
    };
    let dir = place.path("repository.git");
    if !place.repository_made.get() {
        if let Err(reason) = import(&git, &dir, place.count(2_000, 100), place.count(300, 40))? {
            return Ok(Err(reason));
        }
        place.repository_made.set(true);
    }
    let settings = SETTINGS.iter().map(|&setting| setting.to_owned()).collect();
    Ok(Ok(Load { settings, ..make(&word(&git), &format!("--git-dir={}", dir.display())) }))
}

fn command(git: &Path) -> Command {
    let mut command = Command::new(git);
    for setting in SETTINGS {
        let (name, value) = setting.split_once('=').expect("a setting has a name and a value");
        command.env(name, value);
    }
    command.env_remove("GIT_DIR").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Makes the repository by `git fast-import`.
fn import(git: &Path, dir: &PathBuf, commits: usize, files: usize) -> anyhow::Result<Result<(), String>> {
    let failed = |what: &str| Ok(Err(format!("{what} does not work here")));
    if !command(git).args(["init", "-q", "--bare"]).arg(dir).status().is_ok_and(|status| status.success()) {
        return failed("git init");
    }
    let mut child = command(git)
        .arg("--git-dir")
        .arg(dir)
        .args(["fast-import", "--quiet", "--force"])
        .stdin(Stdio::piped())
        .spawn()
        .context("can't start git fast-import")?;
    let mut to = BufWriter::new(child.stdin.take().expect("it was asked for"));
    let written = write_history(&mut to, commits, files).and_then(|()| to.flush());
    drop(to);
    if written.is_err() || !child.wait()?.success() {
        return failed("git fast-import");
    }
    Ok(Ok(()))
}

/// A history: files of two hundred lines, of which each commit changes three in a few places.
fn write_history(to: &mut impl std::io::Write, commits: usize, files: usize) -> std::io::Result<()> {
    let mut dice = Dice(1);
    let mut texts: Vec<Vec<String>> = (0..files).map(|_| (0..200).map(|_| dice.line()).collect()).collect();
    for commit in 0..commits {
        let message = format!("Change {commit}\n");
        writeln!(
            to,
            "commit refs/heads/main\ncommitter Stone <stone@example.org> {} +0000",
            1_600_000_000 + commit * 60
        )?;
        write!(to, "data {}\n{message}\n", message.len())?;
        let mut changed: Vec<usize> =
            if commit == 0 { (0..files).collect() } else { (0..3).map(|_| dice.below(files)).collect() };
        changed.sort_unstable();
        changed.dedup();
        for file in changed {
            let lines = &mut texts[file];
            if commit > 0 {
                for _ in 0..4 {
                    let at = dice.below(lines.len());
                    lines[at] = dice.line();
                }
                lines.insert(dice.below(lines.len()), dice.line());
            }
            let text = lines.concat();
            writeln!(to, "M 100644 inline part{}/room{}/file{file}.txt", file % 7, file % 13)?;
            write!(to, "data {}\n{text}\n", text.len())?;
        }
    }
    Ok(())
}

/// Numbers that look random and are always the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn line(&mut self) -> String {
        const WORDS: [&str; 12] = [
            "stone", "path", "hill", "lichen", "granite", "wind", "moss", "ridge", "valley", "cairn", "tarn",
            "scree",
        ];
        let mut line = String::with_capacity(48);
        for _ in 0..6 {
            line.push_str(WORDS[self.below(WORDS.len())]);
            line.push(' ');
        }
        let _ = writeln!(line, "{}", self.below(1000));
        line
    }
}

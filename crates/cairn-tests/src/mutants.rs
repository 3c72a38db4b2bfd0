//! The table of mutants: single decisions of the core, each with a wrong one to put in its place (`mutants/*.toml`). The program
//! `mutate` plants them one at a time and looks which tests notice.
//!
//! ```toml
//! [[mutant]]
//! name = "release-forgets-the-span-before"
//! file = "crates/cairn-alloc/src/pages/state.rs"
//! breaks = "two free neighbours stay apart"
//! find = '''if let Some(before) = free_before(region, start) {'''
//! replace = '''if let Some(before) = free_before(region, start).filter(|_| false) {'''
//! ```
//! What is to be found must stand exactly once in the file, so that the table can't go stale unnoticed.

use std::fs;
use std::path::{Path, PathBuf};

/// One wrong decision.
#[derive(Clone, Debug)]
pub struct Mutant {
    /// A few words with dashes between.
    pub name: String,
    /// The file, from the root of the workspace.
    pub file: PathBuf,
    /// What goes wrong by it.
    pub breaks: String,
    /// The right decision.
    pub find: String,
    /// The wrong one.
    pub replace: String,
    /// Why no test can notice it, for the few of which that is so.
    pub equivalent: Option<String>,
}

/// All mutants, in the order of the files' names; or what is wrong with the table.
pub fn all() -> Result<Vec<Mutant>, String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants");
    let entries = fs::read_dir(&dir).map_err(|e| format!("cannot list {}: {e}", dir.display()))?;
    let mut tables: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    tables.sort();
    let mut mutants = Vec::new();
    for path in tables {
        let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        mutants.extend(read(&text).map_err(|e| format!("{}: {e}", path.display()))?);
    }
    for (at, mutant) in mutants.iter().enumerate() {
        if mutants[..at].iter().any(|other| other.name == mutant.name) {
            return Err(format!("two mutants are called {}: give one another name", mutant.name));
        }
    }
    Ok(mutants)
}

fn read(text: &str) -> Result<Vec<Mutant>, String> {
    let table: toml::Table = text.parse().map_err(|e| format!("{e}"))?;
    let entries = table.get("mutant").and_then(toml::Value::as_array).ok_or("no [[mutant]] in it")?;
    entries.iter().map(mutant).collect()
}

fn mutant(entry: &toml::Value) -> Result<Mutant, String> {
    let optional = |key: &str| entry.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    let text = |key: &str| optional(key).ok_or(format!("an entry without a text for {key}: {entry}"));
    Ok(Mutant {
        name: text("name")?,
        file: text("file")?.into(),
        breaks: text("breaks")?,
        find: text("find")?,
        replace: text("replace")?,
        equivalent: optional("equivalent"),
    })
}

impl Mutant {
    /// The file, as it is in the sources at `root`, with the wrong decision in it.
    pub fn planted(&self, root: &Path) -> Result<String, String> {
        let text = fs::read_to_string(root.join(&self.file))
            .map_err(|e| format!("{}: cannot read {}: {e}", self.name, self.file.display()))?;
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            count => Err(format!(
                "{}: what it replaces stands {count} times in {}, and should once. The source has changed: give the entry in \
                 crates/cairn-tests/mutants the new words, or remove it if that decision is gone. It looks for\n{}",
                self.name,
                self.file.display(),
                self.find
            )),
        }
    }
}

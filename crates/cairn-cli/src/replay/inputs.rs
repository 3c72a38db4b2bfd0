//! Which traces and which heaps a command is about.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use cairn_lab::generate::Recipe;
use cairn_lab::policies::{POLICIES, Policy, Setup};
use cairn_lab::trace::Trace;

use crate::failure::{Failure, OURS, USAGE};

/// Where traces come from.
#[derive(Debug, clap::Args)]
pub struct Inputs {
    /// Traces: malloc-lab .rep files, also packed with gzip (.rep.gz), or folders of them
    #[arg(value_name = "TRACE")]
    files: Vec<PathBuf>,
    /// Make a trace of this shape instead of reading one, or of all shapes (may be given several times)
    #[arg(short, long, value_name = "SHAPE[,ops=N][,seed=N] | all")]
    generate: Vec<String>,
    /// Write the generated traces into this folder, as SHAPE.rep
    #[arg(long, value_name = "FOLDER", requires = "generate")]
    save: Option<PathBuf>,
}

impl Inputs {
    /// All traces, read and checked. Every wrong one is named.
    pub fn traces(&self) -> Result<Vec<Trace>, Failure> {
        let recipes = self.recipes()?;
        let mut traces = Vec::new();
        let mut wrong = Vec::new();
        for file in &self.files {
            if file.is_dir() {
                let found = files_in(file)?;
                if found.is_empty() {
                    wrong
                        .push(format!("{}: there is no .rep or .rep.gz file in this folder", file.display()));
                }
                read_all(&found, &mut traces, &mut wrong);
            } else {
                read_all(std::slice::from_ref(file), &mut traces, &mut wrong);
            }
        }
        if !wrong.is_empty() {
            return Err(Failure::new(USAGE, wrong.join("\ncairn: ")));
        }
        for recipe in recipes {
            let trace = recipe.make();
            if let Some(folder) = &self.save {
                save(&trace, folder)?;
            }
            traces.push(trace);
        }
        if traces.is_empty() {
            let sentence =
                "which trace? Name .rep files, or make one: --generate uniform (or: --generate all)";
            return Err(Failure::new(USAGE, sentence));
        }
        Ok(traces)
    }

    fn recipes(&self) -> Result<Vec<Recipe>, Failure> {
        let mut recipes = Vec::new();
        for text in &self.generate {
            if text == "all" {
                recipes.extend(Recipe::all());
            } else {
                let recipe = Recipe::parse(text);
                recipes.push(recipe.map_err(|reason| Failure::new(USAGE, format!("--generate: {reason}")))?);
            }
        }
        Ok(recipes)
    }
}

fn read_all(files: &[PathBuf], traces: &mut Vec<Trace>, wrong: &mut Vec<String>) {
    for file in files {
        match Trace::open(file) {
            Ok(trace) => traces.push(trace),
            Err(error) => wrong.push(error.to_string()),
        }
    }
}

/// The traces of a folder, by name.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(folder)
        .map_err(|error| Failure::new(USAGE, format!("{}: can't be listed: {error}", folder.display())))?;
    let is_trace = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(".rep") || name.ends_with(".rep.gz")
    };
    let mut found: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_trace).collect();
    found.sort();
    Ok(found)
}

fn save(trace: &Trace, folder: &Path) -> Result<(), Failure> {
    let file = folder.join(format!("{}.rep", trace.name));
    let written = fs::create_dir_all(folder).and_then(|()| trace.save(&file));
    written.map_err(|error| Failure::new(OURS, format!("{}: can't be written: {error}", file.display())))?;
    eprintln!("cairn: {} has the trace", file.display());
    Ok(())
}

/// The heaps of these policies (all, if none is named) in these configurations, each once.
pub fn heaps(policies: &[String], configs: &[String]) -> Result<Vec<(&'static Policy, Setup)>, Failure> {
    let usage = |sentence| Failure::new(USAGE, sentence);
    let mut chosen: Vec<&Policy> = Vec::new();
    for name in policies {
        chosen.push(Policy::named(name).map_err(usage)?);
    }
    if policies.is_empty() {
        chosen.extend(POLICIES);
    }
    let mut heaps = Vec::new();
    let mut seen = HashSet::new();
    for name in configs {
        let setup = Setup::named(name).map_err(usage)?;
        for policy in &chosen {
            if seen.insert((policy.name, setup.name())) {
                heaps.push((*policy, setup));
            }
        }
    }
    Ok(heaps)
}

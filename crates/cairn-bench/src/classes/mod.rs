//! `classes`: what different size classes would cost real programs, computed from recorded histograms of what they ask for.
//!
//! The decision that follows from the table is in docs/decisions/size-classes.md.

mod histogram;
mod scheme;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use comfy_table::presets::ASCII_MARKDOWN;

use crate::compare::tables::{align, new_table};

use histogram::{Cost, Histogram};
use scheme::Scheme;

/// What is compared, as the table names it.
const SCHEMES: [(&str, Scheme); 5] = [
    ("16, 4", Scheme { step: 16, spacing_log2: 2 }),
    ("16, 8", Scheme { step: 16, spacing_log2: 3 }),
    ("8, 4", Scheme { step: 8, spacing_log2: 2 }),
    ("8, 8", Scheme { step: 8, spacing_log2: 3 }),
    ("8, 16", Scheme { step: 8, spacing_log2: 4 }),
];

/// The options of `cairn bench classes`.
#[derive(Debug, Args)]
pub struct Classes {
    /// Where the histograms are, one NAME.txt for each program [default: those in the repository]
    folder: Option<PathBuf>,
}

impl Classes {
    /// Prints the tables.
    pub fn run(&self) -> anyhow::Result<()> {
        let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sizes");
        let programs = read_all(&self.folder.clone().unwrap_or_else(own))?;
        println!("Columns: bytes between two classes up to 128, classes for each doubling above.");
        for (name, scheme) in SCHEMES {
            println!("({name}) makes {} classes.", scheme.blocks().len());
        }
        println!("\nRounding, in percent of the bytes asked for:\n");
        print_table(&programs, 1, |cost| 100.0 * cost.waste());
        println!("\nClasses in use:\n");
        print_table(&programs, 0, |cost| cost.classes as f64);
        println!("\nRounding, partly filled pages and bins together, in percent:\n");
        print_table(&programs, 1, |cost| 100.0 * cost.total());
        Ok(())
    }
}

/// The histograms of a folder by program, in order.
fn read_all(folder: &Path) -> anyhow::Result<Vec<(String, Histogram)>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("can't read the folder {}", folder.display()))?;
    let mut programs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
        let histogram =
            Histogram::parse(&text).with_context(|| format!("{} is no histogram", path.display()))?;
        programs.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), histogram));
    }
    ensure!(!programs.is_empty(), "there is no histogram (NAME.txt) in {}", folder.display());
    programs.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(programs)
}

/// One row for each program, and the arithmetic mean over the programs.
fn print_table(programs: &[(String, Histogram)], digits: usize, value: impl Fn(&Cost) -> f64) {
    let mut heads = vec!["program", "KB"];
    heads.extend(SCHEMES.iter().map(|(name, _)| *name));
    let mut table = new_table(ASCII_MARKDOWN, &heads);
    let mut means = [0.0; SCHEMES.len()];
    for (name, histogram) in programs {
        let costs = SCHEMES.map(|(_, scheme)| histogram.cost(scheme));
        let mut row = vec![name.clone(), (costs[0].requested / 1000).to_string()];
        for (cost, mean) in costs.iter().zip(&mut means) {
            row.push(format!("{:.digits$}", value(cost)));
            *mean += value(cost) / programs.len() as f64;
        }
        table.add_row(row);
    }
    let mut row = vec!["mean".to_owned(), String::new()];
    row.extend(means.iter().map(|mean| format!("{mean:.digits$}")));
    table.add_row(row);
    println!("{}", align(table));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Vec<(String, Histogram)> {
        read_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sizes")).unwrap()
    }

    fn mean(scheme: Scheme) -> f64 {
        let programs = recorded();
        programs.iter().map(|(_, h)| h.cost(scheme).total()).sum::<f64>() / programs.len() as f64
    }

    /// The decision of docs/decisions/size-classes.md, as the data has it; new data that says otherwise fails here.
    #[test]
    fn the_spacing_in_use_is_the_best_on_the_recorded_programs() {
        assert!(recorded().len() >= 8);
        let used = cairn_alloc::class::SPACING_LOG2;
        let means = [2, 3, 4].map(|spacing_log2| (spacing_log2, mean(Scheme { step: 8, spacing_log2 })));
        let best = means.iter().map(|(_, mean)| *mean).fold(f64::INFINITY, f64::min);
        let mine = means.iter().find(|(spacing, _)| *spacing == used).expect("spacing 2, 3 or 4").1;
        assert!(mine <= best, "{used} costs {mine:.3}, the best is {best:.3}: {means:?}");
    }

    #[test]
    fn a_folder_without_histograms_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_all(folder.path()).unwrap_err().to_string().contains("no histogram"));
        fs::write(folder.path().join("x.txt"), "hello").unwrap();
        assert!(format!("{:#}", read_all(folder.path()).unwrap_err()).contains("line 1"));
    }
}

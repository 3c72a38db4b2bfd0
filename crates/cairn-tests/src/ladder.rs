//! The direction of the crates: who may know whom. Read from the manifests and from the sources.

use crate::scratch;
use std::path::{Path, PathBuf};
use std::{fs, iter};

/// For each crate of the product, the crates of ours that it may know. A crate that is not listed here is a tool
/// around the product: it may know any but [`TOPS`].
pub const LADDER: &[(&str, &[&str])] = &[
    ("cairn-core", &[]),
    ("cairn-alloc", &["cairn-core"]),
    ("cairn-malloc", &["cairn-alloc", "cairn-core"]),
    ("cairn-heap", &["cairn-core"]),
    ("cairn-lab", &["cairn-heap", "cairn-core"]),
    ("cairn-course", &["cairn-heap", "cairn-core"]),
    ("cairn-workload", &[]),
    ("cairn-bench", &["cairn-workload", "cairn-lab", "cairn-heap", "cairn-alloc", "cairn-core"]),
    ("cairn-cli", &["cairn-bench", "cairn-lab", "cairn-heap", "cairn-alloc", "cairn-core"]),
];

/// Nobody may depend on these: two export names of C, the third is a program.
pub const TOPS: &[&str] = &["cairn-malloc", "cairn-course", "cairn-cli"];

/// All crates: name and directory.
pub fn crates() -> Vec<(String, PathBuf)> {
    let dir = scratch::workspace().join("crates");
    let entries = fs::read_dir(&dir).unwrap_or_else(|e| panic!("cannot list {}: {e}", dir.display()));
    let mut crates: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()))
        .collect();
    crates.sort();
    crates
}

/// Whether `from` may know `to`. Itself it may (its tests may want it with other features).
pub fn allowed(from: &str, to: &str) -> bool {
    if from == to {
        return true;
    }
    match LADDER.iter().find(|(name, _)| *name == from) {
        Some((_, below)) => below.contains(&to),
        None => !TOPS.contains(&to),
    }
}

/// The crates of ours that a manifest names as dependencies: plain, for builds, for tests, for one platform.
pub fn dependencies(dir: &Path) -> Vec<String> {
    let path = dir.join("Cargo.toml");
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
    let manifest: toml::Table = text.parse().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let platforms = manifest.get("target").and_then(toml::Value::as_table);
    let platforms = platforms.into_iter().flat_map(|table| table.values()).filter_map(toml::Value::as_table);
    let mut found = Vec::new();
    for table in iter::once(&manifest).chain(platforms) {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            let entries = table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
            for (name, entry) in entries {
                // `name = { package = "real-name" }` renames.
                let real = entry.get("package").and_then(toml::Value::as_str).unwrap_or(name);
                if real.starts_with("cairn-") {
                    found.push(real.to_owned());
                }
            }
        }
    }
    found
}

/// Every mention of a crate of ours in the code of a crate: file, line, and the crate's name with hyphens.
pub fn mentions(dir: &Path) -> Vec<(PathBuf, usize, String)> {
    let mut found = Vec::new();
    for folder in ["src", "tests", "examples", "benches"] {
        let mut files = Vec::new();
        sources(&dir.join(folder), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap_or_default();
            for (number, line) in text.lines().enumerate() {
                found.extend(crates_in(line).into_iter().map(|name| (file.clone(), number + 1, name)));
            }
        }
    }
    found
}

fn sources(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The crates that a line of code names as a path (`cairn_core::…`, `use cairn_core;`, `extern crate cairn_core`).
fn crates_in(line: &str) -> Vec<String> {
    let code = line.split("//").next().unwrap_or("");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut names = Vec::new();
    for (start, _) in code.match_indices("cairn_") {
        let name: String = code[start..].chars().take_while(|c| word(*c)).collect();
        let whole = !code[..start].ends_with(word);
        let path = code[start + name.len()..].starts_with("::");
        let imported = ["use ", "extern crate "].iter().any(|keyword| code[..start].ends_with(keyword));
        if whole && (path || imported) {
            names.push(name.replace('_', "-"));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::crates_in;

    #[test]
    fn a_crate_is_found_in_each_form_and_not_in_comments() {
        assert_eq!(crates_in("use cairn_core::size::Align;"), ["cairn-core"]);
        assert_eq!(crates_in("pub use cairn_core;"), ["cairn-core"]);
        assert_eq!(crates_in("let x = ::cairn_alloc::engine::trim(0);"), ["cairn-alloc"]);
        assert!(crates_in("// see cairn_alloc::engine").is_empty());
        assert!(crates_in("let cairn_core_count = my_cairn_core::x;").is_empty());
    }
}

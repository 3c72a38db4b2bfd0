//! Counts what is unsafe in a source: a reader of Rust that knows comments and strings, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};

/// What is unsafe in one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `unsafe { .. }`.
    pub blocks: usize,
    /// `unsafe fn`, also `unsafe extern "C" fn`.
    pub functions: usize,
    /// `unsafe impl` and `unsafe trait`.
    pub promises: usize,
}

impl Counts {
    /// Whether there is nothing.
    pub fn is_empty(self) -> bool {
        self == Counts::default()
    }
}

/// The source with comments and the insides of strings taken out.
pub fn code(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(text) = rest.strip_prefix("r#\"") {
            text.find("\"#").map_or(rest.len(), |end| 3 + end + 2)
        } else if first == '"' {
            string_end(rest)
        } else if rest.starts_with("'\"'") {
            3
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// Where a string ends that begins here.
fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Counts in a source what ships: not what stands behind `#[cfg(test)] mod`.
pub fn count(source: &str) -> Counts {
    let code = code(source);
    let shipped = code.find("#[cfg(test)]\nmod tests {").map_or(&code[..], |tests| &code[..tests]);
    let divides = |c: char| c.is_whitespace() || "{}()[]<>,;!&*|=-".contains(c);
    let mut words = shipped.split_inclusive(divides).flat_map(|piece| {
        let word = piece.trim_end_matches(divides);
        let mark = piece[word.len()..].trim();
        [word, mark].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>()
    });
    let mut counts = Counts::default();
    while let Some(word) = words.next() {
        if word != "unsafe" {
            continue;
        }
        match words.next() {
            Some("{") => counts.blocks += 1,
            Some("impl" | "trait") => counts.promises += 1,
            // A type `unsafe fn(..)` counts as well: who calls it promises something.
            Some("fn" | "extern") => counts.functions += 1,
            // An attribute, `#[unsafe(no_mangle)]`.
            _ => {}
        }
    }
    counts
}

/// All sources under a directory, but tests: path from `root` on, and text.
pub fn sources(root: &Path, dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).unwrap_or_else(|e| panic!("cannot list {}: {e}", dir.display()));
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_test = path.file_stem().is_some_and(|name| name == "tests");
        if path.is_dir() && !is_test {
            found.extend(sources(root, &path));
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            let text =
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()));
            found.push((path.strip_prefix(root).expect("below the root").to_owned(), text));
        }
    }
    found.sort();
    found
}

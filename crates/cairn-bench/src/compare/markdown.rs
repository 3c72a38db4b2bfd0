//! The generated part of `docs/benchmarks.md`: everything between two markers, and nothing else, is replaced.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use comfy_table::presets::ASCII_MARKDOWN;

use super::results::{LoadResult, Quantity, Results};
use super::sections::{self, Section};
use super::tables::{load_table, notes};

/// The line that opens the generated part.
pub const BEGIN: &str = "<!-- cairn-bench: generated from here -->";
/// The line that closes it.
pub const END: &str = "<!-- cairn-bench: generated up to here -->";

/// Writes the tables into the file: between its markers, or as a new file if there is none.
pub fn write(file: &Path, results: &Results) -> anyhow::Result<()> {
    write_between(file, &generated(results))
}

/// Writes this part into the file, in the same way.
pub fn write_between(file: &Path, part: &str) -> anyhow::Result<()> {
    let old = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => format!("{BEGIN}\n{END}\n"),
        Err(error) => bail!("can't read {}: {error}", file.display()),
    };
    let Some(new) = replaced(&old, part) else {
        bail!(
            "{} has no place for the tables, and is left as it is; put these two lines where they belong:\n{BEGIN}\n{END}",
            file.display()
        );
    };
    std::fs::write(file, new).with_context(|| format!("can't write {}", file.display()))
}

/// The text with another part between the markers; none if it has no markers in this order.
fn replaced(text: &str, part: &str) -> Option<String> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some(format!("{}\n\n{}\n{}", &text[..begin], part.trim(), &text[end..]))
}

fn generated(results: &Results) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "Machine: {}.\n", results.machine);
    if !results.command.is_empty() {
        let _ = writeln!(text, "Command: `{}`, {}.\n", results.command, results.began);
    }
    let _ =
        writeln!(text, "Runs of each load on each allocator: {}{}.\n", results.runs, scaled(results.scale));
    write_section(&mut text, sections::allocators_section(results));
    for section in sections::summary(results) {
        write_section(&mut text, section);
    }
    for section in sections::across(results, &ACROSS) {
        write_section(&mut text, section);
    }
    let _ = writeln!(text, "\n### Each load in full");
    for load in &results.loads {
        write_load(&mut text, load, &results.allocators());
    }
    text
}

/// The quantities that have a table of all loads.
const ACROSS: [Quantity; 6] =
    [Quantity::Time, Quantity::Wall, Quantity::Cpu, Quantity::PeakRss, Quantity::Faults, Quantity::Switches];

fn write_section(text: &mut String, section: Section) {
    let _ = writeln!(text, "\n### {}\n", section.title);
    if !section.note.is_empty() {
        let _ = writeln!(text, "{}\n", section.note);
    }
    if let Some(mut table) = section.table {
        table.load_preset(ASCII_MARKDOWN);
        let _ = writeln!(text, "{table}\n");
    }
    for line in section.lines {
        let _ = writeln!(text, "- {line}");
    }
}

fn scaled(scale: f64) -> String {
    if scale == 1.0 { String::new() } else { format!(", with {scale} of the usual operations") }
}

fn write_load(text: &mut String, load: &LoadResult, allocators: &[&str]) {
    let _ = writeln!(text, "\n<details><summary><b>{}</b>: {}</summary>\n", load.name, load.about);
    if let Some(operation) = &load.operation {
        let _ = writeln!(text, "Time is for {operation}.\n");
    }
    let _ = writeln!(text, "{}\n", load_table(load, allocators, ASCII_MARKDOWN));
    for note in notes(load) {
        let _ = writeln!(text, "- {note}");
    }
    let _ = writeln!(text, "\n</details>");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ratios::tests::session;

    #[test]
    fn only_the_part_between_the_markers_changes() {
        let text = format!("# Before\n{BEGIN}\nold\n{END}\nAfter\n");
        let new = replaced(&text, "new\n").unwrap();
        assert_eq!(new, format!("# Before\n{BEGIN}\n\nnew\n{END}\nAfter\n"));
        assert_eq!(replaced(&new, "new").unwrap(), new, "twice is the same as once");
        assert_eq!(replaced("no markers", "new"), None);
        assert_eq!(replaced(&format!("{END}\n{BEGIN}\n"), "new"), None);
    }

    #[test]
    fn a_file_without_markers_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.md");
        std::fs::write(&file, "precious").unwrap();
        let error = write(&file, &session()).unwrap_err().to_string();
        assert!(error.contains(BEGIN), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    }

    #[test]
    fn the_page_names_the_best_peer_failures_and_what_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("page.md");
        write(&file, &session()).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("2.000 s (1.00) ★"), "{text}");
        assert!(text.contains("1.000 s (0.50)") && text.contains("failed"), "{text}");
        assert!(text.contains("left out: redis: not found"), "{text}");
    }
}

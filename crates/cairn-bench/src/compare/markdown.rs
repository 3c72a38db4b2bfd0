//! The generated part of `docs/benchmarks.md`: everything between two markers, and nothing else, is replaced.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use comfy_table::presets::ASCII_MARKDOWN;

use super::peers::{GLIBC, Peer};
use super::ratios::{Unit, ratio, unit_value};
use super::results::{LoadResult, Quantity, Results};
use super::tables::{align, duration, load_table, new_table, notes, overall_table, show, unit_in_words};

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
    let _ =
        writeln!(text, "Runs of each load on each allocator: {}{}.\n", results.runs, scaled(results.scale));
    for line in &results.left_out {
        let _ = writeln!(text, "- left out: {line}");
    }
    for unit in [Unit::BestPeer, Unit::Allocator(GLIBC)] {
        let _ = writeln!(text, "\n### Geometric means, 1.00 is {}\n", unit_in_words(unit));
        let _ = writeln!(text, "{}", overall_table(results, unit, ASCII_MARKDOWN));
    }
    for (title, quantity) in [
        ("Time (of one operation; of the whole process where none is counted)", Quantity::Time),
        ("CPU time of the process, user and system", Quantity::Cpu),
        ("Peak resident memory", Quantity::PeakRss),
    ] {
        let _ = writeln!(
            text,
            "\n### {title}\n\nMedian, and its ratio to the best peer's; the best peer is in bold.\n"
        );
        let _ = writeln!(text, "{}", across(results, quantity));
    }
    let _ = writeln!(text, "\n### Each load in full");
    for load in &results.loads {
        write_load(&mut text, load, &results.allocators());
    }
    text
}

fn scaled(scale: f64) -> String {
    if scale == 1.0 { String::new() } else { format!(", with {scale} of the usual operations") }
}

/// One row for each load, one column for each allocator.
fn across(results: &Results, quantity: Quantity) -> comfy_table::Table {
    let mut heads = vec!["load"];
    heads.extend(results.allocators());
    let mut table = new_table(ASCII_MARKDOWN, &heads);
    for load in &results.loads {
        let mut row = vec![load.name.clone()];
        row.extend(results.allocators().into_iter().map(|name| across_cell(load, name, quantity)));
        table.add_row(row);
    }
    align(table)
}

fn across_cell(load: &LoadResult, name: &str, quantity: Quantity) -> String {
    let Some(cell) = load.cell(name) else { return "—".to_owned() };
    let Some(median) = cell.summary(quantity).map(|summary| summary.median) else {
        return if cell.failures.is_empty() { "—".to_owned() } else { "failed".to_owned() };
    };
    let number = match quantity {
        Quantity::Time => duration(median),
        Quantity::Cpu | Quantity::Wall => format!("{median:.3} s"),
        Quantity::PeakRss => format!("{median:.1} MiB"),
        Quantity::Faults | Quantity::Switches => format!("{median:.0}"),
    };
    let times = show(ratio(load, name, quantity, Unit::BestPeer), |value| format!("{value:.2}"));
    let best = !Peer::is_ours(name) && unit_value(load, quantity, Unit::BestPeer) == Some(median);
    if best { format!("**{number}** ({times})") } else { format!("{number} ({times})") }
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
        assert!(text.contains("**2.000 s** (1.00)"), "{text}");
        assert!(text.contains("1.000 s (0.50)") && text.contains("failed"), "{text}");
        assert!(text.contains("left out: redis: not found"), "{text}");
    }
}

//! The tables on the terminal, and the cells that the Markdown tables share with them.

use comfy_table::{Cell as Field, CellAlignment, Table, presets};

use super::ratios::{Unit, ratio};
use super::results::{Cell, LoadResult, Quantity, Results};
use super::sections::Section;

/// Prints one load as a table, as soon as it is measured.
pub fn print_load(load: &LoadResult, allocators: &[&str]) {
    let unit =
        load.operation.as_deref().map_or(String::new(), |operation| format!("; time is for {operation}"));
    println!("\n{}: {}{unit}", load.name, load.about);
    println!("{}", load_table(load, allocators, presets::UTF8_FULL_CONDENSED));
    for line in notes(load) {
        println!("  {line}");
    }
}

/// Prints everything that is said about the whole session.
pub fn print_end(results: &Results) {
    let mut all = super::sections::across(results, &super::standing::JUDGED);
    all.push(super::sections::allocators_section(results));
    // The bars come last, where the eye is when everything has scrolled by.
    let mut summary = super::sections::summary(results);
    if summary.len() > 1 {
        let bars = summary.remove(0);
        summary.push(bars);
    }
    all.extend(summary);
    for section in all {
        print_section(&section);
    }
}

/// Prints a part of the report.
pub fn print_section(section: &Section) {
    println!("\n{}", section.title);
    if !section.note.is_empty() {
        println!("{}", section.note);
    }
    if let Some(table) = &section.table {
        println!("{table}");
    }
    for line in &section.lines {
        println!("  {line}");
    }
}

/// What the number one stands for.
pub fn unit_in_words(unit: Unit) -> String {
    match unit {
        Unit::BestPeer => "the best peer on each load (another one for each load and column)".to_owned(),
        Unit::Allocator(name) => name.to_owned(),
    }
}

/// One row for each allocator, all quantities.
pub fn load_table(load: &LoadResult, allocators: &[&str], preset: &str) -> Table {
    let heads = [
        "allocator",
        "time",
        "× best",
        "min",
        "spread",
        "wall s",
        "CPU s",
        "× best",
        "peak MiB",
        "× best",
        "faults",
        "switches",
        "runs",
    ];
    let mut table = new_table(preset, &heads);
    for &name in allocators {
        let Some(cell) = load.cell(name) else { continue };
        table.add_row(load_row(load, cell));
    }
    align(table)
}

fn load_row(load: &LoadResult, cell: &Cell) -> Vec<Field> {
    let median = |quantity| cell.summary(quantity).map(|summary| summary.median);
    let times = |quantity| {
        show(ratio(load, &cell.allocator, quantity, Unit::BestPeer), |value| format!("{value:.2}"))
    };
    let seconds = |quantity| show(median(quantity), |value| format!("{value:.3}"));
    let time = cell.summary(Quantity::Time);
    let row = [
        cell.allocator.clone(),
        show(time.map(|time| time.median), duration),
        times(Quantity::Time),
        show(time.map(|time| time.min), duration),
        show(time.map(|time| time.spread()), |value| format!("{:.0} %", value * 100.0)),
        seconds(Quantity::Wall),
        seconds(Quantity::Cpu),
        times(Quantity::Cpu),
        show(median(Quantity::PeakRss), |value| format!("{value:.1}")),
        times(Quantity::PeakRss),
        show(median(Quantity::Faults), thousands),
        show(median(Quantity::Switches), thousands),
        runs(cell),
    ];
    row.into_iter().map(Field::new).collect()
}

/// A table with these heads.
pub fn new_table(preset: &str, heads: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(preset).set_header(heads);
    table
}

/// Numbers to the right; the first column is a name.
pub fn align(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Failures, and resident memory at points, in words.
pub fn notes(load: &LoadResult) -> Vec<String> {
    let mut lines = Vec::new();
    for cell in &load.cells {
        let mut failures: Vec<(&str, usize)> = Vec::new();
        for failure in &cell.failures {
            match failures.iter_mut().find(|(known, _)| *known == failure) {
                Some((_, times)) => *times += 1,
                None => failures.push((failure, 1)),
            }
        }
        for (failure, times) in failures {
            let times = if times == 1 { "once".to_owned() } else { format!("{times} times") };
            lines.push(format!("{} failed {times}: {failure}", cell.allocator));
        }
    }
    for cell in &load.cells {
        let Some(run) = cell.runs.first().filter(|run| !run.points.is_empty()) else { continue };
        let points: Vec<String> = run
            .points
            .iter()
            .map(|point| format!("{} {}/{}", point.at, point.resident_kib / 1024, point.live_kib / 1024))
            .collect();
        lines.push(format!("{}, resident/live MiB: {}", cell.allocator, points.join(", ")));
    }
    lines
}

/// A number in the form that fits, or a dash if there is none.
pub fn show(value: Option<f64>, form: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| "—".to_owned(), form)
}

/// Nanoseconds with the unit that fits.
pub fn duration(nanoseconds: f64) -> String {
    match nanoseconds {
        value if value < 1e3 => format!("{value:.2} ns"),
        value if value < 1e6 => format!("{:.2} µs", value / 1e3),
        value if value < 1e9 => format!("{:.2} ms", value / 1e6),
        value => format!("{:.3} s", value / 1e9),
    }
}

/// A whole number with its digits in groups of three.
pub fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn runs(cell: &Cell) -> String {
    let mut text = cell.runs.len().to_string();
    if cell.disturbed() > 0 {
        text += &format!(", {} disturbed", cell.disturbed());
    }
    if !cell.failures.is_empty() {
        text += &format!(", {} failed", cell.failures.len());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ratios::tests::session;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(duration(3.456), "3.46 ns");
        assert_eq!(duration(16_568.4), "16.57 µs");
        assert_eq!(duration(1.5e9), "1.500 s");
        assert_eq!(thousands(6_269_920.0), "6,269,920");
        assert_eq!(thousands(12.0), "12");
        assert_eq!(show(None, duration), "—");
    }

    #[test]
    fn a_load_shows_its_ratios_and_failures() {
        let session = session();
        let text = load_table(&session.loads[0], &session.allocators(), presets::ASCII_MARKDOWN).to_string();
        let cairn = text.lines().find(|line| line.contains("cairn")).unwrap();
        assert!(cairn.contains("0.50") && cairn.contains("1.000 s"), "{text}");
        let text = load_table(&session.loads[1], &session.allocators(), presets::ASCII_MARKDOWN).to_string();
        let other = text.lines().find(|line| line.contains("other")).unwrap();
        assert!(other.contains('—') && other.contains("1 failed"), "{text}");
        assert_eq!(notes(&session.loads[1]), ["other failed once: crashed by SIGSEGV"]);
    }
}

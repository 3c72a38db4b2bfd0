//! Tables of a session: on the terminal and as Markdown.

use std::fmt::Write as _;

use comfy_table::Table;

use super::results::{Results, Row};
use crate::compare::tables::{align, new_table, show};
use crate::statistics::Summary;

fn percent(value: Option<f64>) -> String {
    show(value, |value| format!("{:.2} %", 100.0 * value))
}

fn number(value: Option<f64>) -> String {
    show(value, |value| format!("{value:.2}"))
}

/// One trace, one row for each heap.
pub fn row_table(results: &Results, row: &Row, preset: &str) -> Table {
    let heads = ["heap", "utilisation", "whole", "in steps", "smallest", "ns/op, median", "min", "spread"];
    let mut table = new_table(preset, &heads);
    for (heap, cell) in results.heaps.iter().zip(&row.cells) {
        let summary = Summary::of(&cell.ns);
        let mark = if cell.cut { "≥ " } else { "" };
        table.add_row(vec![
            heap.name.clone(),
            percent(row.utilisation(cell.extent())),
            percent(row.utilisation(cell.whole)),
            percent(row.utilisation(cell.growing)),
            percent(row.utilisation(cell.smallest)),
            show(summary.map(|s| s.median), |value| format!("{mark}{value:.2}")),
            number(summary.map(|s| s.min)),
            show(summary.map(|s| s.spread()), |value| format!("{:.0} %", 100.0 * value)),
        ]);
    }
    align(table)
}

/// The line above a trace's table.
pub fn row_title(row: &Row) -> String {
    format!(
        "{}: {} operations, greatest live payload {} bytes, perfect placement of blocks with a header word {}",
        row.trace,
        row.steps,
        row.payload,
        percent(row.utilisation(Some(row.bound)))
    )
}

/// The means, one row for each heap.
pub fn means_table(results: &Results, preset: &str) -> Table {
    let heads = [
        "heap",
        "version",
        "utilisation",
        "whole",
        "in steps",
        "smallest",
        "ns/op, mean of medians",
        "of minima",
        "geometric",
        "traces",
    ];
    let mut table = new_table(preset, &heads);
    for (heap, means) in results.heaps.iter().zip(results.means()) {
        let mark = if means.cut > 0 { "≥ " } else { "" };
        let mut traces = format!("{} of {}", means.traces, results.rows.len());
        if means.cut > 0 {
            let _ = write!(traces, ", {} cut", means.cut);
        }
        table.add_row(vec![
            heap.name.clone(),
            heap.what.clone(),
            percent(means.utilisation),
            percent(means.by_way[0]),
            percent(means.by_way[1]),
            percent(means.by_way[2]),
            show(means.ns_median, |value| format!("{mark}{value:.2}")),
            number(means.ns_min),
            number(means.ns_geometric),
            traces,
        ]);
    }
    align(table)
}

/// What is said below the means.
pub fn end(results: &Results) -> Vec<String> {
    let mut lines = vec![format!(
        "Perfect placement of blocks with a header word of 8 bytes: {} on the mean.",
        percent(results.bound())
    )];
    lines.extend(results.verdict());
    lines
}

/// The generated part of docs/benchmarks-heap.md.
pub fn markdown(results: &Results, command: &str) -> String {
    use comfy_table::presets::ASCII_MARKDOWN;
    let mut text = String::new();
    let _ = writeln!(text, "Machine: {}.\n", results.machine);
    let _ = writeln!(text, "Command: `{command}`\n");
    let _ = writeln!(
        text,
        "Traces: {}; blocks aligned to {}; rounds: {}.\n",
        results.rows.len(),
        results.align,
        results.rounds
    );
    let _ = writeln!(text, "### Means\n\n{}\n", means_table(results, ASCII_MARKDOWN));
    for line in end(results) {
        let _ = writeln!(text, "- {line}");
    }
    let _ = writeln!(text, "\n### Each trace");
    for row in &results.rows {
        let _ = writeln!(
            text,
            "\n<details><summary>{}</summary>\n\n{}\n\n</details>",
            row_title(row),
            row_table(results, row, ASCII_MARKDOWN)
        );
    }
    text
}

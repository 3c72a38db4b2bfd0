//! The figures of a replay as tables for people, and as JSON for programs.

use cairn_lab::replay::{Means, Outcome, Report, Score};
use serde::Serialize;

use crate::table::{Table, bytes, count};

/// A heap's name: its policy, and its configuration if that isn't the usual one.
pub fn heap_name(policy: &str, config: &str) -> String {
    if config == "standard" { policy.to_owned() } else { format!("{policy} ({config})") }
}

/// All tables.
pub fn text(reports: &[Report], means: &[Means]) -> String {
    let mut text = String::new();
    for report in reports {
        text += &of_trace(report);
        text.push('\n');
    }
    if reports.len() > 1 {
        text += &of_means(reports.len(), means);
    } else {
        text.pop();
    }
    text
}

fn of_trace(report: &Report) -> String {
    let mut text = format!(
        "{}: {} operations on {} ids, at most {} of payload live\n",
        report.trace,
        count(report.operations as u64),
        count(u64::from(report.ids)),
        bytes(report.peak_payload)
    );
    for of in &report.bounds {
        let with = if report.bounds.len() > 1 { format!(" ({})", of.config) } else { String::new() };
        text += &format!(
            "bounds{with}: {} with no reuse at all, {} with perfect reuse\n",
            bytes(of.bounds.no_reuse),
            bytes(of.bounds.perfect_reuse)
        );
    }
    if report.results.is_empty() {
        return text;
    }
    let mut table = Table::with_names(&[
        "policy", "heap", "util", "perfect", "ns/op", "Mop/s", "splits", "joins", "search", "internal",
        "external", "pages", "score",
    ]);
    for outcome in &report.results {
        table.row(&row(outcome));
    }
    text + &table.to_string()
}

fn row(outcome: &Outcome) -> [String; 13] {
    [
        heap_name(outcome.policy, outcome.config),
        bytes(outcome.heap_bytes),
        percent(outcome.utilisation),
        percent(outcome.of_perfect),
        format!("{:.1}", outcome.ns_per_op),
        format!("{:.2}", outcome.throughput / 1e6),
        count(outcome.counts.splits),
        count(outcome.counts.coalesces),
        format!("{:.1}", outcome.mean_search),
        percent(outcome.internal_fragmentation),
        percent(outcome.external_fragmentation),
        count(outcome.pages_touched),
        format!("{:.1}", outcome.score),
    ]
}

fn of_means(traces: usize, means: &[Means]) -> String {
    let mut table = Table::with_names(&[
        "policy", "traces", "util", "perfect", "ns/op", "Mop/s", "search", "internal", "external", "score",
    ]);
    for mean in means {
        table.row(&[
            heap_name(mean.policy, mean.config),
            count(mean.traces as u64),
            percent(mean.utilisation),
            percent(mean.of_perfect),
            format!("{:.1}", mean.ns_per_op),
            format!("{:.2}", mean.throughput / 1e6),
            format!("{:.1}", mean.mean_search),
            percent(mean.internal_fragmentation),
            percent(mean.external_fragmentation),
            format!("{:.1}", mean.score),
        ]);
    }
    format!("means over {traces} traces\n{table}")
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    score: Score,
    traces: &'a [Report],
    means: &'a [Means],
}

/// The JSON form.
pub fn json(reports: &[Report], means: &[Means], score: Score) -> String {
    let document = Document { score, traces: reports, means };
    let mut text = serde_json::to_string_pretty(&document).expect("plain data has a JSON form");
    text.push('\n');
    text
}

//! The HTML page: one file that needs nothing else, with plots as inline SVG and no script.
//!
//! [`scatter`] draws time against memory with one point for each allocator, [`chart`] one load as bars; the tables are
//! those of the terminal. Numbers appear where the mouse rests (the `title` of each mark), and the colours follow the
//! reader's light or dark setting.

mod chart;
mod scatter;

use comfy_table::Table;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::bars::{Bar, bars};
use super::catalogue::Kind;
use super::peers::Peer;
use super::ratios::Over;
use super::results::{Quantity, Results};
use super::sections::{self, Section};
use super::tables::{notes, show};

/// The whole page.
pub fn page(results: &Results) -> String {
    let sections = sections::summary(results);
    let kinds: Vec<Kind> =
        Kind::ALL.into_iter().filter(|&kind| results.loads.iter().any(|load| load.kind == kind)).collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Cairn and its peers" }
                style { (PreEscaped(include_str!("style.css"))) }
            }
            body { main {
                (head(results))
                nav {
                    a href="#bars" { "the bars" }
                    a href="#plots" { "time against memory" }
                    a href="#tables" { "means and winners" }
                    @for kind in &kinds { a href={ "#" (anchor(*kind)) } { (kind.in_words()) } }
                    a href="#across" { "all numbers" }
                }
                div id="bars" { (bars_table(&bars(results))) }
                div id="plots" { (plots(results, &kinds)) }
                div id="tables" {
                    // The bars have their own, coloured form above.
                    @for section in sections.iter().filter(|section| section.title != "The bars") { (part(section)) }
                }
                @for &kind in &kinds { (loads(results, kind)) }
                div id="across" {
                    h2 { "All numbers" }
                    @for section in &sections::across(results, &ACROSS) {
                        details { summary { (section.title) } (body(section)) }
                    }
                }
            } }
        }
    };
    page.into_string()
}

/// The quantities that have a table of all loads.
const ACROSS: [Quantity; 6] =
    [Quantity::Time, Quantity::Wall, Quantity::Cpu, Quantity::PeakRss, Quantity::Faults, Quantity::Switches];

fn anchor(kind: Kind) -> String {
    kind.in_words().replace(' ', "-").to_lowercase()
}

fn head(results: &Results) -> Markup {
    html! {
        h1 { "Cairn and its peers" }
        p.facts { (results.machine) "." }
        p.facts {
            @if !results.command.is_empty() { code { (results.command) } " · " (results.began) " · " }
            (results.loads.len()) " loads on " (results.peers.len()) " allocators, "
            (results.runs) " runs of each"
            @if results.scale != 1.0 { ", with " (results.scale) " of the usual operations" }
            "."
        }
        details { summary { "Allocators and versions" } (body(&sections::allocators_section(results))) }
    }
}

fn bars_table(bars: &[Bar]) -> Markup {
    if bars.is_empty() {
        return html! {};
    }
    let number =
        |bar: &Bar, value: f64| if bar.limit == 0.0 { format!("{value:.0}") } else { format!("{value:.3}") };
    html! {
        h2 { "The bars" }
        p { "What Cairn has to reach to be called ahead of every peer, and what it reached in this session." }
        div.scroll { table.words {
            tr { th { "" } th { "bar" } th { "is" } th { "at most" } th { "" } th { "decided by" } }
            @for bar in bars {
                tr {
                    td { (bar.number) }
                    td { (bar.what) }
                    td.number { (show(bar.value, |value| number(bar, value))) }
                    td.number { (number(bar, bar.limit)) }
                    td class=(match bar.passed { Some(true) => "passed", Some(false) => "failed", None => "" }) {
                        (bar.in_words())
                    }
                    td { (bar.detail) }
                }
            }
        } }
    }
}

fn plots(results: &Results, kinds: &[Kind]) -> Markup {
    let mut overs = vec![Over::All];
    if kinds.len() > 1 {
        overs.extend(kinds.iter().map(|&kind| Over::Only(kind)));
    }
    html! {
        h2 { "Time against memory" }
        p {
            "One point for each allocator, left and low is good. Geometric means of the ratios to glibc: memory over the "
            "loads on which glibc needs more than 20 MiB, or over all of the group if there are none."
        }
        div.plots {
            @for over in &overs {
                @for quantity in [Quantity::Wall, Quantity::Cpu] {
                    @if let Some(plot) = scatter::scatter(results, *over, quantity) { div.card {
                        h3 { (over.in_words()) ": " (quantity.in_words()) " against " (Quantity::PeakRss.in_words()) }
                        (plot)
                    } }
                }
            }
        }
    }
}

fn loads(results: &Results, kind: Kind) -> Markup {
    html! {
        h2 id=(anchor(kind)) { "Loads: " (kind.in_words()) }
        p { "Bars are medians, the thin line goes from the least run to the greatest. The stronger blue is the best peer." }
        div.loads {
            @for load in results.loads.iter().filter(|load| load.kind == kind) {
                div.card id={ "load-" (load.name) } {
                    h3 { (load.name) }
                    p {
                        (load.about)
                        @if let Some(operation) = &load.operation { "; time is for " (operation) }
                    }
                    (chart::chart(results, load))
                    @let notes = notes(load);
                    @if !notes.is_empty() { ul { @for note in &notes { li { (note) } } } }
                }
            }
        }
    }
}

fn part(section: &Section) -> Markup {
    html! { h2 { (section.title) } (body(section)) }
}

fn body(section: &Section) -> Markup {
    html! {
        @if !section.note.is_empty() { p { (section.note) } }
        @if let Some(section) = &section.table { (table(section)) }
        @if !section.lines.is_empty() { ul { @for line in &section.lines { li { (line) } } } }
    }
}

fn table(table: &Table) -> Markup {
    let head: Vec<String> =
        table.header().map(|row| row.cell_iter().map(|cell| cell.content()).collect()).unwrap_or_default();
    let rows: Vec<Vec<String>> =
        table.row_iter().map(|row| row.cell_iter().map(|cell| cell.content()).collect()).collect();
    // A column without a number begins at the left.
    let is_word = |cell: &String| cell.starts_with(char::is_alphabetic);
    let of_words = |at: usize| rows.iter().all(|row| row.get(at).is_some_and(is_word));
    let side = |at: usize| of_words(at).then_some("word");
    html! {
        div.scroll { table {
            tr { @for (at, cell) in head.iter().enumerate() { th class=[side(at)] { (cell) } } }
            @for row in &rows {
                tr class=[row.first().filter(|name| Peer::is_ours(name)).map(|_| "ours")] {
                    @for (at, cell) in row.iter().enumerate() { td class=[side(at)] { (cell) } }
                }
            }
        } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::ratios::tests::session;

    #[test]
    fn the_page_has_every_load_and_allocator_and_needs_nothing_else() {
        let results = session();
        let page = page(&results);
        for load in &results.loads {
            assert!(page.contains(&format!("id=\"load-{}\"", load.name)), "{}", load.name);
        }
        for peer in &results.peers {
            assert!(page.contains(&format!(">{}</text>", peer.name)), "{} has no mark", peer.name);
        }
        assert!(page.contains("crashed by SIGSEGV") && page.contains("redis: not found"));
        for outside in ["http://", "https://", "<script", "@import", "url("] {
            assert!(!page.contains(outside), "{outside} is not in the file itself");
        }
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }

    #[test]
    fn what_a_peer_prints_can_not_become_part_of_the_page() {
        let mut results = session();
        results.loads[1].cells[2].failures = vec!["<script>alert(1)</script>".to_owned()];
        assert!(!page(&results).contains("<script"));
    }
}

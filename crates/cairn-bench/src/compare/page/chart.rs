//! One load as bars: time on the left, peak memory on the right, one row for each allocator.

use maud::{Markup, html};

use crate::compare::peers::Peer;
use crate::compare::ratios::{Unit, ratio, unit_value};
use crate::compare::results::{Cell, LoadResult, Quantity, Results};
use crate::compare::tables::{duration, show};

const WIDTH: f64 = 560.0;
const ROW: f64 = 17.0;
/// Where the names end.
const NAMES: f64 = 74.0;
/// What is kept free for the numbers behind the bars.
const NUMBER: f64 = 74.0;
const GAP: f64 = 8.0;

/// Draws a load.
pub fn chart(results: &Results, load: &LoadResult) -> Markup {
    let cells: Vec<&Cell> = results.allocators().into_iter().filter_map(|name| load.cell(name)).collect();
    let half = (WIDTH - NAMES) / 2.0;
    let height = ROW * (cells.len() as f64 + 1.0) + 2.0;
    let columns = [Quantity::Time, Quantity::PeakRss];
    html! {
        svg viewBox={ "0 0 " (WIDTH) " " (height) } role="img" {
            @for (at, quantity) in columns.into_iter().enumerate() {
                text.axis x=(NAMES + GAP + half * at as f64) y=(ROW - 6.0) { (heading(load, quantity)) }
            }
            @for (row, cell) in cells.iter().enumerate() {
                @let y = ROW * (row as f64 + 1.0);
                text class=[Peer::is_ours(&cell.allocator).then_some("ours")] x=(NAMES) y=(y + 12.0) text-anchor="end" {
                    (cell.allocator)
                }
                @for (at, quantity) in columns.into_iter().enumerate() {
                    (bar(load, cell, quantity, NAMES + GAP + half * at as f64, y, half - NUMBER - GAP))
                }
            }
        }
    }
}

fn heading(load: &LoadResult, quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Time if load.operation.is_some() => "time of one operation",
        Quantity::Time => "wall time",
        other => other.in_words(),
    }
}

/// The greatest median on the load. A run that was far off may reach beyond, and its line is cut there.
fn longest(load: &LoadResult, quantity: Quantity) -> f64 {
    let medians = load.cells.iter().filter_map(|cell| Some(cell.summary(quantity)?.median));
    medians.fold(0.0, f64::max)
}

fn bar(load: &LoadResult, cell: &Cell, quantity: Quantity, x: f64, y: f64, width: f64) -> Markup {
    let Some(summary) = cell.summary(quantity) else {
        return html! { text.none x=(x) y=(y + 12.0) { "failed" title { (cell.failures.join("; ")) } } };
    };
    let longest = longest(load, quantity).max(f64::MIN_POSITIVE);
    let at = |value: f64| (x + width * (value / longest).min(1.04)) * 10.0;
    let at = |value: f64| at(value).round() / 10.0;
    let number = |value: f64| match quantity {
        Quantity::Time => duration(value),
        _ => format!("{value:.1} MiB"),
    };
    let times = ratio(load, &cell.allocator, quantity, Unit::BestPeer);
    let times = show(times, |times| format!("{times:.2}"));
    let ours = Peer::is_ours(&cell.allocator);
    let best = unit_value(load, quantity, Unit::BestPeer) == Some(summary.median);
    let class = if ours {
        "ours"
    } else if best {
        "best"
    } else {
        "peer"
    };
    html! {
        g {
            title {
                (cell.allocator) " on " (load.name) ": median " (number(summary.median)) ", least " (number(summary.min))
                ", greatest " (number(summary.max)) ", " (times) " of the best peer's, " (cell.runs.len()) " runs"
            }
            rect class=(class) x=(x) y=(y + 2.5) width=(((at(summary.median) - x).max(1.0) * 10.0).round() / 10.0) height=(ROW - 5.0) {}
            @if summary.max > summary.min {
                line.reach x1=(at(summary.min)) y1=(y + ROW / 2.0) x2=(at(summary.max)) y2=(y + ROW / 2.0) {}
            }
            text.value x=(at(summary.median.max(summary.max)) + 4.0) y=(y + 12.0) { (number(summary.median)) }
        }
    }
}

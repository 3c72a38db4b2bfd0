//! One moment of a heap as an SVG; several policies one below the other.
//!
//! ```text
//!   policy                                             trace · moment
//!   what the last operation did
//!   live   extent   utilisation   free blocks   largest free   inside waste
//!   the free index: a list, bins or a tree          (index)
//!   the heap in rows, the list's order as arcs      (strip)
//!   live payload and extent over time               (chart)
//!   legend
//! ```

mod chart;
mod index;
mod pen;
mod strip;
mod style;

pub use self::pen::escape;

use self::pen::Pen;
use super::palette::Theme;
use crate::history::{Shape, Still, bytes, count};

/// The width of the picture and its empty border.
const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 28.0;
/// Where the drawing begins: offsets stand to the left of it.
const LEFT: f64 = 96.0;
const RIGHT: f64 = WIDTH - MARGIN;

/// Draws these moments one below the other, on one scale.
pub fn svg(stills: &[Still], theme: Theme) -> String {
    let mut pen = Pen::default();
    let mut top = MARGIN;
    let extent = stills.iter().map(|still| still.snapshot.extent).max().unwrap_or(0);
    let most = stills.iter().flat_map(|still| &still.curve).map(|point| point.extent.max(point.live)).max();
    for (number, still) in stills.iter().enumerate() {
        if number > 0 {
            pen.line((MARGIN, top), (RIGHT, top), "rule");
            top += 26.0;
        }
        top = panel(&mut pen, still, top, extent, most.unwrap_or(0)) + 22.0;
    }
    top = legend(&mut pen, stills, top);
    style::document(&pen.done(), WIDTH, top + MARGIN - 10.0, theme)
}

/// One moment; returns where it ends.
fn panel(pen: &mut Pen, still: &Still, top: f64, extent: usize, most: usize) -> f64 {
    let shape = Shape::of(&still.policy, &still.snapshot.index);
    let operations = still.curve.len().saturating_sub(1);
    pen.text((MARGIN, top + 16.0), "title", "start", &still.policy);
    let moment = format!("{} · after {} of {} operations", still.trace, count(still.at), count(operations));
    pen.text((RIGHT, top + 14.0), "muted", "end", &moment);
    pen.text((MARGIN, top + 39.0), "words", "start", &still.words);
    tiles(pen, still, top + 56.0);
    let drawn = index::draw(pen, still, shape, top + 118.0);
    let strip = strip::draw(pen, still, shape, drawn.bottom, extent);
    index::leaders(pen, &drawn, &strip);
    chart::draw(pen, still, strip.bottom + 26.0, most)
}

/// The sums, as a row of figures.
fn tiles(pen: &mut Pen, still: &Still, top: f64) {
    let totals = still.snapshot.totals();
    let mut figures = vec![
        ("live payload", bytes(totals.live)),
        ("heap extent", bytes(totals.extent)),
        ("utilisation", format!("{:.1} %", totals.utilisation())),
        ("used blocks", count(totals.used_blocks)),
        ("free blocks", format!("{} · {}", count(totals.free_blocks), bytes(totals.free_bytes))),
        ("largest free", bytes(totals.largest_free)),
        ("waste inside blocks", bytes(totals.waste)),
    ];
    if totals.waiting_blocks > 0 {
        figures.push(("waiting blocks", count(totals.waiting_blocks)));
    }
    let step = (RIGHT - MARGIN) / figures.len() as f64;
    for (number, (name, figure)) in figures.iter().enumerate() {
        let left = MARGIN + step * number as f64;
        pen.text((left, top + 10.0), "label", "start", name);
        pen.text((left, top + 30.0), "figure", "start", figure);
    }
}

/// What the colours mean; returns where it ends.
fn legend(pen: &mut Pen, stills: &[Still], top: f64) -> f64 {
    let waiting = stills.iter().any(|still| still.snapshot.totals().waiting_blocks > 0);
    let entries = [
        ("head", "header word", true),
        ("used", "payload in use", true),
        ("waste", "waste inside", true),
        ("free", "free block", true),
        ("waiting", "waits to be merged", waiting),
        ("ground", "taken, no block", true),
    ];
    let mut left = MARGIN;
    for (class, words, _) in entries.iter().filter(|(.., shown)| *shown) {
        pen.rectangle((left, top), (16.0, 12.0), class, 2.0);
        pen.text((left + 23.0, top + 10.5), "muted", "start", words);
        left += 50.0 + 6.9 * words.len() as f64;
    }
    pen.arrow(&format!("M{left} {0}h18", top + 6.0), 1.0);
    pen.text((left + 28.0, top + 10.5), "muted", "start", "order of the index");
    top + 12.0
}

//! One moment of a heap in a terminal, with colours or without.
//!
//! Each letter stands for the same number of bytes; a block begins with `|` (plain) or a thin bar (coloured), and tells its size where
//! it has room. Without colours: `#` payload, `+` waste inside, `.` free, `~` freed and waiting.

mod cells;
mod index;
mod paint;

use std::fmt::Write;

use self::paint::{Ink, Paint};
use crate::history::{Point, Shape, Still, bytes, count, place};

/// How to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// Letters in a line.
    pub width: usize,
    /// Whether colours may be used.
    pub colours: bool,
}

/// Rows of the heap at most.
const ROWS: usize = 20;
/// Letters for offsets, left of the rows.
const GUTTER: usize = 11;
/// A narrower screen is drawn as if it had this width.
const WIDTH_MIN: usize = 40;

/// Draws these moments one below the other, on one scale.
pub fn terminal(stills: &[Still], screen: Screen) -> String {
    let paint = Paint { colours: screen.colours };
    let width = screen.width.max(WIDTH_MIN);
    let extent = stills.iter().map(|still| still.snapshot.extent).max().unwrap_or(0);
    let most = stills.iter().flat_map(|still| &still.curve).map(|point| point.extent.max(point.live)).max();
    let mut out = String::new();
    for (number, still) in stills.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        panel(&mut out, still, paint, width, extent);
        curves(&mut out, &still.curve, still.at, paint, width, most.unwrap_or(0).max(1));
    }
    legend(&mut out, stills, paint);
    out
}

/// Writing to a string can't fail.
fn say(out: &mut String, line: &str) {
    let _ = writeln!(out, "{}", line.trim_end());
}

fn panel(out: &mut String, still: &Still, paint: Paint, width: usize, extent: usize) {
    let totals = still.snapshot.totals();
    let operations = still.curve.len().saturating_sub(1);
    say(
        out,
        &format!(
            "{}  {}, after {} of {} operations",
            paint.with(Ink::Bold, &still.policy),
            still.trace,
            count(still.at),
            count(operations)
        ),
    );
    say(out, &still.words);
    say(
        out,
        &format!(
            "live {} in {}: utilisation {:.1} %; waste inside blocks {}",
            bytes(totals.live),
            bytes(totals.extent),
            totals.utilisation(),
            bytes(totals.waste)
        ),
    );
    let waiting = match totals.waiting_blocks {
        0 => String::new(),
        number => format!(", {} waiting", count(number)),
    };
    say(
        out,
        &format!(
            "blocks: {} used, {} free{waiting}; {} free, the largest {}",
            count(totals.used_blocks),
            count(totals.free_blocks),
            bytes(totals.free_bytes),
            bytes(totals.largest_free)
        ),
    );
    out.push('\n');
    heap(out, still, paint, width, extent);
    out.push('\n');
    let shape = Shape::of(&still.policy, &still.snapshot.index);
    index::draw(out, &still.snapshot.index, shape, paint, width);
    out.push('\n');
}

/// The heap in rows.
fn heap(out: &mut String, still: &Still, paint: Paint, width: usize, extent: usize) {
    let letters = width - GUTTER;
    let per_letter = bytes_per_letter(extent, letters);
    let cells = cells::cells(&still.snapshot, per_letter, letters);
    for (row, line) in cells.chunks(letters).enumerate() {
        let mut text = format!("{:>width$} ", place(row * letters * per_letter), width = GUTTER - 1);
        for cell in line {
            text.push_str(&paint.with(cell.ink, &cell.letter(paint.colours).to_string()));
        }
        say(out, &text);
    }
    let each = format!("{:GUTTER$}each letter is {}", "", bytes(per_letter));
    say(out, &paint.with(Ink::Muted, &each));
}

/// A power of two, so that the heap fits the rows.
fn bytes_per_letter(extent: usize, letters: usize) -> usize {
    let mut bytes = 8;
    while extent.div_ceil(bytes * letters) > ROWS {
        bytes *= 2;
    }
    bytes
}

/// Live payload and extent over time, as bars of eighths.
fn curves(out: &mut String, curve: &[Point], at: usize, paint: Paint, width: usize, most: usize) {
    const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let letters = (width - GUTTER).min(curve.len().max(1));
    let last = curve.len().saturating_sub(1).max(1);
    let bars = |pick: fn(&Point) -> usize| -> String {
        let value = |letter: usize| {
            let (from, to) = (letter * curve.len() / letters, (letter + 1) * curve.len() / letters);
            let most = curve.get(from..to.max(from + 1)).unwrap_or_default().iter().map(pick).max();
            most.unwrap_or(0)
        };
        (0..letters).map(|letter| EIGHTHS[(value(letter) * 8).div_ceil(most).min(8)]).collect()
    };
    let name = |name: &str| format!("{name:>width$} ", width = GUTTER - 1);
    say(out, &format!("{}{}", name("extent"), paint.with(Ink::Free, &bars(|point| point.extent))));
    say(out, &format!("{}{}", name("live"), paint.with(Ink::Live, &bars(|point| point.live))));
    let cursor = (at * letters / (last + 1)).min(letters.saturating_sub(1));
    say(out, &format!("{:indent$}{}", "", paint.with(Ink::Link, "^"), indent = GUTTER + cursor));
    say(out, &paint.with(Ink::Muted, &format!("{:GUTTER$}bytes over time, at most {}", "", count(most))));
}

fn legend(out: &mut String, stills: &[Still], paint: Paint) {
    let waiting = stills.iter().any(|still| still.snapshot.totals().waiting_blocks > 0);
    let mut entries =
        vec![(Ink::Used, '#', "in use"), (Ink::Waste, '+', "waste inside"), (Ink::Free, '.', "free")];
    if waiting {
        entries.push((Ink::Waiting, '~', "freed, waits to be merged"));
    }
    let words = entries.iter().map(|(ink, letter, words)| {
        let mark = if paint.colours { "  ".to_owned() } else { letter.to_string() };
        format!("{} {words}", paint.with(*ink, &mark))
    });
    let begin = if paint.colours { "" } else { "   | a block begins" };
    say(out, &format!("{:GUTTER$}{}{begin}", "", words.collect::<Vec<_>>().join("   ")));
}

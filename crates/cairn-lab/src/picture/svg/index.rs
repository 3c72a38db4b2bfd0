//! The free index above the heap: a list in its order, bins in rows, a tree with lines down to its blocks.

use std::collections::HashMap;

use super::pen::{Pen, short};
use super::strip::Strip;
use super::{LEFT, MARGIN, RIGHT};
use crate::history::{Entry, Shape, Still, count, place, without_top};

/// A chip: a free block in the index.
const CHIP: (f64, f64) = (74.0, 30.0);
const STEP: (f64, f64) = (90.0, 38.0);
/// Rows of chips, rows of bins, and levels of a tree at most.
const ROWS: usize = 3;
const BINS: usize = 8;
const LEVELS: usize = 14;
/// Lines from nodes down to blocks at most.
const LEADERS: usize = 24;

/// What was drawn.
#[derive(Debug, Default)]
pub struct Drawn {
    /// The lower edge.
    pub bottom: f64,
    /// The tree's nodes: where, and which block.
    nodes: Vec<((f64, f64), Entry)>,
}

/// Draws the index.
pub fn draw(pen: &mut Pen, still: &Still, shape: Shape, top: f64) -> Drawn {
    let (index, last) = without_top(&still.snapshot.index);
    let name = match shape {
        Shape::List => "free list",
        Shape::Bins => "free bins",
        Shape::Tree => "free tree",
    };
    if shape != Shape::Bins || index.is_empty() {
        pen.text((MARGIN, top + 19.0), "label", "start", name);
    }
    if index.is_empty() && last.is_none() {
        pen.text((LEFT, top + 19.0), "muted", "start", "empty: there is no free block");
        return Drawn { bottom: top + 34.0, nodes: Vec::new() };
    }
    if index.is_empty() {
        pen.text((LEFT, top + 19.0), "muted", "start", "empty, but for the heap's top");
    }
    match shape {
        Shape::List => Drawn { bottom: chips(pen, index, last, top, ROWS), nodes: Vec::new() },
        Shape::Bins => Drawn { bottom: bins(pen, index, last, top), nodes: Vec::new() },
        Shape::Tree => tree(pen, index, last, top),
    }
}

/// Lines from the tree's nodes down to their blocks.
pub fn leaders(pen: &mut Pen, drawn: &Drawn, strip: &Strip) {
    if drawn.nodes.len() > LEADERS {
        return;
    }
    for ((x, y), entry) in &drawn.nodes {
        let (to_x, to_y) = strip.anchor(entry.offset, entry.size);
        let start = y + 11.0;
        let bend = (to_y - start) * 0.5;
        let path = format!(
            "M{} {}C{} {} {} {} {} {}",
            short(*x),
            short(start),
            short(*x),
            short(start + bend),
            short(to_x),
            short(to_y - bend),
            short(to_x),
            short(to_y)
        );
        pen.path(&path, "leader");
    }
}

/// A sequence of free blocks in its order; returns where it ends.
fn chips(pen: &mut Pen, entries: &[Entry], last: Option<&Entry>, top: f64, rows: usize) -> f64 {
    top_chip(pen, last, top);
    // The rightmost place is the heap's top's.
    let per_row = ((RIGHT - LEFT) / STEP.0) as usize - 1;
    let room = per_row * rows;
    // The last chip's room goes to the words that tell how many there are beyond.
    let shown = if entries.len() > room { room - 1 } else { entries.len() };
    let corner =
        |number: usize| (LEFT + STEP.0 * (number % per_row) as f64, top + STEP.1 * (number / per_row) as f64);
    for (number, entry) in entries.iter().take(shown).enumerate() {
        let (x, y) = corner(number);
        chip(pen, (x, y), entry);
        if number + 1 < entries.len() && (number + 1) % per_row != 0 {
            pen.arrow(&format!("M{} {}h{}", short(x + CHIP.0 + 1.0), short(y + CHIP.1 / 2.0), 13), 1.0);
        }
    }
    if shown < entries.len() {
        let (x, y) = corner(shown);
        let beyond = format!("and {} more", count(entries.len() - shown));
        pen.text((x + 2.0, y + 19.0), "muted", "start", &beyond);
    }
    top + STEP.1 * entries.len().min(room).div_ceil(per_row).max(1) as f64
}

/// The heap's top, at the right: it is in no list.
fn top_chip(pen: &mut Pen, last: Option<&Entry>, top: f64) {
    if let Some(entry) = last {
        pen.text((RIGHT - CHIP.0 - 8.0, top + 19.0), "label", "end", "top");
        chip(pen, (RIGHT - CHIP.0, top), entry);
    }
}

fn chip(pen: &mut Pen, (x, y): (f64, f64), entry: &Entry) {
    pen.rectangle((x, y), CHIP, "free", 4.0);
    pen.text((x + CHIP.0 / 2.0, y + 14.0), "on-free", "middle", &count(entry.size));
    pen.text((x + CHIP.0 / 2.0, y + 25.0), "tiny", "middle", &place(entry.offset));
}

/// Rows of bins, those that hold something.
fn bins(pen: &mut Pen, index: &[Entry], last: Option<&Entry>, top: f64) -> f64 {
    top_chip(pen, last, top);
    let mut lists: Vec<(usize, Vec<Entry>)> = Vec::new();
    for entry in index {
        match lists.last_mut() {
            Some((list, entries)) if *list == entry.list => entries.push(*entry),
            _ => lists.push((entry.list, vec![*entry])),
        }
    }
    let shown = if lists.len() > BINS { BINS - 1 } else { lists.len() };
    let mut y = top;
    for (list, entries) in lists.iter().take(shown) {
        pen.text((LEFT - 12.0, y + 19.0), "label", "end", &format!("bin {list}"));
        y = chips(pen, entries, None, y, 1);
    }
    if shown < lists.len() {
        let blocks: usize = lists.iter().skip(shown).map(|(_, entries)| entries.len()).sum();
        let beyond = format!("and {} bins more with {} blocks", count(lists.len() - shown), count(blocks));
        pen.text((LEFT, y + 19.0), "muted", "start", &beyond);
        y += STEP.1;
    }
    y.max(top + STEP.1)
}

/// The tree: nodes from left to right in its order, the root above.
fn tree(pen: &mut Pen, index: &[Entry], last: Option<&Entry>, top: f64) -> Drawn {
    top_chip(pen, last, top);
    let mut order = index.to_vec();
    order.sort_by_key(|entry| (entry.size, entry.offset));
    let room = RIGHT - LEFT - if last.is_some() { CHIP.0 + 50.0 } else { 0.0 };
    let width = room / order.len().max(1) as f64;
    let levels = order.iter().map(|entry| entry.level).max().unwrap_or(0).min(LEVELS);
    let named = width >= 46.0;
    let pitch = if named { 40.0 } else { (150.0 / (levels + 1) as f64).clamp(9.0, 30.0) };
    let nodes: Vec<((f64, f64), Entry)> = order
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.level <= LEVELS)
        .map(|(place, entry)| {
            ((LEFT + width * (place as f64 + 0.5), top + 14.0 + pitch * entry.level as f64), *entry)
        })
        .collect();
    let places: HashMap<usize, (f64, f64)> =
        nodes.iter().map(|(place, entry)| (entry.offset, *place)).collect();
    for (to, entry) in &nodes {
        if let Some(from) = entry.parent.and_then(|parent| places.get(&parent)) {
            pen.line(*from, *to, "branch");
        }
    }
    for ((x, y), entry) in &nodes {
        if named {
            pen.rectangle((x - 26.0, y - 11.0), (52.0, 22.0), "free", 8.0);
            pen.text((*x, y + 4.0), "on-free", "middle", &count(entry.size));
        } else {
            pen.circle((*x, *y), (width * 0.4).clamp(1.0, 4.0), "dot");
        }
    }
    Drawn { bottom: top + pitch * levels as f64 + 34.0, nodes }
}

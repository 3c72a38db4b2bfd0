//! The free index in letters: a list in its order, bins in rows, a tree with branches.

use std::collections::HashMap;

use super::paint::{Ink, Paint};
use super::say;
use crate::history::{Entry, Shape, count, place, without_top};

/// Lines at most for lists and bins, nodes at most for a tree.
const LINES: usize = 6;
const NODES: usize = 24;

/// Draws the index.
pub fn draw(out: &mut String, index: &[Entry], shape: Shape, paint: Paint, width: usize) {
    let (name, of) = match shape {
        Shape::List => ("free list", "in its order"),
        Shape::Bins => ("free bins", "each in its order"),
        Shape::Tree => ("free tree", "smaller blocks above, larger below"),
    };
    let (index, last) = without_top(index);
    if let Some(entry) = last {
        say(out, &format!("top of the heap, free, taken when nothing else fits: {}", entry_text(entry)));
    }
    if index.is_empty() {
        say(
            out,
            &format!("{name}: empty, there is no {}free block", if last.is_some() { "other " } else { "" }),
        );
        return;
    }
    say(out, &format!("{name}, {} in all, {of}:", count(index.len())));
    match shape {
        Shape::List => chain(out, "  ", index, paint, width, LINES),
        Shape::Bins => bins(out, index, paint, width),
        Shape::Tree => tree(out, index, paint),
    }
}

fn entry_text(entry: &Entry) -> String {
    format!("{} @{}", count(entry.size), place(entry.offset))
}

/// Entries joined by arrows, folded to the width.
fn chain(out: &mut String, indent: &str, entries: &[Entry], paint: Paint, width: usize, lines: usize) {
    let arrow = " -> ";
    let mut line = indent.to_owned();
    let mut used = indent.chars().count();
    let mut written = 0;
    for (number, entry) in entries.iter().enumerate() {
        let text = entry_text(entry);
        let joint = if number == 0 { "" } else { arrow };
        if used + joint.len() + text.len() > width && number > 0 {
            written += 1;
            say(out, &line);
            let blank = " ".repeat(indent.chars().count());
            if written == lines {
                say(out, &format!("{blank}and {} more", count(entries.len() - number)));
                return;
            }
            line = blank;
            used = line.len();
        }
        used += joint.len() + text.len();
        line.push_str(&paint.with(Ink::Link, joint));
        line.push_str(&text);
    }
    say(out, &line);
}

fn bins(out: &mut String, index: &[Entry], paint: Paint, width: usize) {
    let lists: Vec<&[Entry]> = index.chunk_by(|one, other| one.list == other.list).collect();
    for entries in lists.iter().take(2 * LINES) {
        let list = entries.first().map_or(0, |entry| entry.list);
        chain(out, &format!("  bin {list:>3}: "), entries, paint, width, 1);
    }
    if lists.len() > 2 * LINES {
        say(out, &format!("  and {} bins more", count(lists.len() - 2 * LINES)));
    }
}

/// The tree turned on its side: the root at the left, smaller blocks above.
fn tree(out: &mut String, index: &[Entry], paint: Paint) {
    let mut order = index.to_vec();
    order.sort_by_key(|entry| (entry.size, entry.offset));
    // The upper levels, if all are too many.
    let fits = |level: &usize| order.iter().filter(|entry| entry.level <= *level).count() <= NODES;
    let levels = (0..=order.iter().map(|entry| entry.level).max().unwrap_or(0)).rev().find(fits).unwrap_or(0);
    let hidden = order.iter().filter(|entry| entry.level > levels).count();
    order.retain(|entry| entry.level <= levels);
    let rank: HashMap<usize, usize> =
        order.iter().enumerate().map(|(rank, entry)| (entry.offset, rank)).collect();
    let parent_rank = |entry: &Entry| entry.parent.and_then(|parent| rank.get(&parent).copied());
    for (row, entry) in order.iter().enumerate() {
        let mut line = "  ".to_owned();
        // A branch passes this row if it joins a node above it with one below it.
        for level in 1..=entry.level {
            let passes = order.iter().enumerate().any(|(child, other)| {
                other.level == level
                    && parent_rank(other)
                        .is_some_and(|parent| child.min(parent) < row && row < child.max(parent))
            });
            let joint = match parent_rank(entry) {
                Some(parent) if level == entry.level && parent > row => "┌── ",
                Some(_) if level == entry.level => "└── ",
                _ if passes => "│   ",
                _ => "    ",
            };
            line.push_str(&paint.with(Ink::Link, joint));
        }
        line.push_str(&entry_text(entry));
        say(out, &line);
    }
    if hidden > 0 {
        say(out, &format!("  and {} more below them", count(hidden)));
    }
}

//! The heap in address order, wrapped into rows.

use super::pen::{Pen, short};
use super::{LEFT, RIGHT};
use crate::history::{Block, HEADER, Shape, State, Still, bytes, count, place, without_top};
use crate::picture::bytes_per_row;

/// The height of a row, and the room above it where arcs run.
const ROW: f64 = 36.0;
const GAP: f64 = 17.0;
/// Rows at most, and links of a list drawn at most: more would hide the heap.
const ROWS: usize = 12;
const LINKS: usize = 40;

/// Where everything was drawn.
#[derive(Debug)]
pub struct Strip {
    /// The upper edge.
    top: f64,
    row: usize,
    /// The lower edge.
    pub bottom: f64,
}

impl Strip {
    /// The middle of the upper edge of a block: of its first row, or of its second if most of it is there.
    pub fn anchor(&self, offset: usize, size: usize) -> (f64, f64) {
        let row_end = (offset / self.row + 1) * self.row;
        let (from, to) = match (offset, offset + size) {
            (from, to) if to <= row_end => (from, to),
            (from, to) if row_end - from >= (to - row_end).min(self.row) => (from, row_end),
            (_, to) => (row_end, to.min(row_end + self.row)),
        };
        let middle = (self.x(from % self.row) + self.x(from % self.row + (to - from))) / 2.0;
        (middle, self.y(from / self.row))
    }

    fn x(&self, in_row: usize) -> f64 {
        LEFT + (RIGHT - LEFT) * in_row as f64 / self.row as f64
    }

    fn y(&self, row: usize) -> f64 {
        self.top + GAP + (ROW + GAP) * row as f64
    }
}

/// Draws the heap; `extent` is the scale, the greatest extent in the picture.
pub fn draw(pen: &mut Pen, still: &Still, shape: Shape, top: f64, extent: usize) -> Strip {
    let row = bytes_per_row(extent, ROWS);
    let rows = still.snapshot.extent.div_ceil(row).max(1);
    let strip = Strip { top, row, bottom: top + (ROW + GAP) * rows as f64 };
    for number in 0..rows {
        let (y, end) = (strip.y(number), still.snapshot.extent.saturating_sub(number * row).min(row));
        pen.text((LEFT - 12.0, y + ROW / 2.0 + 4.0), "muted", "end", &place(number * row));
        pen.rectangle((LEFT, y), (strip.x(end) - LEFT, ROW), "ground", 0.0);
    }
    for block in &still.snapshot.blocks {
        draw_block(pen, &strip, block);
    }
    let given = still.op.map(|op| op.id());
    let is_given = |block: &&Block| block.owner.is_some_and(|owner| Some(owner.id) == given);
    if let Some(block) = still.snapshot.blocks.iter().find(is_given) {
        pieces(pen, &strip, (block.offset, block.end()), "changed");
    }
    if shape == Shape::List {
        arcs(pen, still, &strip);
    }
    strip
}

/// One block, in as many pieces as it has rows.
fn draw_block(pen: &mut Pen, strip: &Strip, block: &Block) {
    // A million blocks in a picture have no room for a million explanations.
    let explained = strip.row <= 1 << 16;
    if explained {
        pen.begin(&explain(block));
    }
    let payload_end = block.owner.map_or(block.end(), |owner| block.offset + HEADER + owner.payload);
    match block.state {
        State::Used => {
            let head_shown = strip.x(HEADER) - LEFT >= 2.0;
            let body = block.offset + if head_shown { HEADER } else { 0 };
            pieces(pen, strip, (block.offset, body), "head");
            pieces(pen, strip, (body, payload_end.min(block.end())), "used");
            pieces(pen, strip, (payload_end.min(block.end()), block.end()), "waste");
            if strip.x(block.size) - LEFT >= 5.0 {
                pieces(pen, strip, (block.offset, block.end()), "edge");
            }
        }
        State::Free => pieces(pen, strip, (block.offset, block.end()), "free"),
        State::Waiting => pieces(pen, strip, (block.offset, block.end()), "waiting"),
    }
    label(pen, strip, block);
    if explained {
        pen.end();
    }
}

/// Rectangles for a range of bytes.
fn pieces(pen: &mut Pen, strip: &Strip, (from, to): (usize, usize), class: &str) {
    let mut at = from;
    while at < to {
        let row = at / strip.row;
        let end = to.min((row + 1) * strip.row);
        let left = strip.x(at % strip.row);
        let width = strip.x(at % strip.row + (end - at)) - left;
        let inset = if class == "free" || class == "waiting" { 0.5 } else { 0.0 };
        pen.rectangle(
            (left + inset, strip.y(row) + inset),
            (width - 2.0 * inset, ROW - 2.0 * inset),
            class,
            0.0,
        );
        at = end;
    }
}

/// The block's size where it has room, and whose it is; in a used block on its payload.
fn label(pen: &mut Pen, strip: &Strip, block: &Block) {
    let (from, size) =
        block.owner.map_or((block.offset, block.size), |owner| (block.offset + HEADER, owner.payload));
    let (middle, y) = strip.anchor(from, size);
    let in_row = size.min(strip.row - from % strip.row);
    let in_row = in_row.max((size - in_row).min(strip.row));
    let width = strip.x(in_row) - LEFT;
    let text = count(block.size);
    let room = 7.2 * text.len() as f64 + 4.0;
    if width < room {
        return;
    }
    let class = match block.state {
        State::Used => "on-used",
        State::Free => "on-free",
        State::Waiting => "on-waiting",
    };
    match block.owner {
        Some(owner) if width >= 6.0 * (owner.id.to_string().len() + 1) as f64 + 4.0 => {
            pen.text((middle, y + 16.0), class, "middle", &text);
            pen.text((middle, y + 28.5), "on-used-2", "middle", &format!("#{}", owner.id));
        }
        _ => pen.text((middle, y + ROW / 2.0 + 4.0), class, "middle", &text),
    }
}

fn explain(block: &Block) -> String {
    let place = place(block.offset);
    match block.owner {
        Some(owner) => format!(
            "block {} at {place}: {} with header, payload {}, waste {}; allocated by op {}",
            owner.id,
            bytes(block.size),
            count(owner.payload),
            count(block.waste()),
            owner.born
        ),
        None if block.state == State::Waiting => {
            format!("freed block at {place}, waits to be merged: {}", bytes(block.size))
        }
        None => format!("free block at {place}: {}", bytes(block.size)),
    }
}

/// The order of the free list.
fn arcs(pen: &mut Pen, still: &Still, strip: &Strip) {
    let (index, _) = without_top(&still.snapshot.index);
    for (number, pair) in index.windows(2).take(LINKS).enumerate() {
        let (from, to) =
            (strip.anchor(pair[0].offset, pair[0].size), strip.anchor(pair[1].offset, pair[1].size));
        let path = if (from.1 - to.1).abs() < 1.0 {
            let rise = (5.0 + (from.0 - to.0).abs() * 0.02).min(GAP - 3.0) * 1.33;
            arc(from, (from.0, from.1 - rise), (to.0, to.1 - rise), to)
        } else {
            let rise = GAP - 2.0;
            let side = (to.0 - from.0) * 0.15;
            let start = if to.1 > from.1 { (from.0, from.1 + ROW) } else { from };
            let away = if to.1 > from.1 { rise } else { -rise };
            arc(start, (start.0 + side, start.1 + away), (to.0 - side, to.1 - rise), to)
        };
        // The first links are what a search follows; later ones fade.
        pen.arrow(&path, 1.0 - 0.8 * (number.saturating_sub(8) as f64 / LINKS as f64));
    }
    if let Some(first) = index.first() {
        let (x, y) = strip.anchor(first.offset, first.size);
        pen.circle((x, y), 3.5, "arrowhead");
    }
}

/// A curve between two points.
fn arc(from: (f64, f64), first: (f64, f64), second: (f64, f64), to: (f64, f64)) -> String {
    let pair = |(x, y): (f64, f64)| format!("{} {}", short(x), short(y));
    format!("M{}C{} {} {}", pair(from), pair(first), pair(second), pair(to))
}

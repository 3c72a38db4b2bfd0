//! `cairn lesson reuse`, laid out.

use cairn_lab::lesson::reuse::{Call, Need, Outcome, Piece, Reuse, Step};

use super::page::Page;
use crate::table::{Table, count};

/// Columns of the number and the call.
const FRONT: usize = 23;

/// Lays out the lesson.
pub fn show(lesson: &Reuse, page: &mut Page) {
    page.paragraph(
        "Ten requests go to two heaps. The one on the right uses freed memory again: it takes the lowest \
         hole that is large enough. The one on the left is never told that a block was freed, so all it \
         can do is grow.",
    );
    drawing(lesson, page);
    page.heading("What the heap with reuse did");
    for (index, step) in lesson.steps.iter().enumerate() {
        page.folded(&format!("{:>3}  ", index + 1), &sentence(step));
    }
    needs(lesson, page);
    page.paragraph(&format!(
        "Each block has a header of {} bytes in front of what the program gets, and its size is rounded up \
         to a multiple of {}, {} at least: so 4096 bytes take {}, and 10 bytes take {}. Beside its \
         blocks, a heap needs {} bytes once.",
        lesson.header,
        lesson.align,
        lesson.smallest,
        count(block_of(lesson, 'a') as u64),
        block_of(lesson, 'f'),
        lesson.once,
    ));
    let Need { without_reuse, with_reuse, perfect } = lesson.blocks;
    page.paragraph(&format!(
        "Perfect reuse is the greatest sum of blocks that are live at the same time: b, c and d after step \
         5. No heap can do with less, whatever it does. {}",
        if with_reuse == perfect {
            "Here this heap needs no more either; it is not always so: a heap must place each block before \
             it knows the next request."
        } else {
            "This heap needs more: it must place each block before it knows the next request."
        }
    ));
    page.paragraph(&format!(
        "Reuse saves {} of {} bytes, {} %. The metadata costs {} bytes of {}: that is what free(p) needs to \
         know how large p is.",
        count((without_reuse - with_reuse) as u64),
        count(without_reuse as u64),
        (without_reuse - with_reuse) * 100 / without_reuse,
        with_reuse - lesson.payload.with_reuse,
        count(with_reuse as u64),
    ));
    page.next(&[
        ("cairn lesson reuse --save .", "writes the ten requests as a trace, reuse.rep"),
        ("cairn view reuse.rep -p first-fit-address --at 7", "the heap before malloc(5000)"),
        ("cairn replay reuse.rep", "the same requests under every placement policy"),
        ("cairn lesson holes", "which hole to take, if several are large enough"),
    ]);
}

/// The size of the block of this name, header included.
fn block_of(lesson: &Reuse, name: char) -> usize {
    let pieces = lesson.steps.iter().flat_map(|step| &step.without);
    pieces.clone().find(|piece| piece.name == Some(name)).map_or(0, |piece| piece.bytes)
}

fn drawing(lesson: &Reuse, page: &mut Page) {
    let bytes = |pieces: &[Piece]| pieces.iter().map(|piece| piece.bytes).sum::<usize>();
    let most =
        |side: fn(&Step) -> &[Piece]| lesson.steps.iter().map(|step| bytes(side(step))).max().unwrap_or(0);
    let (left, right) = (most(|step| &step.without), most(|step| &step.with));
    // Two heaps and a gap of three; each small block may need a sign more than its share.
    let room = page.columns() - FRONT - 3 - 4;
    let scale = (left + right).div_ceil(room).next_multiple_of(64);
    let columns = left.div_ceil(scale) + 2;
    page.gap();
    let head = format!("{:<FRONT$}{:<columns$}   with reuse", "     call", "without reuse");
    page.line(&page.bold(&head));
    for (index, step) in lesson.steps.iter().enumerate() {
        let without = page.bar(&step.without, scale, columns);
        let with = page.bar(&step.with, scale, 0);
        page.line(&format!("{:>3}  {:<18}{without}   {with}", index + 1, call(step.call)));
    }
    let legend = format!("{scale} bytes a sign; a letter begins a live block; · hole; ░ freed, lost");
    page.line(&format!("     {}", page.dim(&legend)));
}

fn call(call: Call) -> String {
    match call {
        Call::Malloc(name, size) => format!("{name} = malloc({size})"),
        Call::Free(name) => format!("free({name})"),
    }
}

fn sentence(step: &Step) -> String {
    let bytes = |value: usize| count(value as u64);
    match (step.call, step.outcome) {
        (Call::Malloc(name, _), Outcome::Grew(grew)) => {
            format!("No hole is large enough: the heap grows by {} bytes for {name}.", bytes(grew))
        }
        (Call::Malloc(name, _), Outcome::Took { hole, left: 0 }) => {
            format!("{name} takes a hole of {} bytes, all of it. The heap does not grow.", bytes(hole))
        }
        (Call::Malloc(name, _), Outcome::Took { hole, left }) => format!(
            "{name} takes {} bytes of a hole of {}; a hole of {} is left. The heap does not grow.",
            bytes(hole - left),
            bytes(hole),
            bytes(left)
        ),
        (Call::Free(name), Outcome::Freed { hole, joined: 0 }) => {
            format!("{name} goes, and leaves a hole of {} bytes.", bytes(hole))
        }
        (Call::Free(name), Outcome::Freed { hole, .. }) => format!(
            "{name} goes, and its hole is joined with the one beside it: {} bytes in one piece, where \
             neither alone would hold 5000.",
            bytes(hole)
        ),
        // A request to free is met by freeing, and one for memory by memory.
        _ => String::new(),
    }
}

fn needs(lesson: &Reuse, page: &mut Page) {
    page.heading("Bytes that are needed for all ten");
    let mut table = Table::with_names(&["", "without reuse", "with reuse", "perfect reuse"]);
    let row = |need: &Need| {
        [need.without_reuse, need.with_reuse, need.perfect].map(|value| count(value as u64)).to_vec()
    };
    table.fact("what the program asked for", &row(&lesson.payload));
    table.fact("with metadata: headers and rounding", &row(&lesson.blocks));
    let cost = Need {
        without_reuse: lesson.blocks.without_reuse - lesson.payload.without_reuse,
        with_reuse: lesson.blocks.with_reuse - lesson.payload.with_reuse,
        perfect: lesson.blocks.perfect - lesson.payload.perfect,
    };
    table.fact("what the metadata costs", &row(&cost));
    page.table(&table);
}

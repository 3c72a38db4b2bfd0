//! The heap as letters of a screen.

use super::paint::Ink;
use crate::history::{Block, HEADER, Snapshot, State, count};

/// One letter's worth of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// What most of its bytes are.
    pub ink: Ink,
    /// A digit of a block's size.
    digit: Option<char>,
    /// Whether a block begins here.
    begins: bool,
}

impl Cell {
    const EMPTY: Cell = Cell { ink: Ink::Plain, digit: None, begins: false };

    /// What is printed.
    pub fn letter(self, colours: bool) -> char {
        match (self.digit, self.ink) {
            (Some(digit), _) => digit,
            _ if self.begins => {
                if colours {
                    '▏'
                } else {
                    '|'
                }
            }
            _ if colours => ' ',
            (_, Ink::Used) => '#',
            (_, Ink::Waste) => '+',
            (_, Ink::Free) => '.',
            (_, Ink::Waiting) => '~',
            _ => ' ',
        }
    }
}

/// The letters of a snapshot, row after row of so many letters.
pub fn cells(snapshot: &Snapshot, bytes_per_letter: usize, letters: usize) -> Vec<Cell> {
    let end = snapshot.blocks.last().map_or(0, Block::end).max(snapshot.extent);
    let mut cells = vec![Cell::EMPTY; end.div_ceil(bytes_per_letter)];
    // How many bytes of its letter the present ink has.
    let mut shares = vec![0; cells.len()];
    for block in &snapshot.blocks {
        for (from, to, ink) in parts(block) {
            let mut at = from;
            while at < to {
                let place = at / bytes_per_letter;
                let stop = to.min((place + 1) * bytes_per_letter);
                if stop - at > shares[place] {
                    shares[place] = stop - at;
                    cells[place].ink = ink;
                }
                at = stop;
            }
        }
        let (first, last) = (block.offset / bytes_per_letter, block.end().div_ceil(bytes_per_letter));
        // Where several blocks share each letter, bars would hide everything.
        if last - first >= 2 {
            cells[first].begins = true;
            write_size(&mut cells[first + 1..last], block, first + 1, letters);
        }
    }
    cells
}

/// A block's ranges of one ink each.
fn parts(block: &Block) -> [(usize, usize, Ink); 2] {
    match (block.state, block.owner) {
        (State::Free, _) => [(block.offset, block.end(), Ink::Free), (0, 0, Ink::Plain)],
        (State::Waiting, _) => [(block.offset, block.end(), Ink::Waiting), (0, 0, Ink::Plain)],
        (State::Used, owner) => {
            let payload = owner.map_or(block.size, |owner| HEADER + owner.payload);
            let full = (block.offset + payload).min(block.end());
            [(block.offset, full, Ink::Used), (full, block.end(), Ink::Waste)]
        }
    }
}

/// Writes a block's size into its letters, on the row where it begins or else the next, if it has room there.
fn write_size(cells: &mut [Cell], block: &Block, place: usize, letters: usize) {
    let text = count(block.size);
    let row_rest = letters - place % letters;
    let (from, room) = match cells.len() {
        all if all <= row_rest || row_rest > text.len() => (0, all.min(row_rest)),
        all => (row_rest, (all - row_rest).min(letters)),
    };
    if room < text.len() {
        return;
    }
    let start = from + (room - text.len()) / 2;
    for (cell, digit) in cells[start..].iter_mut().zip(text.chars()) {
        cell.digit = Some(digit);
    }
}

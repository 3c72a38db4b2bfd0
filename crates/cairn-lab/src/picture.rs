//! Draws a history of a heap.
//!
//! | module | what it draws |
//! |---|---|
//! | [`svg`] | one moment as an SVG: the heap in rows, the free index over it, the curves below |
//! | [`png`] | any SVG as a PNG |
//! | [`terminal`] | one moment in letters and colours |
//! | [`html`] | a whole history as one page that plays it |
//!
//! The colours are in one table, [`palette`]; they are told apart by people who are colour-blind, and what is not in use is
//! hatched besides.

pub mod html;
pub mod palette;
pub mod png;
pub mod svg;
pub mod terminal;

/// Bytes in a row of the heap, so that it takes at most so many rows: a power of two, or one and a half of it.
pub fn bytes_per_row(extent: usize, rows: usize) -> usize {
    let wanted = extent.div_ceil(rows.max(1));
    let mut row = 256;
    while row < wanted {
        if row / 2 * 3 >= wanted {
            return row / 2 * 3;
        }
        row *= 2;
    }
    row
}

#[cfg(test)]
mod tests {
    use super::bytes_per_row;

    #[test]
    fn rows_are_round_and_few() {
        for extent in (0..200_000).step_by(37) {
            let row = bytes_per_row(extent, 10);
            assert!(extent.div_ceil(row) <= 10 && row.is_multiple_of(128), "{extent} in rows of {row}");
        }
        assert_eq!(bytes_per_row(4096, 10), 512);
        assert_eq!(bytes_per_row(7000, 10), 768);
    }
}

//! Plain tables: columns by alignment alone, no lines, figures to the right.

use std::fmt;

use comfy_table::{CellAlignment, ContentArrangement};
use humansize::{BINARY, FormatSizeOptions, format_size};

/// A table in the making.
pub struct Table {
    inner: comfy_table::Table,
    /// Columns that hold words.
    words: &'static [usize],
    /// Whether pairs of columns are a figure and its word.
    together: bool,
}

impl Table {
    fn new(words: &'static [usize]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner.load_style(comfy_table::presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        Table { inner, words, together: false }
    }

    /// A table of named facts: name, figure, word, figure, word.
    pub fn facts() -> Self {
        Table { together: true, ..Table::new(&[0, 2, 4]) }
    }

    /// A table of figures under a head.
    pub fn with_head(head: &[&str]) -> Self {
        let mut table = Table::new(&[]);
        table.inner.set_header(head);
        table
    }

    /// The same, with names in the first column.
    pub fn with_names(head: &[&str]) -> Self {
        Table { words: &[0], ..Table::with_head(head) }
    }

    /// A table of words under a head, folded to a readable width.
    pub fn of_words(head: &[&str]) -> Self {
        let mut table = Table::new(&[0, 1, 2, 3]);
        table.inner.set_content_arrangement(ContentArrangement::Dynamic).set_width(100);
        table.inner.set_header(head);
        table
    }

    /// Adds a row that begins with a name.
    pub fn fact(&mut self, name: &str, cells: &[String]) {
        self.inner.add_row(std::iter::once(name.to_owned()).chain(cells.iter().cloned()));
    }

    /// Adds a row.
    pub fn row(&mut self, cells: &[String]) {
        self.inner.add_row(cells);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = self.inner.clone();
        for (index, column) in table.column_iter_mut().enumerate() {
            let aligned =
                if self.words.contains(&index) { CellAlignment::Left } else { CellAlignment::Right };
            column.set_cell_alignment(aligned);
            // In facts, a figure and the word behind it belong together.
            let gap = if self.together && index % 2 == 1 { 1 } else { 2 };
            column.set_padding((0, gap));
        }
        for line in table.lines() {
            writeln!(out, "  {}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Bytes in the unit that fits, as `1.50 MiB`.
pub fn bytes(value: u64) -> String {
    format_size(value, FormatSizeOptions::from(BINARY).decimal_zeroes(0))
}

/// A whole number, in groups of three digits.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(bytes(3 << 20), "3 MiB");
    }
}

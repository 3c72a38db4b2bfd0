//! A page of text for a terminal of 80 to 100 columns: paragraphs, plain lines, drawings of heaps. Colour only on a terminal.

use std::fmt::Display;
use std::io::{IsTerminal, stdout};

use cairn_lab::lesson::reuse::{Piece, Use};
use terminal_size::{Width, terminal_size};

/// Columns where the terminal doesn't tell, and at most.
const WIDTH_MAX: usize = 100;
/// Columns at least: a narrower terminal folds the lines itself.
const WIDTH_MIN: usize = 80;
/// In front of every line.
const INDENT: &str = "  ";

/// Colours of live blocks, one after the other: numbers of the terminal's palette of 256, dark enough for white letters.
const COLOURS: [u8; 7] = [25, 29, 130, 97, 124, 30, 61];

/// A page in the making.
pub struct Page {
    text: String,
    colour: bool,
    width: usize,
}

impl Page {
    /// An empty page for what stdout is.
    pub fn new() -> Page {
        let terminal = stdout().is_terminal();
        let plain = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let width = terminal_size().map_or(WIDTH_MAX, |(Width(columns), _)| usize::from(columns));
        Page {
            text: String::new(),
            colour: terminal && !plain("NO_COLOR") && !dumb,
            width: width.clamp(WIDTH_MIN, WIDTH_MAX),
        }
    }

    /// Columns that a line may have.
    pub fn columns(&self) -> usize {
        self.width - INDENT.len()
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text + "\n"
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.text.push('\n');
    }

    /// What the page is about.
    pub fn title(&mut self, name: &str, what: &str) {
        self.gap();
        if name.len() + 2 + what.len() <= self.columns() {
            let name = self.bold(name);
            self.line(&format!("{name}: {what}"));
        } else {
            let name = self.bold(name);
            self.line(&name);
            self.folded("", what);
        }
    }

    /// A heading, with an empty line in front of it.
    pub fn heading(&mut self, text: &str) {
        self.gap();
        let text = self.bold(text);
        self.line(&text);
    }

    /// A paragraph, folded between words, with an empty line in front of it.
    pub fn paragraph(&mut self, text: &str) {
        self.gap();
        self.folded("", text);
    }

    /// Text behind a mark that stands in front of it, folded under itself.
    pub fn folded(&mut self, mark: &str, text: &str) {
        let hang = mark.chars().count();
        let mut line = String::new();
        let mut first = true;
        let mut lines = Vec::new();
        for word in text.split_whitespace() {
            let columns = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && hang + columns > self.columns() {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
        for line in lines {
            let front = if std::mem::take(&mut first) { mark.to_owned() } else { " ".repeat(hang) };
            self.line(&(front + &line));
        }
    }

    /// A line as it is.
    pub fn line(&mut self, line: &str) {
        self.text.push_str(INDENT);
        self.text.push_str(line);
        self.text.truncate(self.text.trim_end_matches(' ').len());
        self.text.push('\n');
    }

    /// A table, which indents itself; with an empty line in front of it.
    pub fn table(&mut self, table: &impl Display) {
        self.gap();
        self.text.push_str(&table.to_string());
    }

    /// Commands to paste, and why.
    pub fn next(&mut self, commands: &[(&str, &str)]) {
        self.heading("Next");
        let columns = commands.iter().map(|(command, _)| command.len()).max().unwrap_or(0);
        let room = self.columns().saturating_sub(columns + 5);
        let beside = commands.iter().all(|(_, why)| why.chars().count() <= room);
        for (command, why) in commands {
            let why = self.dim(why);
            if beside {
                self.line(&format!("  {command:<columns$}   {why}"));
            } else {
                self.line(&format!("  {command}"));
                self.line(&format!("      {why}"));
            }
        }
    }

    /// In bold letters.
    pub fn bold(&self, text: &str) -> String {
        self.styled("1", text)
    }

    /// Less visible.
    pub fn dim(&self, text: &str) -> String {
        self.styled("2", text)
    }

    /// Good news.
    pub fn good(&self, text: &str) -> String {
        self.styled("32", text)
    }

    /// Bad news.
    pub fn bad(&self, text: &str) -> String {
        self.styled("31", text)
    }

    fn styled(&self, style: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heap as a bar: a live block is its letter and a line, a hole is dots, what is lost is grey. Padded to `columns`.
    pub fn bar(&self, pieces: &[Piece], bytes_per_sign: usize, columns: usize) -> String {
        let mut bar = String::new();
        let (mut end, mut drawn) = (0, 0);
        for piece in pieces {
            end += piece.bytes;
            // Every piece is seen, be it ever so small.
            let signs = ((end + bytes_per_sign / 2) / bytes_per_sign).saturating_sub(drawn).max(1);
            drawn += signs;
            bar += &self.piece(*piece, signs);
        }
        bar + &" ".repeat(columns.saturating_sub(drawn))
    }

    fn piece(&self, piece: Piece, signs: usize) -> String {
        let name = |fill: &str| match piece.name {
            Some(name) => name.to_string() + &fill.repeat(signs - 1),
            None => fill.repeat(signs),
        };
        match (piece.is, piece.name) {
            (Use::Lost, _) => self.dim(&"░".repeat(signs)),
            (Use::Hole, _) => name("·"),
            (Use::Live, None) => self.dim(&"█".repeat(signs)),
            (Use::Live, Some(letter)) => {
                let colour = COLOURS[letter as usize % COLOURS.len()];
                if self.colour { self.styled(&format!("97;48;5;{colour}"), &name(" ")) } else { name("━") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain() -> Page {
        Page { text: String::new(), colour: false, width: WIDTH_MIN }
    }

    #[test]
    fn text_is_folded_between_words() {
        let mut page = plain();
        page.folded("1  ", &"stones ".repeat(30));
        assert!(page.text.lines().all(|line| line.chars().count() <= WIDTH_MIN));
        assert!(
            page.text.lines().count() > 2
                && page.text.lines().skip(1).all(|line| line.starts_with("     stones"))
        );
    }

    #[test]
    fn every_piece_is_seen() {
        let piece = |name, bytes, is| Piece { name, bytes, is };
        let heap = [
            piece(Some('a'), 1024, Use::Live),
            piece(Some('b'), 32, Use::Live),
            piece(None, 512, Use::Hole),
            piece(Some('c'), 512, Use::Lost),
        ];
        assert_eq!(plain().bar(&heap, 256, 12), "a━━━b·░░    ");
    }
}

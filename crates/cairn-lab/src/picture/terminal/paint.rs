//! Colours of a terminal: by the numbers of the 256-colour palette, near those of the pictures.

/// What a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// Nothing special.
    Plain,
    /// A name.
    Bold,
    /// Said softly.
    Muted,
    /// Payload of the program.
    Used,
    /// The curve of the live payload.
    Live,
    /// Waste inside a used block.
    Waste,
    /// A free block.
    Free,
    /// A block that waits to be merged.
    Waiting,
    /// An order, a cursor.
    Link,
}

/// Puts colours on texts, or not.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    /// Whether there are colours.
    pub colours: bool,
}

impl Paint {
    /// The text in this ink.
    pub fn with(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => "",
            Ink::Bold => "1",
            Ink::Muted => "2",
            Ink::Used => "48;5;25;38;5;231",
            Ink::Live => "38;5;67",
            Ink::Waste => "48;5;110;38;5;16",
            Ink::Free => "48;5;222;38;5;58",
            Ink::Waiting => "48;5;175;38;5;52",
            Ink::Link => "38;5;166",
        };
        if self.colours && !code.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

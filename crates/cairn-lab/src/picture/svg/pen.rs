//! Writes the elements of an SVG; every text is escaped here.

use std::fmt::Write;

/// The elements drawn so far.
#[derive(Debug, Default)]
pub struct Pen {
    out: String,
}

impl Pen {
    /// A rectangle; what it shows is said by its class.
    pub fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), class: &str, round: f64) {
        let _ = write!(
            self.out,
            r#"<rect class="{class}" x="{}" y="{}" width="{}" height="{}""#,
            short(x),
            short(y),
            short(width.max(0.0)),
            short(height)
        );
        if round > 0.0 && width > 3.0 * round {
            let _ = write!(self.out, r#" rx="{}""#, short(round));
        }
        self.out.push_str("/>\n");
    }

    /// A text; `anchor` is `start`, `middle` or `end`.
    pub fn text(&mut self, (x, y): (f64, f64), class: &str, anchor: &str, text: &str) {
        let _ = write!(
            self.out,
            r#"<text class="{class}" x="{}" y="{}" text-anchor="{anchor}">{}</text>"#,
            short(x),
            short(y),
            escape(text)
        );
        self.out.push('\n');
    }

    /// A straight line.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        let path = format!("M{} {}L{} {}", short(from.0), short(from.1), short(to.0), short(to.1));
        self.path(&path, class);
    }

    /// A path.
    pub fn path(&mut self, path: &str, class: &str) {
        let _ = writeln!(self.out, r#"<path class="{class}" d="{path}"/>"#);
    }

    /// A path that ends in an arrow.
    pub fn arrow(&mut self, path: &str, opacity: f64) {
        let faint = if opacity < 1.0 { format!(r#" opacity="{}""#, short(opacity)) } else { String::new() };
        let _ = writeln!(self.out, r#"<path class="link" marker-end="url(#arrow)"{faint} d="{path}"/>"#);
    }

    /// A circle.
    pub fn circle(&mut self, (x, y): (f64, f64), radius: f64, class: &str) {
        let _ = writeln!(
            self.out,
            r#"<circle class="{class}" cx="{}" cy="{}" r="{}"/>"#,
            short(x),
            short(y),
            short(radius)
        );
    }

    /// Opens a group that is explained when the mouse rests on it.
    pub fn begin(&mut self, title: &str) {
        let _ = writeln!(self.out, "<g><title>{}</title>", escape(title));
    }

    /// Closes it.
    pub fn end(&mut self) {
        self.out.push_str("</g>\n");
    }

    /// Everything.
    pub fn done(self) -> String {
        self.out
    }
}

/// A number with at most two places after the point.
pub fn short(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text as XML has it.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML knows no other control characters, not even escaped.
            other if other.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_texts_are_safe() {
        assert_eq!(short(2.0), "2");
        assert_eq!(short(2.126), "2.13");
        assert_eq!(short(-0.5), "-0.5");
        assert_eq!(escape("a<b>&\"\u{7}"), "a&lt;b&gt;&amp;&quot;\u{fffd}");
    }
}

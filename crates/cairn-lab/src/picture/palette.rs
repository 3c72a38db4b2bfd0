//! The colours of all pictures.
//!
//! Blue, amber and pink differ in lightness too, and waste and waiting blocks are hatched, so that no meaning hangs on hue alone.

/// Which background a picture is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// Light, and dark where the viewer prefers it.
    Auto,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// One colour: its role, on light ground, on dark ground.
pub struct Colour {
    /// What it is for: the name of the style sheet's variable.
    pub role: &'static str,
    /// On a light ground.
    pub light: &'static str,
    /// On a dark ground.
    pub dark: &'static str,
}

/// Every colour.
pub const COLOURS: &[Colour] = &[
    Colour { role: "page", light: "#ffffff", dark: "#12161c" },
    Colour { role: "card", light: "#f7f8fa", dark: "#1a2028" },
    Colour { role: "ink", light: "#1b2430", dark: "#e8ecf1" },
    Colour { role: "muted", light: "#5d6b7c", dark: "#9aa6b5" },
    Colour { role: "line", light: "#dfe4ea", dark: "#2c3541" },
    Colour { role: "ground", light: "#eceff3", dark: "#1f2630" },
    Colour { role: "used", light: "#3973b5", dark: "#5a9be0" },
    Colour { role: "used-ink", light: "#ffffff", dark: "#08121e" },
    Colour { role: "head", light: "#1c457c", dark: "#2f6199" },
    Colour { role: "waste", light: "#a8c5e6", dark: "#2b4766" },
    Colour { role: "free", light: "#fff0c7", dark: "#473a12" },
    Colour { role: "free-edge", light: "#d69a13", dark: "#c99a2b" },
    Colour { role: "free-ink", light: "#6f4e00", dark: "#f5d689" },
    Colour { role: "waiting", light: "#efc3da", dark: "#5e2a47" },
    Colour { role: "waiting-edge", light: "#b04a82", dark: "#d878ab" },
    Colour { role: "waiting-ink", light: "#6b1f49", dark: "#f3c3dc" },
    Colour { role: "link", light: "#c2410c", dark: "#ff9350" },
];

/// A colour by its role; black for a role that doesn't exist.
pub fn colour(role: &str, dark: bool) -> &'static str {
    let found = COLOURS.iter().find(|colour| colour.role == role);
    found.map_or("#000000", |colour| if dark { colour.dark } else { colour.light })
}

/// The colours as variables of a style sheet, light and, where the viewer prefers it, dark.
pub fn variables() -> String {
    let block = |dark: bool| -> String {
        COLOURS.iter().map(|entry| format!("--{}:{};", entry.role, colour(entry.role, dark))).collect()
    };
    format!(":root{{{}}}\n@media (prefers-color-scheme: dark){{:root{{{}}}}}\n", block(false), block(true))
}

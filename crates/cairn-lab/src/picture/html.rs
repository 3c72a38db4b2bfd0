//! A history as one page that plays it: opens from disk, asks for nothing from anywhere.
//!
//! The page's parts are real files beside this one (`html/`), put together here with the data: JSON of small edits, deflated, in base64.
//! Scripts see six numbers for a block (offset, size, state, payload, id, allocating operation) and four for a link of the index
//! (place, offset, list, parent; -1 for no parent and for the heap's top).

mod data;

use std::fmt;

use crate::history::History;
use crate::picture::palette;
use crate::picture::svg::escape;

/// Operations that one page plays at most: it stays quick, and a few megabytes small.
pub const STEPS_MAX: usize = 50_000;
/// Policies side by side at most.
pub const POLICIES_MAX: usize = 2;

/// The page's scripts; each uses those above it.
const SCRIPTS: [&str; 7] = [
    include_str!("html/data.js"),
    include_str!("html/heap.js"),
    include_str!("html/chart.js"),
    include_str!("html/strip.js"),
    include_str!("html/index.js"),
    include_str!("html/panel.js"),
    include_str!("html/main.js"),
];

/// Why a page could not be made.
#[derive(Debug, PartialEq, Eq)]
pub enum HtmlError {
    /// So many operations are too many for a page.
    TooLong(usize),
    /// A page shows one or two policies, and not this many.
    Policies(usize),
    /// The histories are not of the same trace and the same moments.
    Unequal,
}

impl fmt::Display for HtmlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HtmlError::TooLong(steps) => write!(
                out,
                "a page plays at most {STEPS_MAX} operations and this would be {steps}: choose a part with --from and --to"
            ),
            HtmlError::Policies(number) => {
                write!(out, "a page shows one policy or two side by side, not {number}")
            }
            HtmlError::Unequal => {
                out.write_str("only histories of one trace and the same moments fit on one page")
            }
        }
    }
}

impl std::error::Error for HtmlError {}

/// The page that plays these histories side by side, and opens at a moment: the nearest that it has.
///
/// # Errors
/// If there are more operations or policies than a page can show, or the histories differ in trace or moments.
pub fn html(histories: &[History], at: usize) -> Result<String, HtmlError> {
    let (1..=POLICIES_MAX, Some(first)) = (histories.len(), histories.first()) else {
        return Err(HtmlError::Policies(histories.len()));
    };
    let same =
        |other: &History| (&other.trace, other.from, other.to()) == (&first.trace, first.from, first.to());
    if !histories.iter().all(same) {
        return Err(HtmlError::Unequal);
    }
    if first.steps.len() > STEPS_MAX {
        return Err(HtmlError::TooLong(first.steps.len()));
    }
    let policies: Vec<&str> = histories.iter().map(|history| history.policy.as_str()).collect();
    let title = format!("{} on {}", first.trace, policies.join(" and "));
    let style = include_str!("html/page.css").replacen("@variables@", &palette::variables(), 1);
    let script = SCRIPTS.join("\n");
    Ok(fill(
        include_str!("html/page.html"),
        &[
            ("@title@", &escape(&title)),
            ("@style@", &style),
            ("@data@", &data::pack(histories, at)),
            ("@script@", &script),
        ],
    ))
}

/// Puts each text at its mark, in one pass: a text that contains a mark stays as it is.
fn fill(template: &str, marks: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = template;
    loop {
        let next = marks.iter().filter_map(|(mark, text)| Some((rest.find(mark)?, *mark, *text))).min();
        let Some((at, mark, text)) = next else {
            out.push_str(rest);
            return out;
        };
        out.push_str(&rest[..at]);
        out.push_str(text);
        rest = &rest[at + mark.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_look_like_a_mark() {
        assert_eq!(fill("a @x@ b @y@ c", &[("@x@", "@y@"), ("@y@", "2")]), "a @y@ b 2 c");
    }

    #[test]
    fn no_part_of_the_page_ends_its_element_or_asks_the_network() {
        let page = include_str!("html/page.html");
        for part in SCRIPTS.iter().chain([&include_str!("html/page.css")]) {
            assert!(!part.contains("</script") && !part.contains("</style"), "this would end the element");
            assert!(!part.contains("http") && !part.contains("import "), "the page asks for nothing");
        }
        assert!(page.contains("default-src 'none'") && !page.contains("http:") && !page.contains("https:"));
    }
}

//! Claim: malloc_info writes well-formed XML and malloc_stats speaks on standard error; both tell of the 70 MB that
//! the program holds.

use cairn_tests::cprogram;

/// Bytes that `c/abi/malloc_info.c` allocates and keeps.
const ASKED: f64 = 70e6;

/// Whether a text holds a whole number that may be the live bytes: what was asked for, rounded up to classes.
fn tells_live_bytes(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_digit())
        .filter_map(|digits| digits.parse::<f64>().ok())
        .any(|number| (ASKED..ASKED * 1.2).contains(&number))
}

#[test]
fn malloc_info_is_xml_and_true() {
    let Some(finished) = cprogram::passes("abi/malloc_info.c", &[]) else { return };
    let text = finished.out();
    let document = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("no XML: {e}\n{text}"));
    assert_eq!(
        document.root_element().tag_name().name(),
        "malloc",
        "glibc's readers expect a <malloc> element"
    );
    assert!(tells_live_bytes(&text), "no number between 70 and 84 million in\n{text}");
}

#[test]
fn malloc_stats_is_true() {
    let Some(finished) = cprogram::passes("abi/malloc_info.c", &[]) else { return };
    assert!(tells_live_bytes(&finished.err()), "no number between 70 and 84 million in\n{}", finished.err());
}

//! Claim: every `.rep` file that the courses' drivers take is read as they mean it, and every other is refused with
//! file, line and reason.

use std::path::Path;

use cairn_lab::trace::{Op, Trace, TraceError};

const SMALL: &str = "20000\n3\n8\n1\na 0 512\na 1 128\nr 0 640\na 2 128\nf 1\nr 0 768\nf 0\nf 2\n";

fn parse(text: &str) -> Result<Trace, TraceError> {
    Trace::parse("dir/small.rep", text.as_bytes())
}

/// Asserts that a text is refused at a line with words.
#[track_caller]
fn refused(text: &str, line: usize, words: &[&str]) {
    let error = parse(text).expect_err("this must be refused");
    assert_eq!(error.line, Some(line), "{error}");
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("dir/small.rep, line {line}: ")), "{shown}");
    for word in words {
        assert!(error.reason.contains(word), "{word:?} is missing in: {shown}");
    }
}

/// A text with these lines after a header that fits them.
fn with_ops(ids: u32, ops: &str) -> String {
    format!("100\n{ids}\n{}\n1\n{ops}", ops.lines().filter(|line| !line.trim().is_empty()).count())
}

#[test]
fn a_small_file_is_read() {
    let trace = parse(SMALL).expect("valid");
    assert_eq!(trace.name, "small");
    assert_eq!((trace.suggested_heap, trace.ids, trace.weight), (20_000, 3, 1));
    assert_eq!(trace.ops.len(), 8);
    assert_eq!(trace.ops[0], Op::Allocate { id: 0, size: 512 });
    assert_eq!(trace.ops[2], Op::Reallocate { id: 0, size: 640 });
    assert_eq!(trace.ops[7], Op::Free { id: 2 });
    assert_eq!(trace.peak_payload(), 640 + 128 + 128);
    assert_eq!(trace.line(0), 5);
    assert_eq!(trace.line(7), 12);
    trace.validate().expect("what was read is valid");
}

#[test]
fn what_the_drivers_take_is_taken() {
    // Carriage returns, blank lines between and behind, white space, no newline at the end.
    let text = "1\r\n2\r\n\r\n4\r\n1\r\n  a 0\t1\r\n\r\na 1 0\r\nf 0\r\n f   1 \r\n\r\n\r\n";
    let trace = parse(text).expect("valid");
    assert_eq!(trace.ops.len(), 4);
    assert_eq!(trace.line(0), 6, "the blank line in the header counts");
    assert_eq!(trace.line(1), 8, "the blank line between requests counts");
    assert_eq!(parse("1\n1\n1\n1\na 0 5").expect("valid").ops.len(), 1);
    // Ids are used again, blocks are left, realloc of nothing allocates, size zero.
    let again = parse(&with_ops(2, "a 0 1\nf 0\na 0 2\nr 1 5\nr 1 0\n")).expect("valid");
    assert_eq!(again.ops[3], Op::Reallocate { id: 1, size: 5 });
    assert_eq!(again.peak_payload(), 7);
    // An id between may be left out.
    parse(&with_ops(3, "a 0 1\na 2 1\n")).expect("valid");
    // free(NULL) counts as a line and does nothing.
    let null = parse(&with_ops(1, "f -1\na 0 1\n")).expect("valid");
    assert_eq!((null.ops.len(), null.line(0)), (1, 6));
    // Nothing at all.
    assert!(parse("0\n0\n0\n0\n").expect("valid").ops.is_empty());
}

#[test]
fn a_wrong_header_is_refused() {
    refused("", 1, &["ends", "suggested heap size"]);
    refused("1\n2\n", 3, &["ends", "number of operations"]);
    refused("x\n1\n1\n1\na 0 1\n", 1, &["suggested heap size", "'x'"]);
    refused("1\n-1\n1\n1\na 0 1\n", 2, &["number of ids", "'-1'"]);
    refused("1\n1\n1.5\n1\na 0 1\n", 3, &["number of operations", "'1.5'"]);
    refused("1\n1\n1\n1 2\na 0 1\n", 4, &["weight", "'1 2'"]);
    refused("1\n99999999999\n1\n1\na 0 1\n", 2, &["too many"]);
    refused("1\n1\n99999999999999999999999\n1\na 0 1\n", 3, &["too large"]);
}

#[test]
fn counts_must_agree() {
    refused("1\n1\n2\n1\na 0 1\n", 3, &["2 operations", "1 lines"]);
    refused("1\n1\n1\n1\na 0 1\nf 0\n", 3, &["1 operations", "2 lines"]);
    refused("1\n5\n1\n1\na 0 1\n", 2, &["5 ids", "greatest id is 0"]);
    // Numbers that would need much memory if they were believed.
    refused("1\n4294967295\n4000000000\n1\na 0 1\n", 3, &["4000000000 operations"]);
    refused("1\n4294967295\n1\n1\na 4294967294 1\n", 2, &["too many for 1 operations"]);
}

#[test]
fn a_malformed_line_is_refused() {
    for (line, words) in [
        ("x 0 1", &["'x'", "'a ID SIZE'"][..]),
        ("w 0 1", &["'w'"]),
        ("alloc 0 1", &["'alloc'"]),
        ("A 0 1", &["'A'"]),
        ("a", &["id is missing"]),
        ("a 0", &["size is missing"]),
        ("f", &["id is missing"]),
        ("r 0", &["size is missing"]),
        ("a 0 1 2", &["'2'", "too many"]),
        ("f 0 1", &["'1'", "too many"]),
        ("a zero 1", &["id", "'zero'"]),
        ("a 0 many", &["size", "'many'"]),
        ("a 0 -5", &["size", "'-5'"]),
        ("a -1 5", &["id", "'-1'"]),
        ("f -2", &["id", "'-2'"]),
        ("a 0 0x10", &["'0x10'"]),
        ("a 0 +1", &["'+1'"]),
        ("a 0 99999999999999999999999", &["too large"]),
        ("a 0 18446744073709551615", &["more than a process can have"]),
        ("a 99999999999 1", &["id 99999999999 is too large"]),
        ("a 0 \u{1b}[31m", &["'\\u{1b}[31m'"]),
    ] {
        refused(&format!("1\n2\n2\n1\na 1 1\n{line}\n"), 6, words);
    }
    let error = Trace::parse("bytes.rep", b"1\n1\n1\n1\na \xff 1\n").expect_err("no text");
    assert_eq!((error.line, error.file.as_str()), (Some(5), "bytes.rep"));
}

#[test]
fn a_line_that_makes_no_sense_is_refused() {
    refused(&with_ops(1, "a 0 1\na 0 1\n"), 6, &["id 0", "again", "live"]);
    refused(&with_ops(1, "a 0 1\nf 0\nf 0\n"), 7, &["id 0", "no block"]);
    refused(&with_ops(2, "a 1 1\nf 0\n"), 6, &["id 0", "no block"]);
    refused(&with_ops(2, "a 1 1\na 2 1\n"), 6, &["id 2", "out of range", "last is 1"]);
    refused("1\n0\n1\n1\na 0 1\n", 5, &["out of range"]);
}

#[test]
fn a_made_trace_is_validated() {
    let bad = Trace::new("made", vec![Op::Allocate { id: 0, size: 1 }, Op::Free { id: 1 }]);
    let error = bad.validate().expect_err("id 1 has no block");
    assert_eq!((error.file.as_str(), error.line), ("made", Some(6)));
}

#[test]
fn what_is_written_is_read_again() {
    let trace = parse(SMALL).expect("valid");
    let mut text = Vec::new();
    trace.write(&mut text).expect("a vector takes all");
    assert_eq!(String::from_utf8_lossy(&text), SMALL);
    let scratch = tempfile::tempdir().expect("a directory");
    for name in ["small.rep", "small.rep.gz"] {
        let path = scratch.path().join(name);
        trace.save(&path).expect("saved");
        assert_eq!(Trace::open(&path).expect("valid"), trace, "{name}");
    }
    let packed = std::fs::read(scratch.path().join("small.rep.gz")).expect("there");
    assert_eq!(packed[..2], [0x1f, 0x8b], "the ending says gzip");
    std::fs::write(scratch.path().join("cut.rep.gz"), &packed[..packed.len() - 10]).expect("written");
    let error = Trace::open(&scratch.path().join("cut.rep.gz")).expect_err("cut short");
    assert!(error.reason.contains("unpacked"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Trace::open(Path::new("/nonexistent/x.rep")).expect_err("not there");
    assert!(error.to_string().starts_with("/nonexistent/x.rep: can't be opened"), "{error}");
}

#[test]
fn the_recorded_traces_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("traces");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is part of the repository").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "gz") {
            let trace = Trace::open(&path).unwrap_or_else(|error| panic!("{error}"));
            assert!(trace.ops.len() > 5_000, "{} is too short to tell anything", path.display());
            assert_eq!(trace.suggested_heap, trace.peak_payload() as u64, "{}", path.display());
            found += 1;
        }
    }
    assert!(found >= 7, "only {found} recorded traces");
}

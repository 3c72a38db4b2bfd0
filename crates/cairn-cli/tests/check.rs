//! `cairn check`: a sound heap is called sound, and what is wrong before the run is refused.

mod common;

use std::fs;

use common::{cairn, output, scratch, stdout, text};
use serde_json::Value;

#[test]
fn sound_heaps_are_called_sound() {
    let said =
        stdout(cairn().args(["check", "--generate", "coalescing,ops=400", "--config", "standard,deferred"]));
    assert_eq!(said.lines().count(), 16, "{said}");
    assert!(said.contains("coalescing,ops=400, two-level (deferred): sound after each of "), "{said}");
}

#[test]
fn a_file_is_checked_with_the_policy_that_is_named() {
    let directory = scratch();
    let file = directory.path().join("two.rep");
    fs::write(&file, "1\n2\n4\n1\na 0 10\na 1 20\nf 0\nr 1 3000\n").expect("written");
    let said = stdout(cairn().arg("check").arg(&file).args(["--policy", "best-fit-tree"]));
    assert_eq!(said, "two, best-fit-tree: sound after each of 4 operations\n");
    let said = stdout(cairn().arg("check").arg(&file).args(["--policy", "next-fit,first-fit", "--json"]));
    let document: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(document[0]["policy"], "next-fit");
    assert_eq!(document[1]["audits"], 4);
    assert!(document[1]["violation"].is_null());
}

#[test]
fn a_request_that_fails_is_told_with_operation_and_line_and_status_1() {
    let directory = scratch();
    let file = directory.path().join("huge.rep");
    fs::write(&file, "1\n2\n2\n1\na 0 10\n\na 1 100000000000000\n").expect("written");
    let result = output(cairn().arg("check").arg(&file).args(["--policy", "segregated"]));
    assert_eq!(result.status.code(), Some(1));
    let said = text(&result.stdout);
    assert!(
        said.starts_with("huge, segregated: operation 2 ('a 1 100000000000000', line 7): the heap refuses"),
        "{said}"
    );
    assert!(text(&result.stderr).contains("1 of 1 checks failed"));
}

#[test]
fn a_wrong_line_is_refused() {
    let directory = scratch();
    let file = directory.path().join("bad.rep");
    fs::write(&file, "1\n1\n1\n1\nf 0\n").expect("written");
    let result = output(cairn().arg("check").arg(&file));
    assert_eq!((result.status.code(), text(&result.stdout)), (Some(2), String::new()));
    assert!(text(&result.stderr).contains("bad.rep, line 5: id 0 is freed but has no block"));
}

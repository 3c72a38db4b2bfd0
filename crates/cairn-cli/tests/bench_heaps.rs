//! `cairn bench heaps` runs all heaps of its table, ours and the peers', and its figures are possible ones.

use std::process::Command;

use serde_json::Value;

fn heaps(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_cairn")).args(["bench", "heaps"]).args(arguments).output().unwrap()
}

fn figures(arguments: &[&str]) -> Value {
    let output = heaps(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The replay itself asserts that blocks are aligned, inside, and keep their contents.
fn check_all(align: &str) {
    let all = figures(&["--json", "--rounds", "1", "--align", align, "server,ops=600", "vectors,ops=400"]);
    let heaps = all["results"]["heaps"].as_array().unwrap();
    assert!(heaps.len() >= 6 + 2 * 8);
    for row in all["results"]["rows"].as_array().unwrap() {
        let payload = row["payload"].as_u64().unwrap();
        for (heap, cell) in heaps.iter().zip(row["cells"].as_array().unwrap()) {
            let extents: Vec<u64> =
                ["whole", "growing", "smallest"].iter().filter_map(|way| cell[way].as_u64()).collect();
            assert!(!extents.is_empty(), "{heap} has no extent on {}", row["trace"]);
            // glibc may put a few small blocks into holes that the start-up of its process has left.
            let spare = if heap["name"] == "glibc" { 8192 } else { 0 };
            assert!(
                extents.iter().all(|extent| extent + spare >= payload),
                "{heap}: {extents:?} hold {payload}"
            );
            assert_eq!(cell["ns"].as_array().unwrap().len(), 1, "{heap} was timed once");
            assert!(cell["ns"][0].as_f64().unwrap() > 0.0);
        }
    }
}

#[test]
fn every_heap_replays_traces_at_alignment_16() {
    check_all("16");
}

#[test]
fn every_heap_replays_traces_at_alignment_8() {
    check_all("8");
}

#[test]
fn what_is_neither_file_nor_shape_is_an_error_that_helps() {
    let output = heaps(&["no-such-shape"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("neither a file nor a shape"), "{errors}");
    let output = heaps(&["--heaps", "nothing"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && errors.contains("--list"), "{errors}");
}

#[test]
fn the_page_gets_its_tables_between_the_markers() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("page.md");
    let path = page.to_str().unwrap();
    let output =
        heaps(&["--quick", "--rounds", "1", "--heaps", "talc,rlsf", "--markdown", path, "stack,ops=300"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&page).unwrap();
    assert!(
        text.contains("| talc") && text.contains("Best mean utilisation") && text.contains("stack"),
        "{text}"
    );
}

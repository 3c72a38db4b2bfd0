//! `cairn replay`: what it prints, draws and writes, and what it refuses before anything is run.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{cairn, output, scratch, stdout, text};
use serde_json::Value;

const POLICIES: [&str; 8] = [
    "first-fit",
    "first-fit-address",
    "next-fit",
    "best-fit",
    "worst-fit",
    "best-fit-tree",
    "segregated",
    "two-level",
];
const SMALL: &str = "20000\n3\n8\n1\na 0 512\na 1 128\nr 0 640\na 2 128\nf 1\nr 0 768\nf 0\nf 2\n";

fn replay() -> Command {
    let mut command = cairn();
    command.arg("replay");
    command
}

fn small(directory: &Path) -> PathBuf {
    let file = directory.join("small.rep");
    fs::write(&file, SMALL).expect("written");
    file
}

/// Asserts that a command is refused with status 2 and these words, and prints nothing to stdout.
#[track_caller]
fn refused(command: &mut Command, words: &[&str]) {
    let result = output(command);
    let said = text(&result.stderr);
    assert_eq!(result.status.code(), Some(2), "{said}");
    assert_eq!(text(&result.stdout), "", "something was run");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn the_table_has_every_policy_and_both_bounds() {
    let directory = scratch();
    let result = output(replay().arg(small(directory.path())));
    assert_eq!(result.status.code(), Some(0));
    assert_eq!(text(&result.stderr), "", "nothing to say, and no terminal for a progress bar");
    let said = text(&result.stdout);
    assert!(said.starts_with("small: 8 operations on 3 ids, at most 896 B of payload live\n"), "{said}");
    // Blocks: 528, 144, 656, 144, then 784 in place of 656.
    assert!(said.contains("bounds: 2.20 KiB with no reuse at all, 944 B with perfect reuse\n"), "{said}");
    for policy in POLICIES {
        assert!(said.lines().any(|line| line.trim_start().starts_with(&format!("{policy} "))), "{said}");
    }
    for column in ["util", "splits", "joins", "search", "internal", "external", "pages", "score", "ns/op"] {
        assert!(said.contains(column), "{column} is missing in:\n{said}");
    }
    assert!(!said.contains("means"), "one trace has no means");
    assert!(said.lines().all(|line| line.trim_end() == line), "trailing spaces in:\n{said}");
}

#[test]
fn the_json_document_has_the_figures() {
    let directory = scratch();
    let said = stdout(replay().arg(small(directory.path())).args([
        "--generate",
        "uniform,ops=1000,seed=3",
        "--policy",
        "segregated,best-fit",
        "--config",
        "standard,align-8",
        "--json",
        "--score-weight",
        "1",
    ]));
    let document: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(document["score"]["weight"], 1.0);
    assert_eq!(document["traces"].as_array().map(Vec::len), Some(2));
    let trace = &document["traces"][1];
    assert_eq!(trace["trace"], "uniform,ops=1000,seed=3");
    assert_eq!(trace["operations"], 1000);
    assert_eq!(trace["bounds"].as_array().map(Vec::len), Some(2));
    assert_eq!(trace["failures"], serde_json::json!([]));
    let results = trace["results"].as_array().expect("results");
    let heaps: Vec<(&str, &str)> = results
        .iter()
        .filter_map(|result| Some((result["policy"].as_str()?, result["config"].as_str()?)))
        .collect();
    assert_eq!(
        heaps,
        [
            ("segregated", "standard"),
            ("best-fit", "standard"),
            ("segregated", "align-8"),
            ("best-fit", "align-8")
        ]
    );
    for result in results {
        for key in [
            "heap_bytes",
            "utilisation",
            "of_perfect",
            "internal_fragmentation",
            "external_fragmentation",
            "pages_touched",
            "splits",
            "coalesces",
            "searches",
            "mean_search",
            "throughput",
            "ns_per_op",
        ] {
            assert!(result[key].as_f64().is_some_and(|value| value >= 0.0), "{key} in {result:#}");
        }
        let (score, utilisation) = (result["score"].as_f64(), result["utilisation"].as_f64());
        let difference = score.expect("a score") - 100.0 * utilisation.expect("a utilisation");
        assert!(difference.abs() < 1e-9, "with w = 1 only utilisation counts");
    }
    assert_eq!(document["means"].as_array().map(Vec::len), Some(4));
    assert_eq!(document["means"][0]["traces"], 2);
}

#[test]
fn a_plot_is_drawn_as_svg_and_as_png() {
    let directory = scratch();
    let (svg, png) = (directory.path().join("plot.svg"), directory.path().join("plot.PNG"));
    stdout(
        replay()
            .args(["--generate", "peak,ops=600", "--policy", "two-level", "--plot"])
            .arg(&svg)
            .arg("--plot")
            .arg(&png),
    );
    let drawn = fs::read_to_string(&svg).expect("written");
    assert!(drawn.starts_with("<svg") && drawn.trim_end().ends_with("</svg>"), "{drawn:.100}");
    assert!(drawn.contains("peak,ops=600") && drawn.contains("two-level"));
    assert!(fs::read(&png).expect("written").starts_with(b"\x89PNG\r\n"));
    refused(
        replay().args(["--generate", "peak,ops=600", "--plot", "plot.pdf"]),
        &["plot.pdf", ".svg or .png"],
    );
    let nowhere = output(replay().args(["--generate", "peak,ops=600", "--plot", "/nonexistent/p.svg"]));
    assert_eq!(nowhere.status.code(), Some(125));
    assert!(text(&nowhere.stderr).contains("/nonexistent/p.svg: can't be written"));
}

#[test]
fn a_generated_trace_is_written_and_replayed_again() {
    let directory = scratch();
    let folder = directory.path().join("traces");
    let run = |command: &mut Command| -> Value {
        serde_json::from_str(&stdout(command.args(["--json", "--policy", "best-fit-tree"]))).expect("JSON")
    };
    let first =
        run(replay().args(["--generate", "stack,ops=500", "--generate", "queue", "--save"]).arg(&folder));
    assert!(folder.join("stack,ops=500.rep").is_file() && folder.join("queue.rep").is_file());
    let second = run(replay().arg(&folder));
    for (one, two) in [(0, 1), (1, 0)] {
        for key in ["trace", "operations", "peak_payload", "bounds"] {
            assert_eq!(first["traces"][one][key], second["traces"][two][key], "{key}");
        }
        assert_eq!(
            first["traces"][one]["results"][0]["heap_bytes"],
            second["traces"][two]["results"][0]["heap_bytes"]
        );
    }
}

#[test]
fn wrong_traces_are_named_with_file_and_line_and_nothing_is_run() {
    let directory = scratch();
    let good = small(directory.path());
    let bad = directory.path().join("bad.rep");
    fs::write(&bad, "1\n1\n2\n1\na 0 5\nq 0 5\n").expect("written");
    let worse = directory.path().join("worse.rep");
    fs::write(&worse, "1\n1\n2\n1\na 0 5\na 0 5\n").expect("written");
    let place = |file: &Path| format!("{}, line 6: ", file.display());
    refused(
        replay().arg(&good).arg(&bad).arg(&worse),
        &[&place(&bad), "'q' is no operation", &place(&worse), "allocated again"],
    );
    refused(replay().arg(directory.path().join("none.rep")), &["none.rep: can't be opened"]);
    let empty = directory.path().join("empty");
    fs::create_dir(&empty).expect("made");
    refused(replay().arg(&empty), &["there is no .rep or .rep.gz file"]);
    refused(&mut replay(), &["which trace?", "--generate"]);
    refused(replay().args(["--generate", "unifrom"]), &["no shape 'unifrom'", "uniform"]);
    refused(replay().arg(&good).args(["--policy", "fastest"]), &["no policy 'fastest'", "segregated"]);
    refused(replay().arg(&good).args(["--config", "align-7"]), &["no configuration 'align-7'", "align-8"]);
    refused(replay().arg(&good).args(["--score-weight", "2"]), &["from 0 to 1"]);
    refused(replay().arg(&good).args(["--score-reference", "0"]), &["above 0"]);
}

#[test]
fn a_trace_that_no_heap_can_hold_fails_with_status_1_and_the_others_are_shown() {
    let directory = scratch();
    let huge = directory.path().join("huge.rep");
    fs::write(&huge, "1\n1\n1\n1\na 0 100000000000000\n").expect("written");
    let result = output(replay().arg(&huge).arg(small(directory.path())).args(["--policy", "segregated"]));
    assert_eq!(result.status.code(), Some(1));
    let said = text(&result.stderr);
    assert!(
        said.contains("segregated on huge: operation 1 ('a 0 100000000000000', line 5): the heap refuses"),
        "{said}"
    );
    assert!(said.contains("1 of 2 replays failed"), "{said}");
    assert!(text(&result.stdout).contains("small: 8 operations"));
}

#[test]
fn help_explains_every_column_policy_and_shape() {
    let said = stdout(replay().arg("--help"));
    for word in POLICIES.iter().chain(&[
        "internal",
        "external",
        "perfect",
        "600,000",
        "creeping",
        "deferred",
        "Exit status",
    ]) {
        assert!(said.contains(word), "{word} is missing");
    }
}

//! `cairn bench`: what it lists, what it says about an earlier session, a real session of one small load, and its errors.
//!
//! No test here says how long anything took: the machine that runs the tests is busy with them.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{cairn, output, scratch, stdout, text};
use serde_json::{Value, json};

/// A session of two loads, as `--json` writes it: Cairn wins the first, and a peer crashes on the second.
fn recorded(folder: &Path) -> PathBuf {
    let run = |wall: f64, mib: u64| {
        json!({
            "report": {
                "end": { "Exit": 0 }, "wall_ns": wall * 1e9, "user_ns": wall * 1e9, "system_ns": 0,
                "peak_rss_kib": mib * 1024, "minor_faults": 4321, "major_faults": 0,
                "voluntary_switches": 12, "involuntary_switches": 3,
            },
            "ns_per_operation": null, "disturbed_s": 0.0,
        })
    };
    let integers = |mut run: Value| {
        for name in ["wall_ns", "user_ns"] {
            run["report"][name] = json!(run["report"][name].as_f64().unwrap() as u64);
        }
        run
    };
    let cell = |name: &str, runs: &[(f64, u64)], failures: &[&str]| {
        let runs: Vec<Value> = runs.iter().map(|&(wall, mib)| integers(run(wall, mib))).collect();
        json!({ "allocator": name, "runs": runs, "failures": failures })
    };
    let load = |name: &str, kind: &str, cells: Vec<Value>| json!({ "name": name, "about": "a load of the test", "kind": kind, "operation": null, "cells": cells });
    let peer = |name: &str, version: &str| json!({ "name": name, "version": version, "library": null });
    let session = json!({
        "machine": "a recorded machine", "command": "cairn bench", "began": "2026-11-21 08:00 UTC",
        "runs": 2, "scale": 1.0, "left_out": ["ferroc: it does not build"],
        "peers": [peer("cairn", "0.1.0"), peer("glibc", "2.36"), peer("jemalloc", "5.3.1")],
        "loads": [
            load("tree", "OneThread", vec![
                cell("cairn", &[(1.0, 30), (1.1, 30)], &[]),
                cell("glibc", &[(2.0, 40), (2.2, 40)], &[]),
                cell("jemalloc", &[(1.5, 50), (1.6, 50)], &[]),
            ]),
            load("python3", "Program", vec![
                cell("cairn", &[(3.0, 90), (3.1, 90)], &[]),
                cell("glibc", &[(2.0, 80), (2.1, 80)], &[]),
                cell("jemalloc", &[], &["crashed by SIGSEGV"]),
            ]),
        ],
    });
    let file = folder.join("session.json");
    fs::write(&file, session.to_string()).unwrap();
    file
}

fn bench(arguments: &[&str]) -> Command {
    let mut command = cairn();
    command.arg("bench").args(arguments);
    command
}

fn errors(result: &Output) -> String {
    assert!(!result.status.success(), "it should have failed");
    text(&result.stderr)
}

#[test]
fn a_session_is_printed_again_with_losses_and_bars() {
    let folder = scratch();
    let file = recorded(folder.path());
    let printed = stdout(bench(&["report"]).arg(&file));
    for words in [
        "tree: a load of the test",
        "jemalloc failed once: crashed by SIGSEGV",
        "4,321",
        "left out: ferroc: it does not build",
        "Who wins what",
        "wall time: cairn wins tree; glibc wins python3",
        "The bars",
    ] {
        assert!(printed.contains(words), "no {words:?} in {printed}");
    }
    let losses = printed.split("Losses").nth(1).unwrap();
    let line = losses.lines().find(|line| line.contains("python3") && line.contains("wall time")).unwrap();
    assert!(line.contains("lost") && line.contains("1.49") && line.contains("glibc"), "{line}");
}

#[test]
fn bars_and_losses_are_there_for_machines() {
    let folder = scratch();
    let printed = stdout(bench(&["report", "--json"]).arg(recorded(folder.path())));
    let document: Value = serde_json::from_str(&printed).unwrap();
    let bars = document["bars"].as_array().unwrap();
    let named = |words: &str| bars.iter().find(|bar| bar["what"].as_str().unwrap().contains(words)).unwrap();
    assert_eq!(named("wall time: worst load")["passed"], json!(false));
    assert_eq!(named("growing vectors: time")["passed"], json!(null), "there is no such load");
    assert!(document["losses"].as_array().unwrap().iter().all(|loss| loss["load"] == "python3"));
}

#[test]
fn a_session_becomes_one_page_that_needs_nothing_else() {
    let folder = scratch();
    let page = folder.path().join("page.html");
    stdout(bench(&["report", "--html"]).arg(&page).arg(recorded(folder.path())));
    let html = fs::read_to_string(page).unwrap();
    for load in ["tree", "python3"] {
        assert!(html.contains(&format!("id=\"load-{load}\"")), "no chart of {load}");
    }
    for allocator in ["cairn", "glibc", "jemalloc"] {
        assert!(html.contains(&format!(">{allocator}</text>")), "no mark of {allocator}");
    }
    for words in ["a recorded machine", "5.3.1", "crashed by SIGSEGV", "ferroc: it does not build", "<svg"] {
        assert!(html.contains(words), "no {words}");
    }
    assert!(!html.contains("<script") && !html.contains("http"), "the page must need nothing else");
}

#[test]
fn a_session_goes_between_the_markers_of_a_page() {
    let folder = scratch();
    let page = folder.path().join("benchmarks.md");
    let file = recorded(folder.path());
    for _ in 0..2 {
        stdout(bench(&["report", "--markdown"]).arg(&page).arg(&file));
    }
    let markdown = fs::read_to_string(page).unwrap();
    assert_eq!(markdown.matches("### The bars").count(), 1, "{markdown}");
    assert!(markdown.contains("| tree") && markdown.contains("| jemalloc"), "{markdown}");
}

#[test]
fn loads_and_allocators_are_listed() {
    let document: Value = serde_json::from_str(&stdout(&mut bench(&["list", "--json"]))).unwrap();
    let loads = document["loads"].as_array().unwrap();
    for (name, kind) in [("pairs-16", "OneThread"), ("larson-16", "ManyThreads"), ("rust-boxes", "RustDoor")]
    {
        assert!(loads.iter().any(|load| load["name"] == name && load["kind"] == kind), "no {name}");
    }
    assert!(document["allocators"].as_array().unwrap().iter().any(|peer| peer["name"] == "glibc"));
}

#[test]
fn mistakes_are_explained() {
    let folder = scratch();
    let nothing = folder.path().join("nothing.json");
    assert!(errors(&output(bench(&["report"]).arg(&nothing))).contains("nothing.json"));
    fs::write(&nothing, "{}").unwrap();
    assert!(errors(&output(bench(&["report"]).arg(&nothing))).contains("--json"));
    let unknown = output(&mut bench(&["--only", "no-such-load", "--no-prepare"]));
    let said = errors(&unknown);
    assert!(said.contains("no-such-load") && said.contains("cairn bench list"), "{said}");
    let unknown = output(&mut bench(&["--only", "pairs-16", "--no-prepare", "--peers", "glibc,nosuch"]));
    let said = errors(&unknown);
    assert!(said.contains("nosuch") && said.contains("glibc"), "{said}");
    let said = errors(&output(&mut bench(&["--libs", "mine", "--only", "pairs-16"])));
    assert!(said.contains("NAME=PATH"), "{said}");
    let said =
        errors(&output(&mut bench(&["--only", "pairs-16", "--no-prepare", "--workload", "/nothing/here"])));
    assert!(said.contains("/nothing/here") && said.contains("--workload"), "{said}");
}

/// The program `cairn-workload`, built by cargo in the target folder of this test.
fn workload() -> PathBuf {
    let target = Path::new(env!("CARGO_BIN_EXE_cairn")).parent().unwrap().parent().unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "-p", "cairn-workload", "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "cairn-workload does not build");
    target.join("debug/cairn-workload")
}

#[test]
fn a_real_session_of_one_small_load() {
    let folder = scratch();
    let file = folder.path().join("run.json");
    let library = stdout(cairn().arg("library"));
    let arguments =
        ["--no-prepare", "--only", "pairs-16", "--peers", "cairn,glibc", "--runs", "1", "--scale", "0.001"];
    let mut command = bench(&arguments);
    command.arg("--cairn").arg(library.trim()).arg("--workload").arg(workload()).arg("--json").arg(&file);
    let printed = stdout(&mut command);
    assert!(printed.contains("pairs-16: ") && printed.contains("The bars"), "{printed}");
    let session: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(session["machine"].as_str().unwrap().contains("Linux"));
    let cells = session["loads"][0]["cells"].as_array().unwrap();
    let names: Vec<&str> = cells.iter().map(|cell| cell["allocator"].as_str().unwrap()).collect();
    assert_eq!(names, ["cairn", "glibc"]);
    for cell in cells {
        assert_eq!(cell["runs"].as_array().unwrap().len(), 1, "{cell}");
        assert!(cell["runs"][0]["report"]["minor_faults"].as_u64().unwrap() > 0, "{cell}");
    }
    stdout(bench(&["report"]).arg(&file));
}

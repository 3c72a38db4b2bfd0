//! `cairn run --stats`: what it tells about real programs on the real library.

mod common;

use std::fs;
use std::process::{Command, Output};

use common::{cairn, compile, output, scratch, text};
use serde_json::Value;

/// Holds 5,000 blocks of 1,000 bytes and one of 3 MiB at its end, which comes in the way that its argument names.
const HOLDER: &str = r#"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static char *kept[5001];
int main(int count, char **values) {
    const char *end = count > 1 ? values[1] : "exit";
    for (int i = 0; i < 5000; i++) memset(kept[i] = malloc(1000), i, 1000);
    memset(kept[5000] = malloc(3 << 20), 1, 3 << 20);
    if (!strcmp(end, "_exit")) _exit(6);
    if (!strcmp(end, "signal")) raise(SIGTERM);
    if (!strcmp(end, "replace")) execl(values[0], values[0], "exit", (char *)0);
    if (!strcmp(end, "fork")) {
        if (fork() == 0) exit(0);
        wait(0);
    }
    if (!strcmp(end, "start")) {
        if (fork() == 0) execl(values[0], values[0], "exit", (char *)0);
        wait(0);
    }
    return 5;
}
"#;

/// Runs a command that was given `--json`, and reads the document from its stderr.
fn document(command: &mut Command) -> (Output, Value) {
    let result = output(command);
    let said = text(&result.stderr);
    let document = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in:\n{said}"));
    (result, document)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no whole number"))
}

/// Asserts that a heap report is there and holds what HOLDER holds.
fn holds(document: &Value) {
    let heap = &document["heap"];
    assert!(document["heap_missing"].is_null(), "{document:#}");
    let classes = heap["classes"].as_array().expect("classes");
    let class =
        classes.iter().find(|class| number(&class["block_size"]) >= 1000).expect("a class for 1,000 bytes");
    assert!(number(&class["block_size"]) <= 1200, "{class}");
    // A few belong to the C library.
    assert!((5000..5010).contains(&number(&class["live_blocks"])), "{class}");
    let size = number(&class["block_size"]);
    let blocks: u64 = ["live_blocks", "bin_blocks", "stack_blocks", "slab_free_blocks", "uncarved_blocks"]
        .iter()
        .map(|key| number(&class[*key]))
        .sum();
    assert!(blocks * size <= number(&class["slab_bytes"]), "more blocks than fit: {class}");
    assert_eq!(number(&heap["large_blocks"]), 1, "{heap:#}");
    assert!(number(&heap["large_bytes"]) >= 3 << 20);
    assert!(number(&document["live_bytes"]) >= 5_000_000 + (3 << 20));
    assert!(number(&heap["committed_bytes"]) >= number(&document["live_bytes"]));
    assert!(number(&heap["reserved_bytes"]) >= number(&heap["committed_bytes"]));
    assert_eq!(heap["pid"], document["pid"], "another process than the program itself reported");
}

#[test]
fn the_heap_at_the_end_is_told() {
    let directory = scratch();
    let program = compile(directory.path(), "holder", HOLDER, &["-O0"]);
    let (result, document) = document(cairn().args(["run", "--json"]).arg(&program));
    assert_eq!(result.status.code(), Some(5));
    assert_eq!(text(&result.stdout), "");
    assert_eq!(document["exit_status"], 5);
    assert_eq!(document["command"][0].as_str(), program.to_str());
    holds(&document);
    let rss = number(&document["peak_rss_bytes"]);
    assert!((8_000_000..40_000_000).contains(&rss), "peak RSS {rss}");
    // Each of some 8 MB was touched for the first time.
    assert!(number(&document["minor_faults"]) >= 100);
}

#[test]
fn only_the_program_itself_reports() {
    let directory = scratch();
    let program = compile(directory.path(), "holder", HOLDER, &["-O0"]);
    for end in ["exit", "fork", "start", "replace"] {
        let (result, document) = document(cairn().args(["run", "--json"]).arg(&program).arg(end));
        assert_eq!(result.status.code(), Some(5), "{end}");
        holds(&document);
    }
}

#[test]
fn a_missing_report_is_told_plainly() {
    let directory = scratch();
    let program = compile(directory.path(), "holder", HOLDER, &["-O0"]);
    for (end, said) in [("_exit", "exited with status 6"), ("signal", "was ended by SIGTERM")] {
        let result = output(cairn().args(["run", "--stats"]).arg(&program).arg(end));
        let table = text(&result.stderr);
        assert!(table.contains(said) && table.contains("left no heap report"), "{table}");
        assert!(table.contains("peak RSS"), "{table}");
        let (_, document) = document(cairn().args(["run", "--json"]).arg(&program).arg(end));
        assert!(document["heap"].is_null() && document["heap_missing"].is_string(), "{document:#}");
    }
}

#[test]
fn the_table_is_readable_and_apart_from_the_programs_output() {
    let directory = scratch();
    let program = compile(directory.path(), "holder", HOLDER, &["-O0"]);
    let result = output(cairn().args(["run", "--stats", "sh", "-c", "echo out; exec \"$0\""]).arg(&program));
    assert_eq!(text(&result.stdout), "out\n");
    let table = text(&result.stderr);
    for part in
        ["exited with status 5", "peak RSS", "MiB", "free in bins", "free in stacks", "free spans", "1,024"]
    {
        assert!(table.contains(part), "{part} is missing in:\n{table}");
    }
    // Every line of the table by class is as wide as its head.
    let lines: Vec<&str> = table.lines().skip_while(|line| !line.contains("block size")).collect();
    assert!(lines.len() >= 2 && lines.iter().all(|line| line.len() == lines[0].len()), "{table}");
}

#[test]
fn statistics_may_go_to_a_file() {
    let directory = scratch();
    let file = directory.path().join("heap.json");
    let mut command = cairn();
    command.args(["run", "--json", "--stats-file"]).arg(&file).args([
        "sh",
        "-c",
        "echo out; echo err >&2; exit 3",
    ]);
    let result = output(&mut command);
    assert_eq!((text(&result.stdout).as_str(), text(&result.stderr).as_str()), ("out\n", "err\n"));
    assert_eq!(result.status.code(), Some(3));
    let document: Value = serde_json::from_slice(&fs::read(&file).expect("the file")).expect("JSON");
    assert_eq!(document["exit_status"], 3);
}

#[test]
fn processor_time_and_waiting_are_told_apart() {
    let (_, waited) = document(cairn().args(["run", "--json", "sleep", "0.3"]));
    let seconds = |document: &Value, key: &str| document[key].as_f64().expect("seconds");
    assert!(seconds(&waited, "wall_seconds") >= 0.3);
    assert!(seconds(&waited, "user_seconds") + seconds(&waited, "system_seconds") < 0.2);
    let loops = "n=0; while [ $n -lt 100000 ]; do n=$((n+1)); done";
    let (_, worked) = document(cairn().args(["run", "--json", "sh", "-c", loops]));
    assert!(seconds(&worked, "user_seconds") > 0.005, "{worked:#}");
    assert!(seconds(&worked, "wall_seconds") >= seconds(&worked, "user_seconds"));
}

#[test]
fn nothing_is_left_behind() {
    let directory = scratch();
    for line in ["exit 0", "kill -9 $$"] {
        output(cairn().env("TMPDIR", directory.path()).args(["run", "--stats", "sh", "-c", line]));
        assert_eq!(fs::read_dir(directory.path()).expect("the directory").count(), 0, "{line}");
    }
    // A directory that isn't there is our trouble, not the program's.
    let mut command = cairn();
    command.env("TMPDIR", "/no/such/directory").args(["run", "--stats", "echo", "must not run"]);
    let result = output(&mut command);
    assert_eq!((result.status.code(), text(&result.stdout).as_str()), (Some(125), ""));
    assert!(text(&result.stderr).contains("temporary file"), "{}", text(&result.stderr));
}

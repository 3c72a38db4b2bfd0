//! `cairn view`: the forms, what is refused, and the page in a browser against the figures that `--json` prints.

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{cairn, output, scratch, stdout, text};
use serde_json::Value;

const TRACE: &str = "\
4096
4
9
1
a 0 512
a 1 100
a 2 48
f 1
a 3 40
r 0 900
f 2
f 3
f 0
";

/// The trace in a file.
fn trace(folder: &Path) -> PathBuf {
    let file = folder.join("small.rep");
    fs::write(&file, TRACE).expect("the file can be written");
    file
}

fn json(words: &[&str]) -> Value {
    let printed = stdout(cairn().arg("view").args(words).arg("--json"));
    serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"))
}

#[test]
fn a_moment_is_printed_as_json() {
    let folder = scratch();
    let file = trace(folder.path()).display().to_string();
    let document = json(&[&file, "--policy", "first-fit,segregated", "--at", "3"]);
    let heaps = document["heaps"].as_array().expect("a list");
    assert_eq!(heaps.len(), 2);
    for (heap, policy) in heaps.iter().zip(["first-fit", "segregated"]) {
        assert_eq!((&heap["policy"], &heap["at"]), (&policy.into(), &3.into()));
        assert_eq!((&heap["totals"]["live"], &heap["totals"]["used_blocks"]), (&660.into(), &3.into()));
        // The blocks follow each other without a gap, and payloads are those of the trace.
        let blocks = heap["snapshot"]["blocks"].as_array().expect("blocks");
        let number = |block: &Value, name: &str| block[name].as_u64().expect("a number");
        let mut end = 0;
        for block in blocks {
            assert_eq!(number(block, "offset"), end, "{policy}: no gap");
            end += number(block, "size");
        }
        let mut payloads: Vec<u64> =
            blocks.iter().filter(|b| b["state"] == "used").map(|b| number(b, "payload")).collect();
        payloads.sort_unstable();
        assert_eq!(payloads, [48, 100, 512]);
        assert!(end <= number(&heap["totals"], "extent"), "{policy}: blocks lie within the extent");
    }
    let empty = json(&[&file, "--at", "0"]);
    assert_eq!(empty["heaps"][0]["snapshot"]["blocks"], Value::Array(Vec::new()));
}

#[test]
fn the_default_moment_is_that_of_the_greatest_live_payload() {
    let folder = scratch();
    let file = trace(folder.path()).display().to_string();
    let live = |document: &Value| document["heaps"][0]["totals"]["live"].as_u64().expect("a number");
    let all: Vec<u64> = (0..=9).map(|at| live(&json(&[&file, "--at", &at.to_string()]))).collect();
    let document = json(&[&file]);
    assert_eq!(Some(&live(&document)), all.iter().max(), "{all:?}");
    assert_eq!(
        document["heaps"][0]["at"].as_u64(),
        all.iter().position(|bytes| Some(bytes) == all.iter().max()).map(|at| at as u64)
    );
}

#[test]
fn the_terminal_gets_letters_without_colours_in_a_pipe() {
    let drawn = stdout(cairn().args(["view", "--generate", "compiler,ops=200", "--policy", "first-fit"]));
    assert!(drawn.starts_with("first-fit  compiler,ops=200, after "), "{drawn}");
    assert!(!drawn.contains('\x1b') && drawn.contains("utilisation") && drawn.contains("0x0 |"), "{drawn}");
    let narrow = stdout(cairn().env("COLUMNS", "60").args(["view", "--generate", "compiler,ops=200"]));
    let rows = narrow.lines().filter(|line| line.trim_start().starts_with("0x"));
    assert!(rows.clone().count() > 0 && rows.clone().all(|row| row.chars().count() <= 60), "{narrow}");
}

#[test]
fn the_ending_chooses_the_form() {
    let folder = scratch();
    let beginnings: [(&str, &[u8]); 3] =
        [("heap.svg", b"<svg xmlns="), ("heap.png", b"\x89PNG\r\n\x1a\n"), ("heap.html", b"<!doctype html>")];
    for (name, beginning) in beginnings {
        let file = folder.path().join(name);
        let result = output(cairn().args(["view", "--generate", "peak,ops=300", "-o"]).arg(&file));
        assert!(result.status.success(), "{name}: {}", text(&result.stderr));
        assert!(
            result.stdout.is_empty() && text(&result.stderr).contains("written"),
            "our words go to stderr"
        );
        let bytes = fs::read(&file).expect("the file is there");
        assert!(bytes.starts_with(beginning), "{name}");
    }
}

#[test]
fn what_can_not_be_drawn_is_refused_in_words() {
    let refused: [(&[&str], &str); 9] = [
        (&["--generate", "peak", "-o", "heap.gif"], ".svg, .png or .html"),
        (&["--generate", "peak", "--policy", "best"], "there is no policy 'best'"),
        (&["--generate", "peak", "--config", "odd"], "there is no configuration 'odd'"),
        (&["--generate", "peak,ops=100", "--at", "5000"], "has only"),
        (&["--generate", "peak,ops=100", "--from", "3"], "--at"),
        (&["--generate", "all"], "one trace"),
        (&["--generate", "peak,ops=60000", "-o", "/tmp/never.html"], "--from 0 --to 50000"),
        (&["--generate", "peak", "-p", "first-fit,best-fit,two-level", "-o", "/tmp/never.html"], "not 3"),
        (&["no-such-file.rep"], "no-such-file.rep"),
    ];
    for (words, reason) in refused {
        let result = output(cairn().arg("view").args(words));
        let said = text(&result.stderr);
        assert_eq!(result.status.code(), Some(2), "{words:?}: {said}");
        assert!(said.contains(reason) && result.stdout.is_empty(), "{words:?}: {said}");
    }
    assert!(!Path::new("/tmp/never.html").exists());
    let result =
        output(cairn().args(["view", "--generate", "peak,ops=100", "-o", "/no/such/folder/heap.svg"]));
    assert_eq!(result.status.code(), Some(125));
    assert!(text(&result.stderr).contains("/no/such/folder/heap.svg can't be written"));
}

/// The browser, or a skip that is said by name.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .find_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file()));
    if found.is_none() {
        let reason = "chromium is not installed (apt install chromium)";
        let required = std::env::var_os("CAIRN_REQUIRE_PROGRAMS").is_some_and(|value| value == "1");
        assert!(!required, "{reason}, and CAIRN_REQUIRE_PROGRAMS=1 allows no skip");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    }
    found
}

/// The document that a browser makes of a page opened from disk; a word on its console is a failure.
fn document(browser: &Path, page: &Path, fragment: &str) -> String {
    let profile = scratch();
    let result = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args([
            "--disable-dev-shm-usage",
            "--enable-logging=stderr",
            "--virtual-time-budget=8000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}#{fragment}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser can be started");
    assert!(!text(&result.stderr).contains("CONSOLE"), "{}", text(&result.stderr));
    let document = text(&result.stdout);
    assert!(document.contains("data-ready=\"yes\"") && !document.contains("data-error"), "{document}");
    document
}

/// What the page shows at a moment is what `--json` prints for it, for two policies side by side.
#[test]
fn the_page_shows_the_figures_of_json() {
    let Some(browser) = browser() else { return };
    let folder = scratch();
    let page = folder.path().join("heap.html");
    let trace = ["--generate", "compiler,ops=3000"];
    let policies = ["best-fit-tree", "next-fit"];
    let names = policies.join(",");
    let made = output(cairn().arg("view").args(trace).args(["-p", &names, "-o"]).arg(&page));
    assert!(made.status.success(), "{}", text(&made.stderr));
    for moment in ["0", "17", "1000", "2900"] {
        let shown = document(&browser, &page, &format!("at={moment}"));
        let printed = json(&[trace[0], trace[1], "-p", &names, "--at", moment]);
        for (heap, policy) in printed["heaps"].as_array().expect("a list").iter().zip(policies) {
            let place = shown.find(&format!("data-policy=\"{policy}\"")).expect("the policy has a panel");
            let begin = shown[..place].rfind('<').expect("a tag");
            let tag = shown[begin..].split('>').next().expect("a tag");
            for (ours, theirs) in [
                ("extent", "extent"),
                ("live", "live"),
                ("used", "used_blocks"),
                ("waste", "waste"),
                ("free", "free_blocks"),
                ("waiting", "waiting_blocks"),
                ("free-bytes", "free_bytes"),
                ("largest", "largest_free"),
            ] {
                let expected = format!("data-{ours}=\"{}\"", heap["totals"][theirs]);
                assert!(tag.contains(&expected), "{policy} at {moment}: {expected} in {tag}");
            }
            let index = heap["snapshot"]["index"].as_array().expect("the index");
            let offsets: Vec<String> = index.iter().map(|entry| entry["offset"].to_string()).collect();
            assert!(
                tag.contains(&format!("data-index=\"{}\"", offsets.join(" "))),
                "{policy} at {moment}: {tag}"
            );
            let words = heap["words"].as_str().expect("words");
            assert!(shown.contains(words), "{policy} at {moment}: {words}");
        }
    }
}

#[test]
fn the_top_is_in_no_list() {
    let document = json(&[
        "--generate",
        "compiler,ops=200",
        "--config",
        "textbook",
        "--policy",
        "best-fit-tree",
        "--at",
        "50",
    ]);
    let index = document["heaps"][0]["snapshot"]["index"].as_array().expect("an index");
    let top = index.last().expect("a heap in growth has a top");
    assert_eq!(top["list"], Value::Null, "{top}");
    assert!(index.iter().rev().skip(1).all(|entry| entry["list"] == 0), "{index:?}");
}

//! Each lesson runs, says what it must, and has its values as JSON.

mod common;

use common::{cairn, output, scratch, stdout, text};
use serde_json::Value;

const LESSONS: [&str; 5] = ["memory-map", "reuse", "beyond-the-end", "holes", "locality"];

fn lesson(name: &str) -> String {
    stdout(cairn().args(["lesson", name]))
}

fn values(name: &str) -> Value {
    let text = stdout(cairn().args(["lesson", name, "--json"]));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error} in {text}"))
}

/// Asserts that a text has all these parts.
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no '{part}' in:\n{text}");
    }
}

#[test]
fn without_a_name_the_lessons_are_listed() {
    has(&stdout(cairn().arg("lesson")), &LESSONS);
    let list: Value = serde_json::from_str(&stdout(cairn().args(["lesson", "--json"]))).expect("JSON");
    let names: Vec<&str> =
        list.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, LESSONS);
}

#[test]
fn every_page_is_plain_narrow_and_ends_with_a_command() {
    for name in LESSONS {
        let page = lesson(name);
        has(&page, &[name, "\n  Next\n", "    cairn "]);
        assert!(!page.contains('\x1b'), "{name} is coloured where there is no terminal");
        let widest = page.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{name} is {widest:?} wide");
        assert_eq!(values(name)["lesson"], name);
    }
}

#[test]
fn an_unknown_lesson_is_refused_with_the_names() {
    let result = output(cairn().args(["lesson", "knots"]));
    assert_eq!(result.status.code(), Some(2));
    assert!(result.stdout.is_empty());
    has(&text(&result.stderr), &["cairn: there is no lesson 'knots'", "memory-map, reuse, beyond-the-end"]);
}

#[test]
fn the_first_thread_has_its_things_where_every_textbook_says() {
    let map = values("memory-map");
    let regions = map["regions"].as_array().expect("regions");
    let kind = |name: &str| {
        let landmarks = map["landmarks"].as_array().expect("landmarks");
        let landmark = landmarks.iter().find(|one| one["name"] == name).expect("it is there");
        let region = &regions[landmark["region"].as_u64().expect("it lies somewhere") as usize];
        (region["kind"].as_str().unwrap_or("").to_owned(), region["name"].as_str().unwrap_or("").to_owned())
    };
    let of = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    assert_eq!(kind("local"), of("stack", "[stack]"));
    assert_eq!(kind("small-block"), of("heap", "[heap]"));
    assert_eq!(kind("large-block"), of("mapping", ""));
    assert_eq!(kind("function").0, "code");
    assert_eq!(kind("global").0, "data");
    assert_eq!(kind("zeroed-global").0, "data");
    has(
        &lesson("memory-map"),
        &["heap, up to the program break", "◦", "malloc(1 MiB)", "the stack grows down"],
    );
}

#[test]
fn reuse_shows_the_sums() {
    has(
        &lesson("reuse"),
        &[
            "e = malloc(5000)",
            "21,404      12,288         12,288",
            "21,520      12,336         12,336",
            "8,224 bytes in one piece",
        ],
    );
}

#[test]
fn the_end_of_the_heap_is_told_by_signal_and_address() {
    has(&lesson("beyond-the-end"), &["SIGSEGV, SEGV_MAPERR", "SIGSEGV, SEGV_ACCERR", "exit status 139"]);
    let values = values("beyond-the-end");
    let attempt = &values["attempts"].as_array().expect("attempts")[4];
    assert_eq!(attempt["outcome"]["signal"]["address"], attempt["region"]["end"]);
    assert_eq!((&attempt["died_of"], &attempt["region"]["name"]), (&Value::from(11), &Value::from("[heap]")));
}

#[test]
fn holes_and_locality_compare() {
    has(
        &lesson("holes"),
        &["first-fit-address   A", "best-fit            E", "worst-fit           B", "grew"],
    );
    has(&lesson("locality"), &["in the holes  beside them", "pages in a search, mean"]);
}

#[test]
fn requests_are_saved_as_traces_that_can_be_replayed() {
    let directory = scratch();
    let save = |name: &str| output(cairn().args(["lesson", name, "--save"]).arg(directory.path()));
    for (name, traces) in [("reuse", &["reuse"][..]), ("holes", &["large-later", "pairs-later"])] {
        let result = save(name);
        assert!(result.status.success() && !result.stdout.is_empty());
        for trace in traces {
            let path = directory.path().join(format!("{trace}.rep"));
            has(&text(&result.stderr), &[&format!("cairn: wrote {}", path.display())]);
            stdout(cairn().arg("check").arg(path));
        }
    }
    let result = save("locality");
    assert_eq!(result.status.code(), Some(2));
    has(&text(&result.stderr), &["lesson locality has no requests to save"]);
}

#[test]
fn the_commands_to_paste_work() {
    let directory = scratch();
    for name in LESSONS {
        let page = lesson(name);
        let (_, next) = page.split_once("  Next\n").expect("a page ends with commands");
        let commands = next.lines().filter_map(|line| line.strip_prefix("    cairn "));
        for command in commands {
            // What follows is why.
            let words = command.split("   ").next().unwrap_or(command).split(' ');
            // `cairn run cairn ...` finds itself in PATH.
            let words = words.map(|word| if word == "cairn" { env!("CARGO_BIN_EXE_cairn") } else { word });
            stdout(cairn().args(words).current_dir(directory.path()));
        }
    }
}

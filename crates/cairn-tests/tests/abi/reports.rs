//! Claim: malloc_info writes well-formed XML and malloc_stats speaks on standard error; both tell of the 70 MB that
//! the program holds. What is told unasked goes to stderr or nowhere, and keeps no program from ending.

use cairn_tests::{command, compile, cprogram, scratch};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::time::Duration;

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

#[test]
fn a_file_that_took_the_place_of_stderr_gets_no_report() {
    let Some(program) = compile::program("abi/no_stderr.c", &[]) else { return };
    let folder = scratch::Scratch::new("no-stderr");
    for (name, value) in [("CAIRN_STATS", "1"), ("CAIRN_AUDIT_MS", "1"), ("CAIRN_AUDIT_SIGNAL", "USR2")] {
        let file = folder.path().join(name);
        let mut command = cprogram::preloaded(&program, &[file.to_str().expect("a path of text")]);
        command.env(name, value);
        // SAFETY: between fork and exec this is one system call.
        unsafe {
            command.pre_exec(|| match libc::close(libc::STDERR_FILENO) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
        command::run(&mut command, Duration::from_secs(20)).expect_success();
        assert_eq!(std::fs::read(&file).expect("the program made it"), b"mine", "{name}");
    }
}

/// What reports at exit, to a file or to stderr, runs in the thread that ends the process.
#[test]
fn a_cancelled_thread_reports() {
    let Some(program) = compile::program("abi/cancelled_reports.c", &[]) else { return };
    let folder = scratch::Scratch::new("cancelled-reports");
    let file = folder.path().join("report");
    let run = |stats: &std::path::Path| {
        let mut command = cprogram::preloaded(&program, &[]);
        let finished = command::run(command.env("CAIRN_STATS", stats), Duration::from_secs(30));
        finished.expect_success();
        finished.err().matches("the program holds").count()
    };
    assert_eq!(run(&file), 1, "malloc_stats");
    let report = std::fs::read_to_string(&file).expect("the report's file");
    assert!(report.starts_with("version ") && report.ends_with("\nend\n"), "{report}");
    assert_eq!(run("1".as_ref()), 2, "malloc_stats and the end");
}

/// A handler of SIGSEGV that returns would let the instruction fail again, for ever.
#[test]
fn a_signal_that_ends_programs_asks_for_no_audit() {
    let Some(program) = compile::program("abi/null_read.c", &[]) else { return };
    let mut command = cprogram::preloaded(&program, &[]);
    let finished = command::run(command.env("CAIRN_AUDIT_SIGNAL", "11"), Duration::from_secs(30));
    assert_eq!(finished.status.signal(), Some(libc::SIGSEGV), "{}", finished.status);
    let words =
        "cairn: CAIRN_AUDIT_SIGNAL: signal 11 can't be handled; the heap is not audited by a signal\n";
    assert_eq!(finished.err(), words);
}

//! A workload of several threads prints one line of JSON on standard output, and nothing else anywhere: `cairn bench` reads
//! that line.

use std::process::Command;

const LINES: &[&str] = &[
    "producer-consumer --ops 1000",
    "xmalloc --ops 1000 --batch 10",
    "larson --threads 2 --live 10 --ops 10 --generations 2",
    "mstress --threads 2 --lives 2 --ops 100",
    "rptest --threads 2 --rounds 4",
    "alloc-test --threads 2 --ops 1000",
    "sh6bench --rounds 1 --blocks 10",
    "sh8bench --rounds 2 --blocks 10",
    "cache-thrash --ops 2 --writes 10",
    "cache-scratch --ops 2 --writes 10",
    "chains --chains 2 --threads 2 --live 10",
    "threads-hot --ops 100",
    "requests --requests 20",
    "startup --ops 1 --program /bin/echo",
];

#[test]
fn prints_one_line_of_json_and_nothing_else() {
    for line in LINES {
        let output =
            Command::new(env!("CARGO_BIN_EXE_cairn-workload")).args(line.split(' ')).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(output.stderr.is_empty(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let json = text.strip_suffix('\n').unwrap_or_else(|| panic!("{line}: no whole line: {text}"));
        assert!(!json.contains('\n'), "{line}: more than one line: {text}");
        let outcome: cairn_workload::Outcome = serde_json::from_str(json).unwrap();
        assert_eq!(Some(outcome.workload.as_str()), line.split(' ').next());
    }
}

#[test]
fn a_number_of_threads_that_makes_no_sense_is_refused_with_the_reason() {
    let output = Command::new(env!("CARGO_BIN_EXE_cairn-workload")).args(["xmalloc", "--threads=1"]).output();
    let output = output.unwrap();
    assert!(!output.status.success() && output.stdout.is_empty());
    assert!(String::from_utf8(output.stderr).unwrap().contains("must be 2 at least"));
}

//! `cairn run --audit`: real programs do as they do without it, and the audits are counted; a damaged heap ends the program.

mod common;

use common::{cairn, compile, output, scratch, text};

/// The number of audits that the last line tells of.
fn audits(said: &str) -> u64 {
    let line = said.lines().find(|line| line.contains("of the heap of")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.starts_with("cairn: ") && line.ends_with("no damage"), "{line}");
    let number = line.split(' ').nth(1).expect("a number").replace(',', "");
    number.parse().unwrap_or_else(|_| panic!("{line}"))
}

#[test]
fn a_real_program_does_the_same_while_it_is_audited() {
    // It makes and drops many strings.
    let script = "BEGIN { for (i = 0; i < 300000; i++) { a[i % 5000] = a[i % 4999] i; \
                  if (length(a[i % 5000]) > 300) a[i % 5000] = \"\" } for (i = 0; i < 5000; i++) print a[i] }";
    let plain = output(cairn().args(["run", "--", "awk", script]));
    let audited = output(cairn().args(["run", "--audit", "5", "--", "awk", script]));
    assert!(plain.status.success() && audited.status.success(), "{}", text(&audited.stderr));
    assert!(!plain.stdout.is_empty() && plain.stdout == audited.stdout, "another output");
    assert!(audits(&text(&audited.stderr)) > 0);
}

#[test]
fn the_statistics_count_the_audits() {
    let result = output(cairn().args(["run", "--json", "--audit", "2", "--", "sleep", "0.3"]));
    let document: serde_json::Value = serde_json::from_str(&text(&result.stderr)).expect("JSON");
    assert!(document["heap"]["audits"].as_u64().expect("a number") > 5, "{document:#}");
}

/// Writes into memory that it has freed, and that Cairn has promised to itself to be zero.
const HARMFUL: &str = r#"
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    volatile char *block = malloc(4 << 20);
    memset((char *)block, 1, 4 << 20);
    free((char *)block);
    malloc_trim(0);
    block[3 << 20] = 1;
    for (int i = 0; i < 1000; i++) usleep(10000);
    return 0;
}
"#;

#[test]
fn damage_ends_the_program_and_is_named() {
    let directory = scratch();
    let program = compile(directory.path(), "harmful", HARMFUL, &["-O0"]);
    let result = output(cairn().args(["run", "--audit", "20"]).arg(&program));
    let said = text(&result.stderr);
    assert!(said.contains("cairn: audit: a free granule should read as zero and does not; at 0x"), "{said}");
    assert!(said.contains("was audited and was ended by SIGABRT"), "{said}");
    assert!(!result.status.success());
}

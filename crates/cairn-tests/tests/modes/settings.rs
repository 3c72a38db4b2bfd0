//! How a mode is chosen.

use cairn_tests::{command, cprogram, programs};
use std::time::Duration;

#[track_caller]
fn says(name: &str, value: &str) -> Option<String> {
    let shell = programs::need("bash")?;
    let mut command = cprogram::preloaded(&shell, &["-c", ":"]);
    command.env(name, value);
    Some(command::run(&mut command, Duration::from_secs(20)).expect_success().err())
}

#[test]
fn an_unknown_word_is_named_with_those_that_are_known() {
    let Some(words) = says("CAIRN_MODE", "fast") else { return };
    assert_eq!(words, "cairn: CAIRN_MODE=fast ignored: it takes one of default hardened debug sampled\n");
    let Some(words) = says("CAIRN_GUARD", "") else { return };
    assert_eq!(words, "cairn: CAIRN_GUARD= ignored: it takes one of behind before\n");
}

#[test]
fn every_mode_starts_without_a_word() {
    for mode in ["default", "hardened", "debug", "sampled"] {
        let Some(words) = says("CAIRN_MODE", mode) else { return };
        assert_eq!(words, "", "{mode}");
    }
}

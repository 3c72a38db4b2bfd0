//! Faults that end the process: each is committed in a child, the same test program started with the fault's name in its environment.

use std::alloc::Layout;
use std::os::unix::process::ExitStatusExt;

mod again;

use again::again;

/// In whose environment stands what it shall commit.
const FAULT: &str = "CAIRN_TEST_FAULT";

/// A layout that there is.
pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Runs `commit` in a child and expects it to end by SIGABRT with `words` in its first line.
#[track_caller]
pub fn is_named(test: &str, words: &[&str], commit: impl FnOnce()) {
    if std::env::var_os(FAULT).is_some() {
        commit();
        return;
    }
    let child =
        again().args(["--exact", test, "--nocapture"]).env(FAULT, test).output().expect("a child starts");
    let message = String::from_utf8_lossy(&child.stderr);
    let line = message.lines().find(|line| line.starts_with("cairn: ")).unwrap_or_default();
    assert_eq!(child.status.signal(), Some(6), "{message}");
    for word in words {
        assert!(line.contains(word), "no {word:?} in {message:?}");
    }
}

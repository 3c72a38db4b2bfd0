//! Faults that end the process: each is committed in a child, the same test program started with the fault's number in its environment.

use std::alloc::Layout;
use std::ops::Range;
use std::os::unix::process::ExitStatusExt;

mod again;

use again::again;

/// In the child's environment: which of the faults it shall commit.
const FAULT: &str = "CAIRN_TEST_FAULT";

/// A layout that there is.
pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// Runs `commit` in a child and expects it to end by SIGABRT with `words` in its first line.
#[track_caller]
pub fn is_named(test: &str, words: &[&str], commit: impl FnOnce()) {
    each_is_named(test, 0..1, words, |_| commit());
}

/// The same for each of the numbers, which `commit` gets; each in a child of its own.
#[track_caller]
pub fn each_is_named(test: &str, numbers: Range<usize>, words: &[&str], commit: impl FnOnce(usize)) {
    if let Ok(number) = std::env::var(FAULT) {
        return commit(number.parse().unwrap());
    }
    for number in numbers {
        let child = again()
            .args(["--exact", test, "--nocapture"])
            .env(FAULT, number.to_string())
            .output()
            .expect("a child starts");
        let message = String::from_utf8_lossy(&child.stderr);
        let line = message.lines().find(|line| line.starts_with("cairn: ")).unwrap_or_default();
        assert_eq!(child.status.signal(), Some(6), "{number}: {message}");
        for word in words {
            assert!(line.contains(word), "{number}: no {word:?} in {message:?}");
        }
    }
}

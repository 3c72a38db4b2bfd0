//! Claim: the commands of the README work when pasted, one block after the other, and say what it says.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use common::{has_cc, here, released, scratch, succeed, workspace};

/// The blocks of shell commands.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while lines.any(|line| line == "```sh") {
        blocks.push(lines.by_ref().take_while(|line| *line != "```").collect::<Vec<_>>().join("\n"));
    }
    blocks
}

#[test]
fn the_commands_of_the_readme() {
    if !has_cc() {
        return;
    }
    let text = fs::read_to_string(here().join("README.md")).expect("the README is there");
    let blocks = blocks(&text);
    let (build, others) = blocks.split_first().expect("the README has commands");
    // The first one is what `released` does, but for the directory; cargo would wait for its own lock here.
    assert_eq!(build, "cargo build --release -p cairn-course");
    // A directory that looks like the root of the repository after that.
    let root = scratch();
    symlink(workspace().join("crates"), root.path().join("crates")).expect("a link can be made");
    fs::create_dir(root.path().join("target")).expect("a directory can be made");
    symlink(released(), root.path().join("target/release")).expect("a link can be made");
    let said: Vec<_> = others
        .iter()
        .map(|block| succeed(Command::new("sh").arg("-ec").arg(block).current_dir(root.path())))
        .collect();
    let [lab, lab_sbrk, fill, tide] = &said[..] else { panic!("the README has {} blocks", said.len() + 1) };
    assert!(lab.contains("heap of "), "{lab}");
    assert_eq!(lab_sbrk.lines().count(), 3, "{lab_sbrk}");
    assert_eq!(fill.matches("fit: the holes were joined").count(), 2, "{fill}");
    assert!(fill.contains("don't fit: the holes are too small"), "{fill}");
    assert!(tide.lines().next().is_some_and(|line| line.ends_with(" break at +0")), "{tide}");
    assert!(
        tide.lines().last().is_some_and(|line| line.starts_with("all freed") && line.ends_with(" +0")),
        "{tide}"
    );
}

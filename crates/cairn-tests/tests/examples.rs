//! Claim: every example compiles as its reader would compile it, runs, and ends with 0.

use cairn_tests::{command, compile, library, scratch};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The files of a folder of examples with one of these extensions.
fn examples(folder: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let dir = scratch::workspace().join(folder);
    let entries =
        fs::read_dir(&dir).unwrap_or_else(|e| panic!("cannot list {}: {e}", dir.display())).flatten();
    let wanted =
        |path: &PathBuf| path.extension().is_some_and(|e| extensions.iter().any(|wanted| e == *wanted));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(wanted).collect();
    files.sort();
    assert!(!files.is_empty(), "no example in {}", dir.display());
    files
}

#[test]
fn c_and_cxx_programs_linked_with_the_static_library() {
    let Some(archive) = library::static_library() else { return };
    let archive = archive.to_string_lossy().into_owned();
    let include = format!("-I{}", scratch::workspace().join("crates/cairn-malloc/include").display());
    for source in examples("crates/cairn-malloc/examples-c", &["c", "cpp"]) {
        let Some(program) = compile::compile(&source, "", &[&include, &archive]) else { return };
        command::run(&mut Command::new(program), Duration::from_secs(60)).expect_success();
    }
}

#[test]
fn rust_programs_with_the_global_allocator() {
    let mut build = library::nested_cargo();
    build.args(["build", "--release", "-p", "cairn-alloc", "--examples", "--all-features", "--target-dir"]);
    build.arg(library::nested_target());
    command::run(&mut build, Duration::from_secs(300)).expect_success();
    for source in examples("crates/cairn-alloc/examples", &["rs"]) {
        let name = source.file_stem().expect("an example has a name");
        let program = library::nested_target().join("release/examples").join(name);
        command::run(&mut Command::new(program), Duration::from_secs(60)).expect_success();
    }
}

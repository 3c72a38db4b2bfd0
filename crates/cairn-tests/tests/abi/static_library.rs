//! Claim: a program linked against `libcairn.a`, dynamically or fully statically, keeps the same rules; and so does one that is linked against
//! `libcairn.so` and has the C++ library inside.

use crate::conformance::RULES;
use cairn_tests::{command, compile, library};
use std::process::Command;
use std::time::Duration;

fn pass_with(kind: &str, extra: &[&str]) {
    let Some(archive) = library::static_library() else { return };
    let archive = archive.to_string_lossy().into_owned();
    // dlsym of names that the linker had no reason to keep.
    let skipped = "abi/odd_doors.c";
    for rule in RULES.iter().filter(|rule| **rule != skipped) {
        let mut arguments = vec!["-DCHECK_STATIC", archive.as_str()];
        arguments.extend(extra);
        let Some(program) = compile::program(rule, &arguments) else { return };
        let finished = command::run(&mut Command::new(&program), Duration::from_secs(90));
        assert!(finished.status.success(), "{rule}, {kind}: {}\n{}", finished.status, finished.err());
    }
}

#[test]
fn linked_into_a_dynamic_program() {
    pass_with("linked with libcairn.a", &[]);
}

#[test]
fn linked_into_a_static_program() {
    pass_with("linked with -static", &["-static"]);
}

/// Its own C++ library is found because `libcairn.so` asks for the names by which new throws: what nobody asks for, a program doesn't export.
#[test]
fn linked_against_the_shared_object_with_the_cxx_library_inside() {
    let shared = library::shared_object();
    let run_path = format!("-Wl,-rpath,{}", shared.parent().expect("a file is in a directory").display());
    let arguments = [&*shared.to_string_lossy(), &run_path, "-static-libstdc++", "-static-libgcc"];
    let Some(program) = compile::program("cxx/throwing.cpp", &arguments) else { return };
    let finished = command::run(&mut Command::new(&program), Duration::from_secs(90));
    assert!(finished.status.success(), "{}\n{}", finished.status, finished.err());
}

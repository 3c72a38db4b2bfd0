//! How `libcairn.so` is linked, and that the files beside it tell its version.

use std::{env, fs};

/// What the linker is told, on top of rustc's own arguments (which make the global offset table read-only
/// after start: `-z relro -z now`; leaving that out would save two system calls at start, and make
/// overwriting a function's address easy).
const ARGUMENTS: [&str; 4] = [
    // The name that programs linked with -lcairn will ask for.
    "-Wl,-soname,libcairn.so",
    // One hash table, the one that the dynamic loader prefers.
    "-Wl,--hash-style=gnu",
    // GNU ld: code and constants in one mapping, which saves two system calls at start. lld does much the
    // same anyway.
    "-Wl,-z,noseparate-code",
    // dlclose doesn't unload it: threads, fork handlers, and blocks that somebody still holds outlive any
    // handle.
    "-Wl,-z,nodelete",
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for argument in ARGUMENTS {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    tells("include/cairn.h", &format!("#define CAIRN_VERSION \"{version}\"\n"));
    tells("include/cairn.pc", &format!("Version: {version}\n"));
}

/// Stops the build if a file that users install doesn't have this line.
fn tells(path: &str, line: &str) {
    println!("cargo:rerun-if-changed={path}");
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert!(text.contains(line), "{path} tells another version: it should have the line {line:?}");
}

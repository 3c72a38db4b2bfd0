//! Builds `libcairn.so`, the library that `cairn run` preloads, so that the program carries it inside.
//!
//! Cargo builds the shared object of another package only when it is asked to, so this script asks: it runs a
//! second `cargo build` of `cairn-malloc` with a target directory of its own (below `OUT_DIR`, so the two never
//! wait for each other's lock), always in the release profile, for the same target. What the outer build was
//! told about *its* code (flags, wrappers, profiles: clippy, coverage, sanitizers) does not reach the library.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, exit};

/// The packages that the shared object is made of, as directories below `crates/`.
const PACKAGES: [&str; 3] = ["cairn-core", "cairn-alloc", "cairn-malloc"];

fn main() {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    let root = here.join("../..");
    let out = PathBuf::from(variable("OUT_DIR"));
    watch(&root);
    if !root.join("crates/cairn-malloc/Cargo.toml").is_file() {
        fail(
            "the sources of libcairn.so are not beside this package; build cairn-cli inside a checkout of the repository",
            "",
        );
    }
    // Everything needed was downloaded for this package already, so the network is the second choice: it is
    // needed after `cargo install`, which may have resolved to newer versions than Cargo.lock names.
    let mut result = build(&root, &out, true);
    if !result.status.success() && env::var_os("CARGO_NET_OFFLINE").is_none_or(|value| value != "true") {
        let online = build(&root, &out, false);
        if online.status.success() {
            result = online;
        }
    }
    if !result.status.success() {
        fail(
            "libcairn.so, the library that cairn carries, failed to build",
            &String::from_utf8_lossy(&result.stderr),
        );
    }
    let built = out.join("library").join(variable("TARGET")).join("release/libcairn.so");
    if let Err(error) = fs::copy(&built, out.join("libcairn.so")) {
        fail(&format!("{} can't be copied: {error}", built.display()), "");
    }
}

/// Runs this script again when anything changes that the shared object is made from.
fn watch(root: &Path) {
    println!("cargo::rerun-if-changed=build.rs");
    let crates = PACKAGES.iter().map(|name| format!("crates/{name}"));
    let shared = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml", "rust-toolchain.toml"].map(String::from);
    for path in crates.chain(shared).map(|name| root.join(name)) {
        // Cargo takes a path that doesn't exist for one that has just changed.
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
}

/// Builds the shared object into `out/library`.
fn build(root: &Path, out: &Path, offline: bool) -> Output {
    let mut command = Command::new(variable("CARGO"));
    command
        .args(["build", "--release", "--quiet", "--locked", "--package", "cairn-malloc"])
        .arg("--target")
        .arg(variable("TARGET"))
        .arg("--target-dir")
        .arg(out.join("library"))
        .current_dir(root);
    if offline {
        command.arg("--offline");
    }
    for (name, _) in env::vars_os() {
        if !name.to_str().is_some_and(keeps) {
            command.env_remove(name);
        }
    }
    match command.output() {
        Ok(output) => output,
        Err(error) => fail(&format!("cargo can't be started to build libcairn.so: {error}"), ""),
    }
}

/// Whether the inner build sees this variable of the outer one.
fn keeps(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("CARGO_") else {
        return !matches!(
            name,
            "RUSTFLAGS" | "RUSTC_WORKSPACE_WRAPPER" | "CLIPPY_ARGS" | "LLVM_PROFILE_FILE"
        );
    };
    // Where packages come from, the job server, and the linker of a cross build; all else describes the outer build.
    let whole = ["HOME", "MAKEFLAGS"];
    let families = ["NET_", "HTTP_", "REGISTRY_", "REGISTRIES_", "SOURCE_", "TERM_"];
    whole.contains(&rest)
        || families.iter().any(|family| rest.starts_with(family))
        || (rest.starts_with("TARGET_") && (rest.ends_with("_LINKER") || rest.ends_with("_AR")))
}

/// A variable that cargo always sets for build scripts.
fn variable(name: &str) -> OsString {
    env::var_os(name).unwrap_or_else(|| fail(&format!("cargo did not set {name} for the build script"), ""))
}

/// Ends the build with one sentence, and what the inner build said below it.
fn fail(sentence: &str, detail: &str) -> ! {
    println!("cargo::error={sentence}");
    if !detail.is_empty() {
        eprintln!("{}", detail.trim_end());
    }
    exit(1);
}

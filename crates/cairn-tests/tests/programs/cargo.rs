//! Claim: cargo builds and runs a small crate, offline and without dependencies.
//!
//! rustc brings its own jemalloc inside its executable, and symbols of the executable come first; so it is cargo, the
//! linker and the built program that must be on the library.

use cairn_tests::command;
use cairn_tests::compare::Case;
use cairn_tests::programs;
use std::process::Command;
use std::time::Duration;

const MANIFEST: &str = "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[profile.dev]\ndebug = false\n[workspace]\n";
const LIBRARY: &str = "pub fn words(n: usize) -> Vec<String> { (0..n).map(|i| format!(\"w{}\", i * 7919 % n)).collect() }\n\
    #[test]\nfn all_differ() { let mut w = words(1000); w.sort(); w.dedup(); assert_eq!(w.len(), 1000); }\n";
const MAIN: &str = "use std::collections::{BTreeMap, HashMap};\n\
    fn main() {\n\
        let words = small::words(50000);\n\
        let map: HashMap<&str, usize> = words.iter().enumerate().map(|(i, w)| (w.as_str(), i)).collect();\n\
        let tree: BTreeMap<_, _> = map.iter().collect();\n\
        let threads: Vec<_> = (0..8).map(|n| std::thread::spawn(move || small::words(1000 * n + 1).concat().len())).collect();\n\
        let sizes: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();\n\
        println!(\"{} {:?} {:?}\", map.len(), tree.iter().nth(777), sizes);\n\
    }\n";

#[test]
fn a_small_crate() {
    if programs::need("cargo").is_none() {
        return;
    }
    // The cargo in PATH may be rustup's, which only finds the real one.
    let ask = |args: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(args);
        let answer = command::run(&mut command, Duration::from_secs(20));
        answer.status.success().then(|| answer.out().trim().to_owned())
    };
    let rustup = programs::find("rustup").is_some();
    let real =
        |name: &str| rustup.then(|| ask(&["which", name])).flatten().unwrap_or_else(|| name.to_owned());
    let home = std::env::var("HOME").unwrap_or_default();
    let cargo_home = std::env::var("CARGO_HOME").unwrap_or(format!("{home}/.cargo"));
    let _ = Case::new(real("cargo"))
        .args(["run", "--offline", "-q", "-j2", "--config", "build.incremental=false"])
        .env("CARGO_HOME", cargo_home)
        .env("RUSTC", real("rustc"))
        .env("CARGO_TARGET_DIR", "made")
        .file("Cargo.toml", MANIFEST)
        .file("src/lib.rs", LIBRARY)
        .file("src/main.rs", MAIN)
        .seconds(120)
        .reaches("small")
        // Hashes and time stamps of the build; what was built is run, and its output compared.
        .ignore("made/")
        .ignore(".rustc_info")
        .compare();
}

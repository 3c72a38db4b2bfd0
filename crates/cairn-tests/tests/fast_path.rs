//! The fast path has one exit, and nobody makes it longer by accident.
//!
//! The shipped shared object is disassembled and the fast path of each function in [`FUNCTIONS`] is held against
//! three things: rules that have no exception (it begins at a line of the cache, one exit, no call, no loop, no indivisible access), limits for
//! `malloc` and `free`, and the counts in the golden file, which a reviewer reads: `golden/fast_path.<processor>.txt`.
//!
//! `CAIRN_BLESS=1 cargo test -p cairn-tests --test fast_path` writes the golden file anew, if rules and limits hold.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use cairn_tests::disassemble::golden::Verdict;
use cairn_tests::disassemble::path::fast_path;
use cairn_tests::disassemble::{Golden, Image, Processor, Record};
use cairn_tests::{library, programs, scratch};

/// The functions whose fast path is guarded: C's two, and C++'s `new`, `delete`, and `delete` with a size.
const FUNCTIONS: [&str; 5] = ["malloc", "free", "_Znwm", "_ZdlPv", "_ZdlPvm"];

/// Bytes of a line of the cache.
const LINE: u64 = 64;

/// What no golden file may exceed: function, instructions, conditional branches. x86-64 only.
const LIMITS: [(&str, u32, u32); 2] = [("malloc", 17, 3), ("free", 30, 4)];

#[test]
fn the_shipped_object_keeps_its_fast_paths() {
    if library::stand_in().is_some() {
        programs::skip("CAIRN_TEST_LIBRARY names another library, and the golden file is about Cairn");
        return;
    }
    check(library::shared_object());
}

#[test]
fn so_does_the_object_for_aarch64() {
    if cfg!(target_arch = "aarch64") {
        // The other test has checked it.
        return;
    }
    if let Some(object) = built_for_aarch64() {
        check(&object);
    }
}

/// Checks one shared object; panics with everything that is wrong with it.
fn check(object: &Path) {
    let image = Image::open(object).unwrap_or_else(|why| panic!("{why}"));
    let mut faults = Vec::new();
    let mut records = Vec::new();
    for function in FUNCTIONS {
        match find(&image, function) {
            Ok(record) => {
                faults.extend(broken_limits(image.processor(), &record));
                records.push(record);
            }
            Err(fault) => faults.push(fault),
        }
    }
    let today = Golden { compiler: image.compiler().to_string(), records };
    let path = golden_file(image.processor());
    if std::env::var_os("CAIRN_BLESS").is_none() {
        faults.extend(compare(&path, &today));
    } else if faults.is_empty() {
        fs::write(&path, today.write())
            .unwrap_or_else(|why| panic!("{} can't be written: {why}", path.display()));
        tell(&format!("{} is renewed: let the difference be reviewed", path.display()));
    }
    assert!(
        faults.is_empty(),
        "the fast path in {} is not what it should be:\n\n{}",
        object.display(),
        faults.join("\n")
    );
}

/// The fast path of a function, if it keeps the rules.
fn find(image: &Image, function: &str) -> Result<Record, String> {
    let entry = image.find(function).ok_or_else(|| format!("{function}: the object has no such function"))?;
    if !entry.is_multiple_of(LINE) {
        return Err(format!("{function}: it begins at {entry:#x}, inside a line of the cache"));
    }
    let path = fast_path(image, entry).map_err(|fault| format!("{function}: {fault}"))?;
    let record = Record::new(function, &path);
    if path.exits.len() != 1 {
        return Err(format!(
            "{function}: it must have exactly one exit, and has {}:\n{record}",
            path.exits.len()
        ));
    }
    if !path.atomics.is_empty() {
        return Err(format!(
            "{function}: its fast path locks memory, by `{}`:\n{record}",
            path.atomics.join("`, `")
        ));
    }
    Ok(record)
}

fn broken_limits(processor: Processor, record: &Record) -> Option<String> {
    if processor != Processor::X86_64 {
        return None;
    }
    let (function, instructions, branches) =
        LIMITS.into_iter().find(|(name, ..)| *name == record.function)?;
    let kept = record.counts.instructions <= instructions && record.counts.branches <= branches;
    (!kept).then(|| {
        format!(
            "{function}: more than {instructions} instructions or {branches} conditional branches:\n{record}"
        )
    })
}

/// Compares today's paths with the golden file; says what has become longer.
fn compare(path: &Path, today: &Golden) -> Vec<String> {
    const RENEW: &str = "CAIRN_BLESS=1 cargo test -p cairn-tests --test fast_path";
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(why) => {
            return vec![format!("{} can't be read: {why}. This writes it:\n  {RENEW}", path.display())];
        }
    };
    let golden = match Golden::parse(&text) {
        Ok(golden) => golden,
        Err(why) => return vec![format!("{}, {why}", path.display())],
    };
    let mut faults = Vec::new();
    for record in &today.records {
        match golden.find(&record.function).map(|was| was.compare(record)) {
            Some(Verdict::Equal) => {}
            Some(Verdict::Shorter(change)) => {
                tell(&format!(
                    "{change}: shorter than the golden file says. To hold the code to it: {RENEW}"
                ));
            }
            Some(Verdict::Longer(report)) => faults.push(report),
            None => faults.push(format!("{}: the golden file doesn't know it", record.function)),
        }
    }
    if !faults.is_empty() {
        if golden.compiler != today.compiler {
            faults.push(format!("The compilers differ: {} then, {} now.", golden.compiler, today.compiler));
        }
        faults.push(format!("If it is meant to be so, renew {} and say why:\n  {RENEW}", path.display()));
    }
    faults
}

/// Says something that should be seen in a run that passes: written past the capture of the test harness.
fn tell(words: &str) {
    let _ = writeln!(std::io::stderr(), "{words}");
}

fn golden_file(processor: Processor) -> PathBuf {
    let name = format!("crates/cairn-tests/golden/fast_path.{}.txt", processor.name());
    scratch::workspace().join(name)
}

/// The shared object for aarch64, if this machine can build it; otherwise the skip is told.
fn built_for_aarch64() -> Option<PathBuf> {
    const TARGET: &str = "aarch64-unknown-linux-gnu";
    let linker = programs::need("aarch64-linux-gnu-gcc")?;
    if !rust_knows(TARGET) {
        programs::skip(
            "Rust can't build for aarch64 here; `rustup target add aarch64-unknown-linux-gnu` helps",
        );
        return None;
    }
    let target_dir = library::nested_target();
    let build = library::nested_cargo()
        .args(["build", "--release", "-p", "cairn-malloc", "--target", TARGET, "--target-dir"])
        .arg(&target_dir)
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", linker)
        .output()
        .unwrap_or_else(|why| panic!("cannot start cargo to build libcairn.so for aarch64: {why}"));
    let words = String::from_utf8_lossy(&build.stderr);
    assert!(build.status.success(), "libcairn.so does not build for aarch64:\n{words}");
    Some(target_dir.join(TARGET).join("release/libcairn.so"))
}

/// Whether the standard library for a target is installed, for the compiler that this workspace is built with.
fn rust_knows(target: &str) -> bool {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let asked = std::process::Command::new(rustc)
        .current_dir(scratch::workspace())
        .args(["--print", "target-libdir", "--target", target])
        .output();
    let Ok(answer) = asked else { return false };
    Path::new(String::from_utf8_lossy(&answer.stdout).trim()).is_dir()
}

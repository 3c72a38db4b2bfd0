//! Shows the same faults to several allocators and prints what each makes of them, as a table.
//!
//! `cargo run --release -p cairn-tests --bin faults -- scudo=/usr/lib/…/libclang_rt.scudo_standalone-x86_64.so mimalloc=/tmp/libmimalloc.so`
//!
//! The C library and Cairn, in default and in hardened mode, are in it in any case. The faults are those of `c/heap_faults.c`.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use cairn_tests::command::{self, Finished};
use cairn_tests::{compile, library};

const USAGE: &str = "usage: faults [NAME=PATH of a shared object to preload]...";

/// Each fault, and what it is in words.
const FAULTS: [(&str, &str); 34] = [
    ("double-at-once", "small block freed twice, at once"),
    ("double-later", "after eight other frees"),
    ("double-by-thread", "the second time by another thread"),
    ("double-after-thread", "the first time by another thread"),
    ("double-aligned", "aligned block freed twice"),
    ("double-large", "block of 1 MiB freed twice"),
    ("double-huge", "block of 100 MiB freed twice"),
    ("interior", "free 64 bytes into a block"),
    ("misaligned", "free 1 byte into a block"),
    ("interior-large", "free 64 KiB into a block of 1 MiB"),
    ("stack", "free of a local variable"),
    ("global", "free of a global variable"),
    ("realloc-freed", "realloc of a freed block"),
    ("wrong-size", "sized delete with a wrong size"),
    ("overflow-1", "1 byte behind 24"),
    ("overflow-nul", "a 0 behind 24"),
    ("overflow-1-odd", "1 byte behind 21"),
    ("overflow-nul-odd", "a 0 behind 21"),
    ("overflow-9", "the 9th byte behind 100"),
    ("overflow-1-4000", "1 byte behind 4,000"),
    ("overflow-large-1", "1 byte behind 1 MiB"),
    ("overflow-large-odd", "1 byte behind 1 MiB + 5"),
    ("overflow-large-page", "a page behind 1 MiB + 100"),
    ("underflow-large-page", "a page before 1 MiB + 100"),
    ("run-away", "a loop that goes 256 KiB on from a small block"),
    ("write-after-free", "write into a freed block of 96"),
    ("write-after-free-large", "write into a freed block of 1 MiB"),
    ("read-after-free-large", "read of a freed block of 1 MiB"),
    ("stale-read", "a freed block still shows its contents"),
    ("stale-next-owner", "the next owner finds the last one's contents"),
    ("reuse-at-once", "what was freed is handed out next"),
    ("neighbours", "blocks lie in a row"),
    ("forged-list", "malloc gives an address written after free"),
    ("no-fault", "(no fault: must pass)"),
];

struct Allocator {
    name: String,
    library: Option<PathBuf>,
    mode: Option<&'static str>,
}

fn allocators() -> Result<Vec<Allocator>, String> {
    let cairn = || Some(library::shared_object().to_owned());
    let mut all = vec![
        Allocator { name: "cairn hardened".into(), library: cairn(), mode: Some("hardened") },
        Allocator { name: "cairn".into(), library: cairn(), mode: None },
        Allocator { name: "the C library".into(), library: None, mode: None },
    ];
    for word in std::env::args().skip(1) {
        let (name, path) = word.split_once('=').ok_or(format!("{word} is not NAME=PATH\n{USAGE}"))?;
        let path = Path::new(path).canonicalize().map_err(|e| format!("{path}: {e}"))?;
        all.push(Allocator { name: name.into(), library: Some(path), mode: None });
    }
    Ok(all)
}

/// What an allocator made of a fault.
fn verdict(finished: &Finished) -> &'static str {
    let said = finished.stderr.iter().any(|byte| !byte.is_ascii_whitespace());
    let out = finished.out();
    match finished.status.signal() {
        Some(libc::SIGSEGV | libc::SIGBUS) if !said => "stopped",
        Some(_) if said => "named",
        Some(_) => "stopped",
        None if out.starts_with("harmless") && !said => "harmless",
        None if said && finished.status.success() => "told, goes on",
        None if out.starts_with("unseen") => "unseen",
        None => "ended",
    }
}

fn main() -> ExitCode {
    let allocators = match allocators() {
        Ok(allocators) => allocators,
        Err(words) => {
            eprintln!("{words}");
            return ExitCode::from(2);
        }
    };
    let Some(program) = compile::program("heap_faults.c", &[]) else { return ExitCode::FAILURE };
    println!("named: ended by a message; stopped: ended at the instruction, without one.\n");
    let names: Vec<&str> = allocators.iter().map(|allocator| allocator.name.as_str()).collect();
    println!("| fault | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
    for (fault, words) in FAULTS {
        print!("| {words} |");
        for allocator in &allocators {
            let mut run = Command::new(&program);
            run.arg(fault).env("LC_ALL", "C").env_remove("LD_PRELOAD").env_remove("CAIRN_MODE");
            library::hide_test_settings(&mut run);
            run.envs(allocator.library.as_ref().map(|library| ("LD_PRELOAD", library)));
            run.envs(allocator.mode.map(|mode| ("CAIRN_MODE", mode)));
            print!(" {} |", verdict(&command::run(&mut run, Duration::from_secs(120))));
        }
        println!();
    }
    ExitCode::SUCCESS
}

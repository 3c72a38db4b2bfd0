//! Claim: a pointer that must not be freed, resized or asked about ends the process by SIGABRT at once, after a line on standard error
//! that names the fault and the address, and lines that say where the program is; a handler of SIGABRT may still allocate. So it is in
//! hardened and debug mode too, in other words.

use cairn_tests::{command, compile, cprogram};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;

/// Commits a fault (see `c/abi/bad_free.c`), without and with a handler of SIGABRT. Each of `words` must be in the message.
#[track_caller]
fn is_reported(how: &str, address: &str, words: &[&str]) {
    // The program calls functions by names that neither glibc nor the linker may know.
    let options = ["-pthread", "-rdynamic", "-Wl,--unresolved-symbols=ignore-all"];
    let Some(program) = compile::program("abi/bad_free.c", &options) else { return };
    let fault = format!("{how} {address}");
    for handler in [false, true] {
        let mut args = vec![how, address];
        args.extend(handler.then_some("handler"));
        let finished = command::run(&mut cprogram::preloaded(&program, &args), Duration::from_secs(60));
        let (message, at) = (finished.err(), finished.out().trim().to_owned());
        let mut lines = message.lines();
        let line = lines.next().unwrap_or_default();
        assert!(line.starts_with("cairn: "), "{fault}: no message, but {message:?} ({})", finished.status);
        assert!(at.starts_with("0x") && line.contains(&at), "{fault}: no {at} in {message:?}");
        for word in words.iter().chain(&["thread "]) {
            assert!(line.contains(word), "{fault}: no {word:?} in {message:?}");
        }
        let backtrace: Vec<&str> = lines.collect();
        assert!(backtrace.iter().all(|line| line.starts_with("    at 0x")), "{fault}: {message:?}");
        let named = if how == "free-elsewhere" { "bad_free" } else { " main+0x" };
        assert!(
            backtrace.iter().any(|line| line.contains(named)),
            "{fault}: no way from main in {message:?}"
        );
        if handler {
            assert_eq!(finished.status.code(), Some(7), "{fault}: the handler ran to its end");
        } else {
            assert_eq!(finished.status.signal(), Some(libc::SIGABRT), "{fault}: {}", finished.status);
        }
    }
    for mode in ["hardened", "debug"] {
        is_found(&program, how, address, mode);
    }
}

/// The fault is found in this mode as well, whatever the words.
#[track_caller]
fn is_found(program: &Path, how: &str, address: &str, mode: &str) {
    let mut command = cprogram::preloaded(program, &[how, address]);
    let finished = command::run(command.env("CAIRN_MODE", mode), Duration::from_secs(60));
    let (message, at) = (finished.err(), finished.out().trim().to_owned());
    // In debug mode the write before the free is already too much, and the program has not told the address yet.
    let is_stopped = mode == "debug" && address == "freed-and-written";
    let signal = if is_stopped { libc::SIGSEGV } else { libc::SIGABRT };
    assert_eq!(finished.status.signal(), Some(signal), "{mode}: {how} {address}: {message}");
    let line = message.lines().next().unwrap_or_default();
    assert!(line.starts_with("cairn: ") && line.contains(&at), "{mode}: {how} {address}: {message}");
    assert_eq!(at.is_empty(), is_stopped, "{mode}: {how} {address}: {message}");
}

#[test]
fn a_block_freed_twice() {
    let words = ["double free", "block of 48 bytes, class 6"];
    for freed in ["freed", "freed-and-others", "freed-and-trim", "freed-by-another"] {
        is_reported("free", freed, &words);
    }
    // The slab is gone as well.
    is_reported("free", "freed-and-many-others", &["double free"]);
    is_reported("free-elsewhere", "freed", &words);
    is_reported("free", "freed-aligned", &["double free", "block of 512 bytes"]);
    is_reported("free", "freed-16-KiB", &["double free", "block of 16384 bytes"]);
}

/// A write after the first free has destroyed what told that the block is free: then it is found when the block leaves the bin, however
/// it does.
#[test]
fn a_block_freed_twice_and_written_to_in_between() {
    let words = ["double free", "block of 48 bytes, class 6"];
    for how in ["free-and-trim", "free-and-others", "free-elsewhere-and-trim"] {
        is_reported(how, "freed-and-written", &words);
    }
}

#[test]
fn a_freed_block_resized_or_asked_about() {
    for freed in ["freed", "freed-and-trim"] {
        is_reported("realloc", freed, &["realloc", "freed before", "48 bytes"]);
        is_reported("usable", freed, &["malloc_usable_size", "freed before", "48 bytes"]);
    }
    is_reported("realloc", "freed-and-many-others", &["realloc", "freed before"]);
    is_reported("usable", "freed-and-many-others", &["malloc_usable_size", "freed before"]);
    is_reported("realloc-large", "freed-large", &["realloc", "freed before"]);
    is_reported("usable", "freed-large", &["malloc_usable_size", "freed before"]);
}

#[test]
fn a_large_block_freed_twice() {
    for freed in ["freed-large", "freed-huge", "freed-aligned-large"] {
        is_reported("free", freed, &["double free"]);
    }
}

#[test]
fn an_address_inside_a_block() {
    for how in ["free", "realloc", "usable"] {
        is_reported(how, "inside", &["inside a block", "48 bytes", "16 bytes into it"]);
        is_reported(how, "misaligned", &["inside a block", "48 bytes", "1 bytes into it"]);
        is_reported(how, "inside-16-KiB", &["inside a block", "16384 bytes", "4096 bytes into it"]);
        is_reported(how, "inside-large", &["inside a large block", "300000 bytes behind its begin"]);
        is_reported(how, "inside-large-granule", &["inside a large block", "65536 bytes"]);
    }
}

#[test]
fn addresses_that_were_never_allocated() {
    for how in ["free", "realloc", "usable"] {
        for address in ["stack", "global", "code", "wild", "low", "mapped"] {
            is_reported(how, address, &["never allocated"]);
        }
    }
    // A multiple of the size, but no block begins there. (A free of it is found when it leaves the bin.)
    is_reported("realloc", "rest", &["never allocated"]);
    is_reported("usable", "rest", &["never allocated"]);
}

#[test]
fn a_size_that_is_not_the_block_s() {
    let words = ["wrong size", "block of 48 bytes"];
    is_reported("sized-200", "live", &[words[0], words[1], "200"]);
    is_reported("sized-32", "live", &[words[0], words[1], "32"]);
    is_reported("sized-huge", "live", &words);
    is_reported("sized-200", "live-large", &["wrong size", "1048576 bytes"]);
    is_reported("sized-all", "live", &words);
    is_reported("sized-all", "live-large", &["wrong size", "1048576 bytes"]);
    is_reported("delete-200", "live", &words);
    is_reported("delete-24", "live", &words);
    is_reported("delete-200", "freed", &["double free"]);
    is_reported("sized-200", "stack", &["never allocated"]);
}

#[test]
fn an_alignment_that_is_not_the_block_s() {
    is_reported("aligned-sized-64-100", "live-aligned", &["wrong size", "block of 192 bytes"]);
    is_reported("aligned-sized-65536-192", "live-aligned", &["alignment", "65536"]);
    is_reported("delete-aligned-4096-40", "live", &["alignment", "4096"]);
    // More than any address can have, and no power of two: rounded up.
    is_reported("aligned-sized-all-40", "live", &["alignment"]);
    is_reported("aligned-sized-3000-192", "live", &["alignment", "3000"]);
    is_reported("aligned-sized-3-100", "live", &["wrong size", "block of 48 bytes"]);
}

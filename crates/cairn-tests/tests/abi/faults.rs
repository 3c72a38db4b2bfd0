//! Claim: a pointer that must not be freed ends the process by SIGABRT, after one line on standard error that names the
//! fault and the address; a handler of SIGABRT may still allocate.

use cairn_tests::{command, compile, cprogram};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// Commits a fault (see `c/abi/bad_free.c`), without and with a handler of SIGABRT. Each of `words` must be in the message.
#[track_caller]
fn is_reported(fault: &str, words: &[&str]) {
    let Some(program) = compile::program("abi/bad_free.c", &[]) else { return };
    for handler in [false, true] {
        let args = if handler { vec![fault, "handler"] } else { vec![fault] };
        let finished = command::run(&mut cprogram::preloaded(&program, &args), Duration::from_secs(30));
        let (message, address) = (finished.err(), finished.out().trim().to_owned());
        let one_line = message.starts_with("cairn: ") && message.matches('\n').count() == 1;
        assert!(one_line, "{fault}: one line was to be written, not {message:?} ({})", finished.status);
        assert!(
            address.starts_with("0x") && message.contains(&address),
            "{fault}: no {address} in {message:?}"
        );
        for word in words {
            assert!(message.contains(word), "{fault}: no {word:?} in {message:?}");
        }
        if handler {
            assert_eq!(finished.status.code(), Some(7), "{fault}: the handler ran to its end");
        } else {
            assert_eq!(finished.status.signal(), Some(libc::SIGABRT), "{fault}: {}", finished.status);
        }
    }
}

#[test]
fn a_block_freed_twice() {
    let words = ["double free", "48 bytes"];
    is_reported("twice", &words);
    is_reported("twice-and-trim", &words);
    is_reported("again-later", &words);
}

#[test]
fn an_address_inside_a_block() {
    is_reported("inside", &["inside a block", "48 bytes", "16 bytes into it"]);
}

#[test]
fn addresses_that_were_never_allocated() {
    for fault in ["stack", "global", "wild", "realloc-stack"] {
        is_reported(fault, &["never allocated"]);
    }
}

#[test]
fn an_address_inside_a_large_block() {
    is_reported("inside-large", &["inside a large block"]);
}

#[test]
fn a_large_block_freed_twice() {
    is_reported("large-twice", &["freed before"]);
    is_reported("realloc-freed-large", &["freed before"]);
}

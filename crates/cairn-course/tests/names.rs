//! Claim: C programs that use the courses' names run on the library, however they are linked.

mod common;

use std::process::Command;

use common::{LINKS, Link, compile, has_cc, here, run, scratch, succeed, text};

const MEMLIB: &str = "examples-c/memlib.c";

#[test]
fn a_malloc_lab_driver_with_its_own_break() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for link in LINKS {
        let lab = compile(&dir, "lab", &["examples-c/lab.c", MEMLIB], &["-DMEMLIB"], link);
        let words = succeed(Command::new(lab).arg(here().join("examples-c/short.rep")));
        assert_eq!(words.lines().count(), 3, "{words}");
        // mem_heapsize tells that the memory came from the driver; and each life costs the same.
        let heaps: Vec<_> =
            words.lines().map(|line| line.split_once("heap of ").expect("its size").1).collect();
        assert!(heaps[0] != "0 bytes" && heaps[1] == heaps[0] && heaps[2] == heaps[0], "{words}");
    }
}

#[test]
fn the_same_driver_on_the_program_break() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for link in LINKS {
        let lab = compile(&dir, "lab", &["examples-c/lab.c"], &[], link);
        let words = succeed(Command::new(lab).arg(here().join("examples-c/short.rep")));
        assert_eq!(words.lines().count(), 3, "{words}");
    }
}

#[test]
fn sizes_of_nothing_and_too_much() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for link in LINKS {
        for (name, flags) in [("edges-memlib", &["-DMEMLIB"][..]), ("edges", &[])] {
            succeed(&mut Command::new(compile(&dir, name, &["tests/c/edges.c"], flags, link)));
        }
    }
}

#[test]
fn word_sizes_and_a_small_greatest_heap() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for (word, heap) in [(4, 20_000), (8, 20_000), (16, 20_000), (32, 20_000), (64, 50_000), (8, 1024)] {
        let (word, heap) = (format!("-DWORD_SIZE={word}"), format!("-DMAX_HEAP_SIZE={heap}"));
        let program = compile(&dir, "words", &["tests/c/words.c"], &[&word, &heap], Link::Archive);
        succeed(&mut Command::new(program));
    }
    for link in LINKS {
        let program = compile(&dir, "words", &["tests/c/words.c"], &[], link);
        let words = succeed(&mut Command::new(&program));
        assert!(words.starts_with("word 8 heap 1048576 "), "{words}");
        // The environment is stronger than the header.
        let words =
            succeed(Command::new(&program).env("CAIRN_DMM_WORD", "32").env("CAIRN_DMM_HEAP", "30000"));
        assert!(words.starts_with("word 32 heap 30000 "), "{words}");
        // What makes no sense is said and ignored.
        let output = run(Command::new(&program).env("CAIRN_DMM_WORD", "0").env("CAIRN_DMM_HEAP", "0"));
        assert!(output.status.success());
        assert_eq!(
            text(&output.stderr),
            "cairn: CAIRN_DMM_WORD=0 ignored: it takes 4, 8, 16, 32 or 64 (bytes)\n\
             cairn: CAIRN_DMM_HEAP=0 ignored: it takes a number of bytes\n"
        );
    }
}

#[test]
fn the_break_rises_and_falls() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for link in LINKS {
        let program = compile(&dir, "fall", &["tests/c/fall.c"], &[], link);
        for odd in ["0", "1", "13", "4096"] {
            succeed(Command::new(&program).arg(odd));
        }
    }
}

#[test]
fn several_threads_at_once() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for link in [Link::Archive, Link::Shared] {
        succeed(&mut Command::new(compile(&dir, "threads", &["tests/c/threads.c"], &[], link)));
    }
}

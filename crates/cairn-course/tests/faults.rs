//! Claim: each fault of a program ends it by SIGABRT, with one line that names the fault, the function, and the address; and the
//! checker says what is wrong and where.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use common::{Link, compile, has_cc, run, scratch, text};

/// The same number on every Unix.
const SIGABRT: i32 = 6;

/// A family's word, and its names of free and realloc.
const FAMILIES: [(&str, &str, &str); 3] =
    [("mm", "mm_free", "mm_realloc"), ("dmm", "dfree", ""), ("hmm", "HmmFree", "HmmRealloc")];

#[test]
fn each_fault_of_each_family() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    for link in [Link::Archive, Link::Shared] {
        let program = compile(&dir, "faults", &["tests/c/faults.c"], &[], link);
        for (family, free, realloc) in FAMILIES {
            for fault in ["double", "joined", "foreign", "wild", "interior", "corrupted", "realloc", "other"]
            {
                if fault == "realloc" && realloc.is_empty() {
                    continue;
                }
                let output = run(Command::new(&program).args([family, fault]));
                let (out, words) = (text(&output.stdout), text(&output.stderr));
                let told = format!("{family} {fault} by {link:?}: {}\n{words}", output.status);
                assert_eq!(output.status.signal(), Some(SIGABRT), "{told}");
                // The program's handler of the signal could use the heap.
                let (block, rest) = out.split_once('\n').expect("the block's address");
                assert_eq!(rest, "usable\n", "{told}");
                let expected = match fault {
                    "double" | "joined" => {
                        format!("double free of {block} in {free}: the block is free already")
                    }
                    "realloc" => format!("double free of {block} in {realloc}: the block is free already"),
                    "wild" => format!("{free} of 0x123456789ab0, which is not in this heap: "),
                    "foreign" | "other" => format!("{free} of 0x"),
                    "interior" => format!(
                        "{free} of {}, which lies 32 bytes inside the block at {block} of ",
                        plus(block, 32)
                    ),
                    _ => format!("{free} of {}, in a corrupted heap: the word at 0x", plus(block, 112)),
                };
                assert!(words.starts_with(&format!("cairn: {expected}")), "expected {expected:?}\n{told}");
                assert!(
                    fault != "foreign" && fault != "other" || words.contains(", which is not in this heap: "),
                    "{told}"
                );
                assert_eq!(words.lines().count(), 1, "{told}");
            }
        }
    }
}

/// An address `bytes` further.
fn plus(address: &str, bytes: usize) -> String {
    let number = usize::from_str_radix(address.trim_start_matches("0x"), 16).expect("an address");
    format!("{:#x}", number + bytes)
}

#[test]
fn the_checker_names_invariant_address_and_block() {
    if !has_cc() {
        return;
    }
    let dir = scratch();
    let output = run(&mut Command::new(compile(&dir, "check", &["tests/c/check.c"], &[], Link::Archive)));
    let (out, words) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{words}");
    let (header, block) = out.trim_end().split_once(' ').expect("two addresses");
    let what = format!("a header has been overwritten: its check is wrong, at {header}, block {block}\n");
    assert_eq!(words, format!("cairn: mm_check: {what}cairn: mm_checkheap(77): {what}"));
}

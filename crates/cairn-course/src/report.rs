//! Faults of the program and violations of the heap's invariants, each as one line on stderr, made without allocating.

use cairn_core::fault::Line;
use cairn_heap::{Fault, Violation};

/// Ends the process: `function` was called with what is not a live block.
#[cold]
pub fn fault(function: &str, fault: &Fault) -> ! {
    let line = match *fault {
        Fault::DoubleFree { address } => {
            let line = Line::new().text("double free of ").address(address);
            line.text(" in ").text(function).text(": the block is free already")
        }
        Fault::Foreign { address } => of(function, address)
            .text(" which is not in this heap: a stack, global or wild pointer, or one of another allocator"),
        Fault::Misaligned { address, align } => {
            of(function, address).text(" which is no block: blocks begin at multiples of ").number(align)
        }
        Fault::Interior { address, block, size } => {
            let line = of(function, address).text(" which lies ").number(address - block);
            line.text(" bytes inside the block at ").address(block).text(" of ").number(size).text(" bytes")
        }
        Fault::Corrupted { address, word } => {
            let line = of(function, address).text(" in a corrupted heap: the word at ").address(word);
            line.text(" has been overwritten, perhaps by a write beyond the end of the block before it")
        }
    };
    line.abort()
}

fn of(function: &str, address: usize) -> Line {
    Line::new().text(function).text(" of ").address(address).text(",")
}

/// Tells of the first invariant that `function` found violated.
#[cold]
pub fn violation(function: &str, caller_line: usize, violation: &Violation) {
    let mut line = Line::new().text(function);
    if caller_line != 0 {
        line = line.text("(").number(caller_line).text(")");
    }
    line = line.text(": ").text(violation.invariant.sentence());
    if violation.address != 0 {
        line = line.text(", at ").address(violation.address);
    }
    if violation.block != 0 {
        line = line.text(", block ").address(violation.block);
    }
    line.print();
}

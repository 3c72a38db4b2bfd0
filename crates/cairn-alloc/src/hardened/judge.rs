//! What is wrong, in words: the faults that the mode finds, each with the block and what is known of it. Each ends the process.

use core::alloc::Layout;

use cairn_core::fault::Line;

use crate::class::block_size;
use crate::hardened::center;
use crate::hardened::seal::{self, State};
use crate::hardened::slab::Spot;
use crate::hardened::vault::form;

fn of_class(line: Line, class: usize) -> Line {
    line.text(" (block of ").number(block_size(class)).text(" bytes, class ").number(class).text(")")
}

/// A small block was freed twice.
#[cold]
pub fn double_free(block: *mut u8, class: usize) -> ! {
    of_class(Line::new().text("double free of ").address(block.addr()), class).abort()
}

/// A free block is not as it was left.
#[cold]
#[inline(never)]
pub fn write_after_free(block: *mut u8, class: usize) -> ! {
    let capacity = seal::capacity(class);
    // SAFETY: a block of the class begins here.
    let at = unsafe { seal::first_written(block, capacity) }.unwrap_or(capacity);
    of_class(Line::new().text("write after free into ").address(block.addr()), class)
        .text(": byte ")
        .number(at)
        .text(" of it was changed after it was freed")
        .abort()
}

/// The program's `call` ("free") was given an address in a hardened slab that is no live block, or one whose end was written over.
#[cold]
#[inline(never)]
pub fn no_live_block(call: &str, address: *mut u8, spot: Spot) -> ! {
    let (class, form) = (spot.class, form(spot.class));
    let line = Line::new();
    if spot.offset >= form.limit as usize {
        line.text(call)
            .text(" of ")
            .address(address.addr())
            .text(", which is behind the last block of a slab")
            .abort();
    }
    if !form.is_begin(spot.offset) {
        let inside = spot.offset % form.size as usize;
        let line = line.text(call).text(" of an address inside a block: ").address(address.addr());
        of_class(line, class).text("; ").number(inside).text(" bytes into it").abort();
    }
    let capacity = seal::capacity(class);
    // SAFETY: a block of the class begins here.
    match unsafe { seal::state(address, capacity) } {
        State::Freed if call == "free" => double_free(address, class),
        State::Freed => {
            let line = line.text(call).text(" of ").address(address.addr());
            of_class(line, class).text(", which was freed before").abort()
        }
        State::Fresh if center::of(class).has(class, address) => {
            let line = line.text(call).text(" of ").address(address.addr());
            of_class(line, class).text(", which is not allocated: freed before, or never handed out").abort()
        }
        State::Live(size) => {
            // SAFETY: the same.
            let (first, bytes) = unsafe { seal::changed_behind(address, capacity, size) }.unwrap_or((0, 0));
            overflow(address, size, class, first, bytes)
        }
        State::Fresh | State::Broken => of_class(line.text("overflow of ").address(address.addr()), class)
            .text(": the seal at its end was written over")
            .abort(),
    }
}

fn overflow(address: *mut u8, size: usize, class: usize, first: usize, bytes: usize) -> ! {
    let line = of_class(Line::new().text("overflow of ").address(address.addr()), class);
    behind(line, size, first, bytes)
}

fn behind(line: Line, size: usize, first: usize, bytes: usize) -> ! {
    line.text(": ")
        .number(bytes)
        .text(if bytes == 1 { " byte was" } else { " bytes were" })
        .text(" changed from ")
        .number(first)
        .text(" behind the ")
        .number(size)
        .text(" asked for")
        .abort()
}

/// Ends the process unless what the program says about a block that it frees, of `size` bytes, is so.
#[inline(always)]
pub fn layout(address: *mut u8, size: usize, layout: Option<Layout>) {
    if let Some(layout) = layout
        && (layout.size() != size || !address.addr().is_multiple_of(layout.align()))
    {
        wrong_layout(address, size, layout);
    }
}

#[cold]
#[inline(never)]
fn wrong_layout(address: *mut u8, size: usize, layout: Layout) -> ! {
    let line = Line::new().text("free of ").address(address.addr());
    if layout.size() != size {
        line.text(" with a wrong size: ")
            .number(size)
            .text(" bytes were asked for, freed as ")
            .number(layout.size())
            .abort();
    }
    line.text(" with a wrong alignment: it is not aligned to ").number(layout.align()).abort()
}

/// A large block that was freed before.
#[cold]
pub fn large_freed(address: *mut u8, begin: *mut u8, size: usize) -> ! {
    if address != begin {
        large_interior(address, begin, size);
    }
    Line::new()
        .text("double free of ")
        .address(address.addr())
        .text(" (large block of ")
        .number(size)
        .text(" bytes)")
        .abort()
}

/// An address that is in a large block's span and not its begin.
#[cold]
pub fn large_interior(address: *mut u8, begin: *mut u8, size: usize) -> ! {
    let line = Line::new().text("free of ").address(address.addr());
    let line = if address > begin {
        line.text(", which is ").number(address.addr() - begin.addr()).text(" bytes into")
    } else {
        line.text(", which is ").number(begin.addr() - address.addr()).text(" bytes before")
    };
    line.text(" the large block of ").number(size).text(" bytes at ").address(begin.addr()).abort()
}

/// What is behind a large block was changed.
#[cold]
pub fn large_overflow(address: *mut u8, size: usize, first: usize, bytes: usize) -> ! {
    let line = Line::new().text("overflow of ").address(address.addr()).text(" (large block)");
    behind(line, size, first, bytes)
}

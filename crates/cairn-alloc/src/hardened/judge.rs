//! What is wrong, in words: the faults that the mode finds, each with the block and what is known of it. Each ends the process.

use core::alloc::Layout;

use cairn_core::fault::Line;
use cairn_core::os;

use crate::class::block_size;
use crate::fault::{self, Call, with_thread};
use crate::hardened::seal::{self, SEAL, State};
use crate::hardened::slab::Spot;
use crate::hardened::vault::form;
use crate::hardened::{center, heap};

fn of_class(line: Line, class: usize) -> Line {
    let line = line.text(" (block of ").number(block_size(class)).text(" bytes, class ").number(class);
    line.text("; thread ").number(os::thread_number()).text(")")
}

fn of_large(line: Line, size: usize) -> Line {
    let line = line.text(" (large block of ").number(size).text(" bytes");
    line.text("; thread ").number(os::thread_number()).text(")")
}

/// A small block was freed twice.
#[cold]
pub fn double_free(block: *mut u8, class: usize) -> ! {
    fault::end(of_class(Line::new().text("double free of ").address(block.addr()), class))
}

/// A free block is not as it was left.
#[cold]
#[inline(never)]
pub fn write_after_free(block: *mut u8, class: usize) -> ! {
    let capacity = seal::capacity(class);
    // SAFETY: a block of the class begins here.
    let at = unsafe { seal::first_written(block, capacity) }.unwrap_or(capacity);
    let line = of_class(Line::new().text("write after free into ").address(block.addr()), class);
    fault::end(line.text(": byte ").number(at).text(" of it was changed after it was freed"))
}

/// The program's call was given an address in a hardened slab that is no live block, or one whose end was written over.
#[cold]
#[inline(never)]
pub fn no_live_block(call: Call, address: *mut u8, spot: Spot) -> ! {
    let (class, form) = (spot.class, form(spot.class));
    let of = || Line::new().text(call.name()).text(" of ").address(address.addr());
    if spot.offset >= form.limit as usize {
        fault::end(with_thread(of().text(", which is behind the last block of a slab")));
    }
    if !form.is_begin(spot.offset) {
        let inside = spot.offset % form.size as usize;
        let line =
            Line::new().text(call.name()).text(" of an address inside a block: ").address(address.addr());
        let line = line.text(" (block of ").number(form.size as usize).text(" bytes, class ").number(class);
        let line = line
            .text(" at ")
            .address(address.addr() - inside)
            .text(", ")
            .number(inside)
            .text(" bytes into it");
        fault::end(line.text("; thread ").number(os::thread_number()).text(")"));
    }
    let capacity = seal::capacity(class);
    // SAFETY: a block of the class begins here.
    let (state, untouched) =
        unsafe { (seal::state(address, capacity), seal::is_untouched(address, capacity)) };
    match state {
        // Free, as its slab or a thread knows, or (between them) as it reads; whatever was written to it since.
        State::Zero | State::Broken
            if untouched || heap::holds(class, address) || center::of(class).has(class, address) =>
        {
            freed_before(call, address, class)
        }
        State::Live(size) => {
            // SAFETY: the same.
            let (first, bytes) = unsafe { seal::changed_behind(address, capacity, size) }.unwrap_or((0, 0));
            let line = of_class(Line::new().text("overflow of ").address(address.addr()), class);
            behind(line, size, first, bytes)
        }
        State::Zero | State::Broken => {
            let line = of_class(Line::new().text("overflow of ").address(address.addr()), class);
            let line = line.text(": the seal, its last ").number(SEAL).text(" bytes, was written over");
            fault::end(line)
        }
    }
}

fn freed_before(call: Call, address: *mut u8, class: usize) -> ! {
    if call == Call::Free {
        double_free(address, class);
    }
    let line =
        Line::new().text(call.name()).text(" of a block that was freed before: ").address(address.addr());
    fault::end(of_class(line, class))
}

fn behind(line: Line, size: usize, first: usize, bytes: usize) -> ! {
    let line = line.text(": ").number(bytes).text(if bytes == 1 { " byte" } else { " bytes" });
    let line = line.text(if first == 0 { " right" } else { "" }).text(" behind the ").number(size);
    let line = line.text(" asked for");
    let line = if first > 0 { line.text(", from ").number(first).text(" on,") } else { line };
    fault::end(line.text(if bytes == 1 { " was changed" } else { " were changed" }))
}

/// Ends the process unless what the program says about a block that it frees, of `size` bytes, is so.
#[inline(always)]
pub fn layout(address: *mut u8, size: usize, layout: Option<Layout>) {
    if let Some(layout) = layout
        && (layout.size() != size || address.addr() & (layout.align() - 1) != 0)
    {
        wrong_layout(address, size, layout);
    }
}

#[cold]
#[inline(never)]
fn wrong_layout(address: *mut u8, size: usize, layout: Layout) -> ! {
    if layout.size() != size {
        fault::wrong_size(address.addr(), size, layout.size(), layout.align());
    }
    fault::wrong_alignment(address.addr(), layout.align())
}

/// The program's call was given a large block that was freed before, or an address near one.
#[cold]
pub fn large_freed(call: Call, address: *mut u8, begin: *mut u8, size: usize) -> ! {
    if address != begin {
        large_interior(call, address, begin, size);
    }
    let line = Line::new();
    let line = match call {
        Call::Free => line.text("double free of "),
        _ => line.text(call.name()).text(" of a block that was freed before: "),
    };
    fault::end(of_large(line.address(address.addr()), size))
}

/// An address that is in a large block's span and not its begin.
#[cold]
pub fn large_interior(call: Call, address: *mut u8, begin: *mut u8, size: usize) -> ! {
    let line = Line::new().text(call.name()).text(" of ").address(address.addr());
    let line = if address > begin {
        line.text(", inside a large block: ").number(address.addr() - begin.addr()).text(" bytes behind")
    } else {
        line.text(", before a large block: ").number(begin.addr() - address.addr()).text(" bytes before")
    };
    fault::end(of_large(line.text(" its begin at ").address(begin.addr()), size))
}

/// What is behind a large block was changed.
#[cold]
pub fn large_overflow(address: *mut u8, size: usize, first: usize, bytes: usize) -> ! {
    behind(of_large(Line::new().text("overflow of ").address(address.addr()), size), size, first, bytes)
}

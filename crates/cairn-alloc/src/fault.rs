//! Faults of the program that the heap meets: named, with the address and the block, before the heap is harmed.
//!
//! One line says what happened; its first words are the fault, its end is what is known of the block. Then comes where the program is.
//! Nothing here allocates.

use cairn_core::backtrace;
use cairn_core::fault::Line;
use cairn_core::os;

use crate::class::{SHAPES, block_size};
use crate::descriptor::Kind;
use crate::region::{self, Place};
use crate::slab::Fault;
use crate::thread;

/// What the program called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One of the functions that free.
    Free,
    /// One of those that resize.
    Reallocate,
    /// `malloc_usable_size`.
    UsableSize,
}

impl Call {
    /// Its name in C.
    pub fn name(self) -> &'static str {
        match self {
            Call::Free => "free",
            Call::Reallocate => "realloc",
            Call::UsableSize => "malloc_usable_size",
        }
    }
}

/// Ends the process: there is no live block of `class` at an address in a slab of that class, or it can't be put back.
#[cold]
pub fn report(call: Call, fault: Fault, address: usize, class: usize) -> ! {
    let line = Line::new();
    let line = match (fault, call) {
        (Fault::Interior, _) => line.text(call.name()).text(" of an address inside a block: "),
        (Fault::NeverAllocated, _) => line.text(call.name()).text(" of a block that was never allocated: "),
        (Fault::DoubleFree, Call::Free) => line.text("double free of "),
        (Fault::DoubleFree, _) => line.text(call.name()).text(" of a block that was freed before: "),
        (Fault::Misplaced, _) => return_misplaced(call, address, class),
    };
    let line = line.address(address).text(" (block of ");
    let line = line.number(block_size(class)).text(" bytes, class ").number(class);
    let line = match (fault, begin_of_block(address, class)) {
        (Fault::Interior, Some(begin)) => {
            line.text(" at ").address(begin).text(", ").number(address - begin).text(" bytes into it")
        }
        _ => line,
    };
    end(line.text("; thread ").number(os::thread_number()).text(")"))
}

/// Ends the process: the address lies in no slab of `class`, but was freed as a block of it.
#[cold]
fn return_misplaced(call: Call, address: usize, class: usize) -> ! {
    match region::locate(address).map(Place::class) {
        Some(real) if real > 0 => wrong_class(address, real, class),
        _ => foreign(call, address),
    }
}

/// Ends the process: a block of class `real` was freed by a Rust layout of class `given` (0: large).
#[cold]
pub fn wrong_class(address: usize, real: usize, given: usize) -> ! {
    let line = Line::new().text("free of ").address(address).text(" with a wrong size: it is a ");
    let line = if real == 0 { line.text("large block") } else { sized(line, real) };
    let line = line.text(", freed as a ");
    end(with_thread(if given == 0 { line.text("large block") } else { sized(line, given) }))
}

fn sized(line: Line, class: usize) -> Line {
    line.text("block of ").number(block_size(class)).text(" bytes")
}

/// Ends the process: a block that holds `real` bytes was freed as one of `given` bytes, aligned to `align` if that is not 1.
#[cold]
pub fn wrong_size(address: usize, real: usize, given: usize, align: usize) -> ! {
    let line = Line::new().text("free of ").address(address).text(" with a wrong size");
    let line = if align > 1 { line.text(" or alignment") } else { line };
    let line = line.text(": it is a block of ").number(real).text(" bytes, freed as one of ").number(given);
    end(with_thread(if align > 1 { line.text(" aligned to ").number(align) } else { line }))
}

/// Ends the process: a block was freed with an alignment that it doesn't have.
#[cold]
pub fn wrong_alignment(address: usize, given: usize) -> ! {
    let line =
        Line::new().text("free of ").address(address).text(" with a wrong alignment: it is not aligned to ");
    end(with_thread(line.number(given)))
}

/// Ends the process: `address` is in no slab, and not the begin of a live large block.
#[cold]
pub fn foreign(call: Call, address: usize) -> ! {
    let line = |text| Line::new().text(text).address(address);
    let plain = || Line::new().text(call.name()).text(" of ").address(address);
    let Some(mut place) = region::locate(address) else {
        end(with_thread(
            plain().text(", which Cairn never allocated (stack, global, foreign or wild pointer)"),
        ))
    };
    // SAFETY: a granule before a committed one is committed, so its descriptor can be read. It may change meanwhile: the process
    // ends here in any case.
    let kind = |place: Place| unsafe { (*place.region.descriptor(place.granule)).kind };
    while kind(place) == Kind::Inner && place.granule > 0 {
        place.granule -= 1;
    }
    let begin = place.region.address_of(place.granule).addr();
    end(with_thread(match (kind(place), call) {
        (Kind::Free, Call::Free) => line("double free of ")
            .text(" or free of a wild pointer: no block is there, what was has been freed before"),
        (Kind::Free, _) => plain().text(", where no block is: what was has been freed before"),
        (Kind::Records, _) => plain().text(", which belongs to Cairn's own records"),
        (Kind::Large, _) if begin == address => {
            plain().text(" with a wrong size: it is a large block, and was freed as a small one")
        }
        (Kind::Large, _) => plain()
            .text(", inside a large block: ")
            .number(address - begin)
            .text(" bytes behind its begin at ")
            .address(begin),
        _ => plain().text(", which is no block's begin"),
    }))
}

/// Says which thread it was.
pub fn with_thread(line: Line) -> Line {
    line.text(" (thread ").number(os::thread_number()).text(")")
}

/// The last words: the line, where the program is, and SIGABRT.
pub fn end(line: Line) -> ! {
    line.print();
    // What this thread was carrying is given up: a handler of the signal may allocate.
    thread::drop_hands();
    backtrace::print_last(1);
    // SAFETY: abort may be called at any time.
    unsafe { libc::abort() }
}

/// Where the block of `class` begins that the address lies in.
fn begin_of_block(address: usize, class: usize) -> Option<usize> {
    let place = region::locate(address)?;
    // SAFETY: as in `foreign`.
    let head = unsafe { (*place.region.descriptor(place.granule)).head } as usize;
    let offset = address.checked_sub(place.region.address_of(head).addr())?;
    Some(address - offset % SHAPES[class].size as usize)
}

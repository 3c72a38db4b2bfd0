//! Faults of the program that the heap meets: named, with the address and the block, before the heap is harmed.

use core::sync::atomic::Ordering::Relaxed;

use cairn_core::fault::Line;

use crate::class::{SHAPES, block_size};
use crate::descriptor::Kind;
use crate::region;
use crate::slab::Fault;

/// Ends the process: a block of `class` can't be put back into its slab.
#[cold]
pub fn report(fault: Fault, address: usize, class: usize) -> ! {
    let (what, of) = match fault {
        Fault::Interior => ("free of an address inside a block: ", " (blocks of "),
        Fault::NeverAllocated => ("free of a block that was never allocated: ", " (block of "),
        Fault::DoubleFree => ("double free of ", " (block of "),
        Fault::Misplaced => report_misplaced(address, class),
    };
    let line =
        Line::new().text(what).address(address).text(of).number(block_size(class)).text(" bytes, class ");
    let line = line.number(class).text(")");
    match (fault, offset_in_block(address, class)) {
        (Fault::Interior, Some(offset)) => line.text("; ").number(offset).text(" bytes into it").abort(),
        _ => line.abort(),
    }
}

/// Ends the process: the address lies in no slab of `class`.
#[cold]
fn report_misplaced(address: usize, class: usize) -> ! {
    let line = Line::new().text("free of ").address(address);
    let found = region::locate(address).map(|p| usize::from(p.region.class_of(p.granule).load(Relaxed)));
    match found {
        Some(real) if real > 0 => line
            .text(" with a wrong size: it is a block of ")
            .number(block_size(real))
            .text(" bytes, freed as one of ")
            .number(block_size(class))
            .abort(),
        _ => foreign(address),
    }
}

/// Ends the process: `address` is not the begin of a live block.
#[cold]
pub fn foreign(address: usize) -> ! {
    let line = Line::new().text("free of ").address(address);
    let Some(place) = region::locate(address) else {
        line.text(", which Cairn never allocated (stack, global, foreign or wild pointer)").abort()
    };
    // SAFETY: the granule is committed, so its descriptor can be read. It may change meanwhile: the process
    // ends here in any case.
    match unsafe { (*place.region.descriptor(place.granule)).kind } {
        Kind::Free => line.text(", which is not allocated: its memory was freed before").abort(),
        Kind::Records => line.text(", which belongs to Cairn's own records").abort(),
        _ => line.text(", which is no block's begin (freed before, or inside a large block)").abort(),
    }
}

fn offset_in_block(address: usize, class: usize) -> Option<usize> {
    let place = region::locate(address)?;
    // SAFETY: as in `foreign`.
    let head = unsafe { (*place.region.descriptor(place.granule)).head } as usize;
    let offset = address.checked_sub(place.region.address_of(head).addr())?;
    Some(offset % SHAPES[class].size as usize)
}

//! Of the audit: what threads keep in their rings and stocks. Under all locks, so no thread is born, and none gets or gives back memory for a
//! stock. Looked at are the caller's heap, those that were left, and all of them if no other thread runs: what moves is let be.

use core::ptr;
use core::sync::atomic::Ordering::{Acquire, Relaxed};
use core::sync::atomic::fence;

use crate::audit::{Audit, Found, Violation, must, must_be};
use crate::class::SMALL_COUNT;
use crate::hardened::{center, seal};

use super::stock::Stock;
use super::{Heap, REGISTRY, current};

const SUBJECT: &str = "a thread's stock";

/// Checks all heaps that stand still.
pub fn check(audit: &mut Audit) -> Found {
    let own = current().map_or(ptr::null(), ptr::from_ref);
    let mut taken = 0;
    for heap in REGISTRY.all() {
        let at = ptr::from_ref(heap).addr();
        audit.record("the hardened heap of a thread", at, size_of::<Heap>())?;
        let is_taken = heap.listing.is_taken();
        // Who left it, left it empty.
        fence(Acquire);
        taken += usize::from(is_taken);
        if audit.alone || !is_taken || ptr::eq(own, heap) {
            (0..SMALL_COUNT)
                .try_for_each(|class| check_stock(audit, &heap.stocks[class], class, is_taken))?;
        }
    }
    audit.seen.threads = audit.seen.threads.max(taken);
    Ok(())
}

fn check_stock(audit: &mut Audit, stock: &Stock, class: usize, is_taken: bool) -> Found {
    let wrong = |what| Violation::new(SUBJECT, what).at(ptr::from_ref(stock).addr()).of(class);
    let (ring, length) = (stock.ring.load(Relaxed), stock.own_length());
    let (capacity, held) = (usize::from(stock.capacity.get()), usize::from(stock.held.load(Relaxed)));
    if ring.is_null() {
        return must(length == 0 && held == 0 && capacity == 0, || {
            wrong("holds blocks without memory for them")
        });
    }
    must(is_taken && class > 0, || wrong("has memory, and its thread has ended"))?;
    must(length <= capacity, || wrong("holds more than it may").is(length, capacity))?;
    let ring_slots = usize::from(stock.ring_mask.load(Relaxed)) + 1;
    must(usize::from(stock.head.get()) < ring_slots, || {
        wrong("has its oldest slot elsewhere than in its ring")
    })?;
    audit.record("the slots of a thread's stock", ring.addr(), stock.bytes())?;
    let mut found = 0;
    for slot in 0..ring_slots + length {
        // SAFETY: the slots of the ring, then those of the stock: as many as were taken from records.
        let block = unsafe { *ring.add(slot) };
        if slot < ring_slots && block.is_null() {
            continue;
        }
        found += usize::from(slot < ring_slots);
        check_block(audit, block, class)?;
    }
    must_be(held, found, || wrong("counts what waits in its ring wrongly"))
}

fn check_block(audit: &mut Audit, block: *mut u8, class: usize) -> Found {
    let wrong = |what| Violation::new(SUBJECT, what).at(block.addr()).of(class);
    audit.seen.blocks += 1;
    if let Some(what) = center::audit::fault_of(block.addr(), class) {
        return Err(wrong(what));
    }
    must(audit.scratch.mark(block.addr(), 1).is_none(), || wrong("holds a block that waits elsewhere, too"))?;
    // SAFETY: a block of the class begins here, and whoever could hand it out is the caller or does not run.
    must(unsafe { seal::is_untouched(block, seal::capacity(class)) }, || {
        Violation::new("a free block", "was changed after it was freed").at(block.addr()).of(class)
    })
}

/// Ways to damage a heap, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;
    use crate::hardened::heap::stock::Slot;

    /// The caller's stock of a class: the first block in it, and how many wait in its ring.
    pub fn own(class: usize) -> (*mut Slot, *mut u16) {
        let stock = &current().expect("a heap").stocks[class];
        assert!(stock.own_length() > 1);
        (stock.slots.get(), stock.held.as_ptr())
    }
}

//! Of the audit: the heaps of threads and their bins. Under all locks, so no thread is born, and none gets or gives back an array.
//!
//! The caller's own bins, those of threads that have ended, and all of them if the caller is the only thread, are checked in
//! full. Of a thread that runs only the filled part of each bin is read (see bin/audit.rs): each block found was in
//! the bin at some moment since the locks were taken.

use core::sync::atomic::Ordering::{Acquire, Relaxed};
use core::sync::atomic::fence;

use crate::audit::{Audit, Found, Violation, fault_of, must, must_be, second_place};
use crate::bin::audit::{Filled, null_is_null};
use crate::class::{self, SHAPES, SMALL_COUNT};
use crate::pages;

use super::capacity::in_lumps;
use super::{CAPACITY_BYTES, Heap, NOBODY, REGISTRY, living};

const SUBJECT: &str = "a thread's bin";

/// A block in a slot of a thread's bin.
#[derive(Clone, Copy)]
pub struct InBin {
    heap: &'static Heap,
    class: usize,
    slot: usize,
    block: usize,
}

impl InBin {
    /// Whether it is there now.
    pub fn is_there(&self) -> bool {
        self.heap.bins[self.class].has(&self.heap.cold[self.class], self.slot, self.block)
    }

    /// The block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Its class.
    pub fn class(&self) -> usize {
        self.class
    }
}

/// Checks all heaps.
pub fn check(audit: &mut Audit) -> Found {
    let nobody = |class: &usize| NOBODY.nobody[*class].is_nothing(None);
    must(null_is_null() && (0..SMALL_COUNT).all(|class| nobody(&class)), || {
        Violation::new("the empty bins of threads without a heap", "were overwritten")
    })?;
    let own = super::mine().map_or(0, |heap| core::ptr::from_ref(heap).addr());
    let (mut taken, mut capacity) = (0, 0);
    for heap in REGISTRY.all() {
        let at = core::ptr::from_ref(heap).addr();
        // A list of them that comes back to one ends here: it was met before.
        audit.record("the heap of a thread", at, size_of::<Heap>())?;
        let is_taken = heap.listing.is_taken();
        // Who left it, left it empty.
        fence(Acquire);
        taken += usize::from(is_taken);
        capacity += in_lumps(heap.capacity_bytes.load(Relaxed));
        let is_still = audit.alone || !is_taken || own == at;
        if is_still {
            heap.check(is_taken)?;
        }
        for class in 1..SMALL_COUNT {
            heap.check_blocks(audit, class, is_still)?;
        }
    }
    audit.seen.threads = taken;
    // Who ends is counted out first.
    let threads = living::threads();
    must(threads <= taken && (!audit.alone || threads == taken), || {
        Violation::new("the count of threads", "is not the number of heaps in use").is(threads, taken)
    })?;
    must(!audit.alone || CAPACITY_BYTES.load(Relaxed) == capacity, || {
        let found = CAPACITY_BYTES.load(Relaxed);
        Violation::new("the bytes that all bins may hold", "are not the sum over the threads")
            .is(found, capacity)
    })
}

impl Heap {
    /// All bins of a heap that nobody changes meanwhile: arrays and bounds.
    fn check(&self, is_taken: bool) -> Found {
        let mut bytes = 0;
        for (class, shape) in SHAPES[..SMALL_COUNT].iter().enumerate() {
            let (bin, cold) = (&self.bins[class], &self.cold[class]);
            let wrong = |what| Violation::new(SUBJECT, what).at(core::ptr::from_ref(bin).addr()).of(class);
            if bin.is_nothing(Some(cold)) {
                continue;
            }
            must(class > 0, || wrong("for what is no small block is not empty and full at once"))?;
            let (capacity, slots) = bin.extent(cold);
            must(is_taken || capacity == 0, || wrong("has room, and its thread has ended"))?;
            let most = usize::from(shape.bin_max);
            must(capacity <= most, || wrong("may hold more than its class allows").is(capacity, most))?;
            must(capacity <= slots, || wrong("may hold more than its array").is(capacity, slots))?;
            let Some(filled) = bin.look_own(cold) else { return Err(wrong("has a top without an array")) };
            must(filled.len <= slots, || wrong("ends elsewhere than in its array"))?;
            must(filled.len <= capacity, || wrong("holds more than it may").is(filled.len, capacity))?;
            bytes += capacity * shape.size as usize;
        }
        let noted = self.capacity_bytes.load(Relaxed);
        must_be(noted, bytes, || {
            let at = core::ptr::from_ref(self).addr();
            Violation::new("the bytes that a thread's bins may hold", "are not the sum over its bins").at(at)
        })
    }

    /// The blocks of one bin, whoever uses it, unless nobody does meanwhile.
    fn check_blocks(&'static self, audit: &mut Audit, class: usize, is_still: bool) -> Found {
        let (bin, cold) = (&self.bins[class], &self.cold[class]);
        let filled = if is_still { bin.look_own(cold) } else { bin.look(cold) };
        let Some(filled) = filled else { return Ok(()) };
        let wrong = |what| Violation::new(SUBJECT, what).at(core::ptr::from_ref(bin).addr()).of(class);
        let most = usize::from(SHAPES[class].bin_max);
        must(filled.len <= most, || wrong("ends elsewhere than in its array"))?;
        // Only its begin: how long it is, only its thread can tell.
        audit.record("the array of a thread's bin", filled.array(), crate::records::PIECE_MIN)?;
        must(filled.has_null_below(), || wrong("has something else than null below its oldest block"))?;
        (0..filled.len).try_for_each(|slot| self.check_block(audit, class, filled, slot))
    }

    fn check_block(&'static self, audit: &mut Audit, class: usize, filled: Filled, slot: usize) -> Found {
        let place = InBin { heap: self, class, slot, block: filled.block(slot) };
        audit.seen.blocks += 1;
        if let Some(what) = fault_of(place.block, class) {
            let wrong = Violation::new(SUBJECT, what).at(place.block).of(class);
            // Its thread copies several blocks at once; a look that fell into the middle of one would not be repeated.
            return must(!(0..3).all(|_| place.is_there()), || wrong);
        }
        match audit.scratch.mark(place.block, 1) {
            Some(_) => second_place(&place),
            None => Ok(()),
        }
    }
}

/// Whether a free block waits in the bin of a thread, or one has it in its hands. Under all locks; the caller has the block if it is live.
/// What is no array of a bin, in a damaged heap, is not looked into.
pub fn holds(block: usize, class: usize) -> bool {
    if class::is_medium(class) {
        return false;
    }
    let most = usize::from(SHAPES[class].bin_max);
    let has = |filled: &Filled| {
        filled.len <= most
            && pages::are_records(filled.array(), crate::records::PIECE_MIN)
            && (0..filled.len).any(|slot| filled.block(slot) == block)
    };
    let mine = super::mine();
    // Who left a heap had handed on its blocks before.
    REGISTRY.all().filter(|heap| heap.listing.is_taken()).any(|heap| {
        let (bin, cold) = (&heap.bins[class], &heap.cold[class]);
        let own = mine.is_some_and(|mine| core::ptr::eq(mine, heap));
        let filled = if own { bin.look_own(cold) } else { bin.look(cold) };
        filled.as_ref().is_some_and(has) || heap.hands.has(block)
    })
}

/// Another slot of any bin in which the same block is, if there is one.
pub fn second_bin(first: &InBin) -> Option<InBin> {
    REGISTRY.all().filter(|heap| heap.listing.is_taken()).find_map(|heap| {
        let filled = heap.bins[first.class].look(&heap.cold[first.class])?;
        let len = filled.len.min(SHAPES[first.class].bin_max.into());
        let other = |slot: &usize| {
            filled.block(*slot) == first.block && !(core::ptr::eq(heap, first.heap) && *slot == first.slot)
        };
        let slot = (0..len).find(other)?;
        Some(InBin { heap, slot, ..*first })
    })
}

/// Ways to damage the heaps of threads, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;
    use crate::bin::{Bin, Cold};
    use core::sync::atomic::AtomicUsize;

    /// The caller's bin of a class.
    pub fn own_bin(class: usize) -> (&'static Bin, &'static Cold) {
        let heap = super::super::current().expect("a heap");
        (&heap.bins[class], &heap.cold[class])
    }

    /// Runs something while a block is in the caller's hands.
    pub fn in_hands(class: usize, block: *mut u8, run: impl FnOnce()) {
        let hands = &super::super::current().expect("a heap").hands;
        hands.add(class, 1, |slots, taken| {
            slots[0] = block;
            taken(1);
            1
        });
        run();
        hands.keep(0);
    }

    /// A bin with an array of a heap that nobody has.
    pub fn left_bin(class: usize) -> Option<(&'static Bin, &'static Cold)> {
        let left = REGISTRY.all().filter(|heap| !heap.listing.is_taken());
        left.map(|heap| (&heap.bins[class], &heap.cold[class]))
            .find(|(bin, cold)| bin.look_own(cold).is_some())
    }

    /// What the caller's bins may hold, what all bins may, and the number of threads.
    pub fn counts() -> [&'static AtomicUsize; 3] {
        [&super::super::current().expect("a heap").capacity_bytes, &CAPACITY_BYTES, living::counter()]
    }
}

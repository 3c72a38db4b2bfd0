//! Bins: what others see of them, and what a fork's child finds that stopped their threads anywhere.
//!
//! The child sees a thread's memory as the compiler's order of its stores left it. In a model that order is kept by nothing but the
//! fences, so each test has a thread that looks on from outside, and pairs its look with the fence (`sync::look`).

use cairn_core::sync::{AtomicUsize, Ordering::Relaxed, look, mutant};
use cairn_model::records;
use cairn_model::shipped::bin::{Bin, Cold};
use cairn_model::shipped::transfer::{Batch, BatchPool, TransferStack};
use cairn_model::tool::{self, Arc, Memory};
use std::ptr;

struct Heap {
    bin: Bin,
    cold: Cold,
}

// SAFETY: the tests keep to what the engine does: one thread changes a bin, others read its two words.
unsafe impl Sync for Heap {}
// SAFETY: nothing in it belongs to a thread.
unsafe impl Send for Heap {}

fn block(number: usize) -> *mut u8 {
    ptr::without_provenance_mut(number * 16)
}

impl Heap {
    /// A bin with room for `capacity` that holds the blocks from 1 to `len`.
    fn new(capacity: usize, len: usize) -> Heap {
        let heap = Heap { bin: Bin::nothing(), cold: Cold::nothing() };
        assert!(heap.bin.set_capacity(&heap.cold, capacity));
        (1..=len).for_each(|number| assert!(heap.bin.push(block(number))));
        heap
    }

    fn drain(&self) -> Vec<*mut u8> {
        let mut out = [ptr::null_mut(); 64];
        let count = self.bin.drain(&self.cold, &mut out);
        out[..count].to_vec()
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.drain();
        self.bin.set_capacity(&self.cold, 0);
    }
}

/// Who sees `top` above a slot sees the block in the slot. (The slots are plain memory, so Miri alone sees the fault.)
#[test]
fn a_block_is_in_its_slot_before_top_is_above_it() {
    tool::check(3, || {
        let heap = Arc::new(Heap::new(7, 0));
        tool::crowd(2, move |number| {
            if number == 0 {
                (1..=5).for_each(|number| assert!(heap.bin.push(block(number))));
                return;
            }
            sees_blocks_below_top(&heap);
        });
    });
}

#[test]
fn a_filled_bin_has_its_blocks_before_top_is_above_them() {
    tool::check(3, || {
        let heap = Arc::new(Heap::new(7, 0));
        tool::crowd(2, move |number| {
            if number == 0 {
                let count = heap.bin.fill(&heap.cold, 3, |slots| {
                    slots.copy_from_slice(&[block(3), block(2), block(1)]);
                    3
                });
                assert_eq!(count, 3);
                return;
            }
            sees_blocks_below_top(&heap);
        });
    });
}

fn sees_blocks_below_top(heap: &Heap) {
    let (top, base) = heap.bin.words(&heap.cold);
    // Miri runs one order of events for each seed, so it looks until there is something to be seen.
    for _ in 0..if cfg!(miri) { 1000 } else { 0 } {
        if top.load(Relaxed) != base.load(Relaxed) {
            break;
        }
        tool::thread::yield_now();
    }
    let top = top.load(Relaxed);
    look();
    let base = base.load(Relaxed);
    let len = (top.addr() - base.addr()) / size_of::<*mut u8>();
    for slot in 0..len {
        // SAFETY: below `top`, in the array, which stays.
        assert_eq!(unsafe { *base.add(slot) }, block(slot + 1));
    }
}

/// While the array changes, who sees the new base finds the bin shut or open again, never the old `top`; who sees the new `top` finds
/// the new base; and who sees the old array gone finds the new `top`.
#[test]
fn an_array_is_changed_in_order() {
    tool::check(3, || {
        let heap = Arc::new(Heap::new(3, 2));
        let gone = Arc::new(AtomicUsize::new(0));
        let old = {
            let (top, base) = heap.bin.words(&heap.cold);
            (top.load(Relaxed).addr(), base.load(Relaxed).addr())
        };
        tool::crowd(2, move |number| {
            if number == 0 {
                let gone = gone.clone();
                records::on_give(move || gone.store(1, Relaxed));
                assert!(heap.bin.set_capacity(&heap.cold, 20));
                return;
            }
            let (top, base) = heap.bin.words(&heap.cold);
            let (top, base) = (|| top.load(Relaxed).addr(), || base.load(Relaxed).addr());
            let is_gone = gone.load(Relaxed) == 1;
            look();
            if is_gone {
                assert_ne!(base(), old.1);
                assert_eq!(top(), base() + 16, "whose array is gone has the new one");
            }
            let now = base();
            look();
            assert!(now == old.1 || top() != old.0, "a new base below the old top");
            let now = top();
            look();
            if now != old.0 && now != old.1 && base() == old.1 {
                // Between the two it is shut: at the shared null, which is no array's.
                assert!(now + 16 < old.1 || now > old.1 + 7 * 8, "a new top above the old base");
                assert!(Bin::nothing().words(&Cold::nothing()).0.load(Relaxed).addr() == now);
            }
        });
    });
}

/// What a thread takes out to hand it on is out before anybody can have it.
#[test]
fn blocks_leave_the_bin_before_they_are_handed_on() {
    struct Handing {
        heap: Heap,
        pool: BatchPool,
        stack: TransferStack,
        memory: Memory,
    }
    tool::check(3, || {
        let shared = Arc::new(Handing {
            heap: Heap::new(7, 3),
            pool: BatchPool::new(),
            stack: TransferStack::new(),
            memory: Memory::default(),
        });
        tool::crowd(2, move |number| {
            let Handing { heap, pool, stack, memory } = &*shared;
            if number == 0 {
                let mut out = [ptr::null_mut(); 2];
                assert_eq!(heap.bin.drain(&heap.cold, &mut out), 2);
                let batch = pool.take(|bytes| memory.take(bytes)).expect("nobody else takes one");
                // SAFETY: just taken.
                unsafe { Batch::fill(pool.get(batch), &out) };
                stack.push(pool, batch, 9).unwrap();
            } else if let Some(batch) = stack.pop(pool) {
                assert_eq!(heap.bin.len(&heap.cold), 1, "blocks are in the bin and in a batch at once");
                pool.give(batch);
            }
        });
    });
}

/// When the oldest have left and the others moved down, who sees `top` above them sees them at their new places.
#[test]
fn what_moved_down_is_there_before_top_is_above_it() {
    tool::check(3, || {
        let heap = Arc::new(Heap::new(7, 3));
        tool::crowd(2, move |number| {
            if number == 0 {
                let mut out = [ptr::null_mut()];
                assert_eq!((heap.bin.drain_oldest(&heap.cold, &mut out, 64), out[0]), (1, block(1)));
                return;
            }
            let (top, base) = heap.bin.words(&heap.cold);
            let base = base.load(Relaxed);
            // As above; nothing else of it can be told from outside, where slots move under the look.
            for _ in 0..if cfg!(miri) { 1000 } else { 1 } {
                if top.load(Relaxed) == base.wrapping_add(2) {
                    look();
                    // SAFETY: below `top`, in the array, which stays.
                    assert_eq!(unsafe { [*base, *base.add(1)] }, [block(2), block(3)]);
                    break;
                }
                tool::thread::yield_now();
            }
        });
    });
}

/// Statistics see some length, and none that no array has.
#[test]
fn a_length_that_others_see_is_possible() {
    tool::check(3, || {
        let heap = Arc::new(Heap::new(3, 2));
        tool::crowd(2, move |number| {
            if number == 0 {
                assert!(heap.bin.push(block(3)));
                assert!(heap.bin.set_capacity(&heap.cold, 20));
                assert!(heap.bin.push(block(4)));
            } else {
                assert!(heap.bin.peek(&heap.cold, 20) <= 20);
            }
        });
    });
}

/// A fork stops a thread at any of the fences; its child buries the bin, and has each block once or has lost it.
#[test]
fn a_bin_stopped_anywhere_is_buried_whole() {
    tool::check_alone(|| {
        for passes in 0.. {
            let heap = Heap::new(3, 2);
            let ended = mutant::stop_at(passes, || {
                assert!(heap.bin.push(block(3)));
                assert!(heap.bin.set_capacity(&heap.cold, 20));
                assert!(heap.bin.push(block(4)));
            });
            let mut found = Vec::new();
            heap.bin.bury(&heap.cold, || found = heap.drain());
            let all: Vec<_> = (1..=found.len()).map(block).collect();
            assert_eq!(found, all, "stopped at fence {passes}");
            assert!(!ended || found.len() == 4, "a thread that was between two calls loses nothing");
            assert_eq!((heap.bin.len(&heap.cold), heap.bin.capacity(&heap.cold)), (0, 0));
            // The child's next thread has the heap, and can use the bin.
            assert!(heap.bin.set_capacity(&heap.cold, 3));
            assert!(heap.bin.push(block(9)));
            assert_eq!(heap.bin.pop(), block(9));
            assert!(heap.bin.pop().is_null());
            if ended {
                assert!(passes > 4, "push, three of the change, push");
                break;
            }
        }
    });
}

/// The same with one that was shut and is opened again, with the array that it kept and then with a larger one.
#[test]
fn a_bin_opened_again_and_stopped_anywhere_is_buried_whole() {
    tool::check_alone(|| {
        for passes in 0.. {
            let heap = Heap::new(7, 0);
            heap.bin.shut(&heap.cold);
            let ended = mutant::stop_at(passes, || {
                assert!(heap.bin.set_capacity(&heap.cold, 3));
                assert!(heap.bin.push(block(1)));
                assert!(heap.bin.set_capacity(&heap.cold, 60));
            });
            let mut found = Vec::new();
            heap.bin.bury(&heap.cold, || found = heap.drain());
            let all: Vec<_> = (1..=found.len()).map(block).collect();
            assert_eq!(found, all, "stopped at fence {passes}");
            assert!(!ended || found.len() == 1, "a thread that was between two calls loses nothing");
            assert_eq!(heap.bin.capacity(&heap.cold), 0);
            if ended {
                assert!(passes > 3, "push, three of the change");
                break;
            }
        }
    });
}

//! How a thread comes to its heap and leaves it, and what becomes of the heaps of those that a fork left behind.
//!
//! A heap changes hands in three ways. A thread that ends leaves it in the registry, by the destructor of a key of thread-specific data; the next
//! birth takes it from there. A thread that died without that is known by its number, once a living one has it. And in the child of a fork
//! only the forking thread still lives: the heaps of all others are emptied and left.
//!
//! Births come one at a time, under the lock of living.rs, which a change of the mode takes as well: after it no thread gets bins that shall
//! have none.

use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

use super::capacity::in_lumps;
use super::{CAPACITY_BYTES, Heap, NOBODY, REGISTRY, current, living, mine};
use crate::bin::{Bin, Cold};
use crate::class::SMALL_COUNT;
use crate::inside::Inside;
use crate::registry::Listing;
use crate::slot::{self, State};
use crate::thread_value::ThreadValue;
use crate::transfer::BATCH_MAX;
use crate::{center, fork, mode, records};

/// Each thread's heap, for the one moment when the thread ends.
static AT_END: ThreadValue = ThreadValue::new();

/// Gives the calling thread a heap. None if memory or thread-specific keys are short: it then goes on without bins.
#[cold]
pub fn birth() -> Option<&'static Heap> {
    // From here on, what the C library allocates on our behalf goes directly to the centers.
    slot::set(0, State::Known);
    let may = || {
        fork::register();
        mode::has_bins()
    };
    let take = || {
        let heap = left_heap().or_else(stranded_heap).or_else(make_heap);
        heap.inspect(|heap| heap.owner.store(me(), Relaxed))
    };
    let heap = living::be_born(may, take);
    let known = heap.filter(|heap| AT_END.set(ptr::from_ref(*heap).cast(), Some(on_exit)));
    match known {
        Some(heap) => {
            let distance = ptr::from_ref(heap).addr().wrapping_sub((&raw const NOBODY).addr());
            (&raw const NOBODY).expose_provenance();
            slot::set(distance, State::Known);
        }
        None => {
            if let Some(heap) = heap {
                leave(heap);
            }
            slot::set(0, State::Unborn);
        }
    }
    known
}

/// A heap that a thread has left.
fn left_heap() -> Option<&'static Heap> {
    REGISTRY.take_left().inspect(|_| living::one_more())
}

/// A heap whose thread died without leaving it: it had been born so late, in the last round of the destructors of
/// thread-specific data, that ours didn't run any more. How do we know? It had the number of this thread, which no two living
/// threads have. So such heaps are at most as many as there ever were threads at a time. It is counted already.
fn stranded_heap() -> Option<&'static Heap> {
    // No order is needed: what that thread did happened before its end, and that before the reuse of its number.
    REGISTRY.all().find(|heap| heap.listing.is_taken() && heap.owner.load(Relaxed) == me())
}

/// The number of this thread.
pub fn me() -> usize {
    // SAFETY: no preconditions.
    unsafe { libc::pthread_self() as usize }
}

/// A new heap, in the registry. Under the birth lock.
fn make_heap() -> Option<&'static Heap> {
    let memory: *mut Heap = records::take_forever(size_of::<Heap>()).cast();
    if memory.is_null() {
        return None;
    }
    // SAFETY: the memory is ours, large enough and aligned to 64; it is written field by field, since a whole heap is
    // more than a small stack should carry.
    unsafe {
        for class in 0..SMALL_COUNT {
            (&raw mut (*memory).bins).cast::<Bin>().add(class).write(Bin::nothing());
            (&raw mut (*memory).cold).cast::<Cold>().add(class).write(Cold::nothing());
        }
        (&raw mut (*memory).listing).write(Listing::taken());
    }
    living::one_more();
    memory.expose_provenance();
    // SAFETY: initialized above (what was not written reads as zero, which is a valid count), records of this kind are never
    // given back, and births come one at a time.
    Some(unsafe { REGISTRY.add(memory) })
}

/// The thread ends. Its bins go to the centers; what it frees or allocates after this goes there directly.
extern "C" fn on_exit(heap: *mut libc::c_void) {
    let _inside = Inside::enter();
    slot::set(0, State::Gone);
    // SAFETY: the value is what `birth` set: a heap of the registry, and this thread was its owner.
    leave(unsafe { &*heap.cast::<Heap>() });
}

fn leave(heap: &Heap) {
    heap.close_all();
    if living::one_less() <= 2 {
        // Nobody is left to take what waits in the stacks, or one who is better served by the slabs.
        center::settle_all();
    }
    heap.listing.leave();
}

/// Gives the calling thread a heap if it never had one. So it is counted, and the fork handlers are registered: a mode may have locks before anybody is
/// born.
pub fn be_born() {
    if slot::state() == State::Unborn {
        current();
    }
}

/// Whether another thread has bins.
pub fn others_have_bins() -> bool {
    let mine = current();
    !living::unless_others(mine.is_some(), || ())
}

/// Takes the calling thread's bins away, and after `begin`, which changes the mode, no thread gets any. False, and nothing done, if
/// another thread has bins: nobody can take them from it.
///
/// The caller's heap is left as if the thread ended, and the fork handlers are registered, since its birth did that.
pub fn end_bins(begin: impl FnOnce()) -> bool {
    let mine = current();
    if !living::unless_others(mine.is_some(), begin) {
        return false;
    }
    if let Some(heap) = mine {
        // The thread has a value there, so there is room for null.
        AT_END.set(ptr::null(), Some(on_exit));
        slot::set(0, State::Unborn);
        leave(heap);
    }
    true
}

/// In the child of a fork: what threads held that no longer exist goes to the centers.
///
/// They stopped anywhere, so nothing of theirs is taken for whole but the bins, and all counts are made anew.
pub fn bury_the_dead() {
    let mine = mine().map_or(ptr::null(), ptr::from_ref);
    let (mut threads, mut capacity) = (0, 0);
    for heap in REGISTRY.all() {
        // What was refused among many threads may be had now. (Only written if need be: the page is shared with the parent.)
        if heap.refused_until.load(Relaxed) > 0 {
            heap.refused_until.store(0, Relaxed);
        }
        if ptr::eq(heap, mine) {
            threads = 1;
            capacity = in_lumps(heap.capacity_bytes.load(Relaxed));
            continue;
        }
        let hands = &heap.hands;
        if !hands.blocks().is_empty() {
            center::of(hands.class()).flush(hands.class(), hands.blocks(), || hands.keep(0));
        }
        for class in 1..SMALL_COUNT {
            let (bin, cold) = (&heap.bins[class], &heap.cold[class]);
            bin.bury(cold, || {
                while bin.len(cold) > 0 {
                    heap.hand_over(class, BATCH_MAX);
                }
                cold.begin_anew();
            });
        }
        heap.capacity_bytes.store(0, Relaxed);
        heap.listing.leave();
    }
    living::set_threads(threads);
    CAPACITY_BYTES.store(capacity, Relaxed);
}

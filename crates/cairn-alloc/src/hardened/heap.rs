//! A thread's heap in hardened mode: a stock of free blocks for each class (stock.rs), how a thread comes to its heap, and how it ends.
//!
//! The thread's slot leads here by its second word (slot.rs); its first one stays 0, so that the default engine's fast path misses.
//! A thread without a heap (being born, or ending) works on the slabs directly.
//!
//! Invariants: a heap is used by one thread only, the one whose slot leads to it (others read lengths, for statistics, and
//! look for a block that is about to end the process; a fork's child empties those of threads that no longer exist). Heaps are kept
//! in a registry for ever, and used again.

pub mod audit;
mod stock;

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count::Place;
use cairn_core::lock::Lock;

use crate::class::SMALL_COUNT;
use crate::hardened::random::Stream;
use crate::hardened::{center, judge, slab};
use crate::inside::Inside;
use crate::registry::{Listing, Registered, Registry};
use crate::slot::{self, State};
use crate::thread_value::ThreadValue;
use crate::{fork, pages, records, thread};

use stock::Stock;

/// See the module.
#[repr(C, align(64))]
pub struct Heap {
    random: Stream,
    stocks: [Stock; SMALL_COUNT],
    /// Trips to the slabs; paces the housekeeping.
    trips: Cell<usize>,
    /// Who took it last (`pthread_self`). Under the birth lock.
    owner: AtomicUsize,
    listing: Listing<Heap>,
}

// SAFETY: a field of it.
unsafe impl Registered for Heap {
    fn listing(&self) -> &Listing<Heap> {
        &self.listing
    }
}

// SAFETY: the cells are used by the heap's thread only; others read nothing but atomics, and `holds` the slots, which its thread writes
// meanwhile: what it reads may be old or in between, and nothing but the words of a last message hangs on it. (A fork's child uses the
// heaps of threads that no longer exist.)
unsafe impl Sync for Heap {}

static REGISTRY: Registry<Heap> = Registry::new();
static BIRTH: Lock = Lock::named(Place::Birth);
static THREADS: AtomicUsize = AtomicUsize::new(0);
/// Each thread's heap, for the one moment when the thread ends.
static AT_END: ThreadValue = ThreadValue::new();

/// With more threads than this, each has a part of the room: so many are mostly waiting.
const CROWD: usize = 16;
/// Trips to the slabs between two looks at the clock.
const TRIPS_PER_TICK: usize = 64;

impl Heap {
    /// A free block of `class`, at random, if the stock can give one.
    #[inline(always)]
    pub fn pick(&self, class: usize) -> Option<*mut u8> {
        // SAFETY: classes come from the class tables.
        unsafe { self.stocks.get_unchecked(class) }.pick(class, &self.random)
    }

    /// Puts a block that was cleared into quarantine; false, and nothing done, if that needs a trip to the slabs.
    #[inline(always)]
    pub fn retain(&self, class: usize, block: *mut u8) -> bool {
        // SAFETY: classes come from the map.
        unsafe { self.stocks.get_unchecked(class) }.retain(block)
    }

    /// Fetches blocks and picks one; null if memory is short.
    #[cold]
    #[inline(never)]
    pub fn fetch(&self, class: usize) -> *mut u8 {
        let stock = &self.stocks[class];
        if !stock.open(class, is_crowded()) {
            return directly(class);
        }
        self.random.feed();
        let block = stock.fetch(class, &self.random);
        self.housekeeping();
        block
    }

    /// Makes room in the stock and puts the block into quarantine.
    #[cold]
    #[inline(never)]
    pub fn retain_slow(&self, class: usize, block: *mut u8) {
        let stock = &self.stocks[class];
        if !stock.open(class, is_crowded()) {
            center::of(class).put(class, &[block], |_| (), |block| judge::double_free(block, class));
            return;
        }
        stock.make_room(class);
        let done = stock.retain(block);
        debug_assert!(done);
        self.housekeeping();
    }

    /// Every so many trips: lets free pages decay.
    fn housekeeping(&self) {
        let trips = self.trips.get() + 1;
        self.trips.set(trips);
        if trips.is_multiple_of(TRIPS_PER_TICK) {
            center::purge_step(pages::purge_step(0));
        }
    }

    fn close_all(&self) {
        for class in 1..SMALL_COUNT {
            self.stocks[class].close(class);
        }
    }
}

/// Whether there are so many threads that each has a part of the room only.
fn is_crowded() -> bool {
    THREADS.load(Relaxed) > CROWD
}

/// The calling thread's heap, if it has one.
#[inline(always)]
pub fn current() -> Option<&'static Heap> {
    let word = slot::heap_word();
    // SAFETY: a word that is no state is the address of a heap, and heaps are never given back.
    (word != 0).then(|| unsafe { &*ptr::with_exposed_provenance::<Heap>(word) })
}

/// The calling thread's heap, if it has one and is not inside the engine: in fewer instructions.
#[inline(always)]
pub fn current_outside() -> Option<&'static Heap> {
    // SAFETY: as in `current`.
    slot::heap_word_outside().map(|word| unsafe { &*ptr::with_exposed_provenance::<Heap>(word) })
}

/// The calling thread's heap; made now if the thread has not allocated before. None if it can't have one.
#[cold]
#[inline(never)]
pub fn current_or_new() -> Option<&'static Heap> {
    current().or_else(|| if slot::state() == State::Unborn { birth() } else { None })
}

/// A block of `class` from its slabs, for a thread without a heap; null if memory is short.
pub fn directly(class: usize) -> *mut u8 {
    let random = Stream::new();
    random.feed();
    let mut block = [ptr::null_mut()];
    center::of(class).take(class, &mut block, &random, |_| ());
    slab::touch(&mut block, class);
    block[0]
}

fn birth() -> Option<&'static Heap> {
    // From here on, what the C library allocates on our behalf goes directly to the slabs.
    slot::set(0, State::Known);
    let heap = {
        let _held = BIRTH.hold();
        fork::register();
        left_heap()
            .or_else(stranded_heap)
            .or_else(make_heap)
            .inspect(|heap| heap.owner.store(thread::me(), Relaxed))
    };
    let known = heap.filter(|heap| AT_END.set(ptr::from_ref(*heap).cast(), Some(on_exit)));
    match known {
        Some(heap) => {
            heap.random.forget();
            slot::set_heap(ptr::from_ref(heap).expose_provenance());
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

fn left_heap() -> Option<&'static Heap> {
    let heap = REGISTRY.take_left();
    THREADS.fetch_add(usize::from(heap.is_some()), Relaxed);
    heap
}

/// A heap whose thread died without leaving it, as in the default engine (thread.rs): it is counted already.
fn stranded_heap() -> Option<&'static Heap> {
    REGISTRY.all().find(|heap| heap.listing.is_taken() && heap.owner.load(Relaxed) == thread::me())
}

/// A new heap, in the registry. Under the birth lock.
fn make_heap() -> Option<&'static Heap> {
    let memory: *mut Heap = records::take_forever(size_of::<Heap>()).cast();
    if memory.is_null() {
        return None;
    }
    // SAFETY: the memory is ours for ever, large enough and aligned to 64; it was never handed out, so it reads as zero, which is a
    // valid value of all other fields. Births come one at a time.
    unsafe {
        (&raw mut (*memory).listing).write(Listing::taken());
        THREADS.fetch_add(1, Relaxed);
        Some(REGISTRY.add(memory))
    }
}

/// The thread ends: what it holds goes to the slabs, and so does what it frees after this.
extern "C" fn on_exit(heap: *mut libc::c_void) {
    let _inside = Inside::enter();
    slot::set(0, State::Gone);
    // SAFETY: the value is what `birth` set: a heap of the registry, and this thread was its owner.
    leave(unsafe { &*heap.cast::<Heap>() });
}

fn leave(heap: &Heap) {
    heap.close_all();
    THREADS.fetch_sub(1, Relaxed);
    heap.listing.leave();
}

/// The lock of births, for fork.
pub fn lock() -> &'static Lock {
    &BIRTH
}

/// In the child of a fork: what threads held that no longer exist goes to the slabs.
pub fn bury_the_dead() {
    let mine = current();
    for heap in REGISTRY.all() {
        if mine.is_some_and(|mine| ptr::eq(mine, heap)) {
            heap.random.forget();
            continue;
        }
        for class in 1..SMALL_COUNT {
            heap.stocks[class].bury(class);
        }
        heap.listing.leave();
    }
    THREADS.store(usize::from(mine.is_some()), Relaxed);
}

/// Blocks of a class in the rings and stocks of all threads. Exact if no other thread is running.
pub fn blocks_of(class: usize) -> usize {
    REGISTRY.all().map(|heap| heap.stocks[class].blocks()).sum()
}

/// Whether a block waits in the ring or stock of any thread. For the words of a message that ends the process: other threads go on, so
/// that a block may be missed, or seen where it no longer is.
#[cold]
pub fn holds(class: usize, block: *mut u8) -> bool {
    REGISTRY.all().any(|heap| heap.stocks[class].holds(block))
}

/// Threads that have a heap.
pub fn count() -> usize {
    THREADS.load(Relaxed)
}

/// Gives away what the calling thread holds.
pub fn flush_own() {
    if let Some(heap) = current() {
        heap.close_all();
    }
}

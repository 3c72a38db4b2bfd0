//! A thread's heap in hardened mode: for each class a stock of free blocks, used in random order, and a quarantine before it.
//!
//! ```text
//!   free(p):   judged, cleared ──► ring: the last so many blocks freed ──the oldest──► stock ──half──► slabs
//!   malloc:    one of the stock at random, looked at ◄── stock ◄──a batch, from random places── slabs
//! ```
//! The thread's slot leads here by its second word (slot.rs); its first one stays 0, so that the default engine's fast path misses.
//! A thread without a heap (being born, or ending) works on the slabs directly.
//!
//! Invariants: a heap is used by one thread only, the one whose slot leads to it (others read lengths, for statistics, and
//! look for a block that is about to end the process; a fork's child empties those of threads that no longer exist). What is in a
//! stock or a ring is free and zero. A stock is never emptied below `least` while the slabs have blocks, so that there is always a
//! choice. Heaps are kept in a registry for ever, and used again.

pub mod audit;

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicUsize, Ordering::Relaxed};

use cairn_core::count::Place;
use cairn_core::lock::Lock;
use cairn_core::ord;
use cairn_core::sync::compiler_fence;

use crate::class::{CLASS_COUNT, SHAPES};
use crate::hardened::center;
use crate::hardened::random::Stream;
use crate::hardened::{bytes, judge, seal, slab};
use crate::inside::Inside;
use crate::registry::{Listing, Registered, Registry};
use crate::slot::{self, State};
use crate::thread_value::ThreadValue;
use crate::{fork, pages, records, thread};

type Slot = *mut u8;

/// Blocks of one class. All zeroes is one without memory.
#[repr(C)]
pub struct Stock {
    /// `ring_slots` of the ring, then `capacity` of the stock; null before the first use.
    ring: AtomicPtr<Slot>,
    /// The slots of the stock. The block in the first one was chosen at random from all: it is the next to be handed out. (Not if
    /// `floor` says so.)
    slots: Cell<*mut Slot>,
    /// Blocks in the stock.
    length: AtomicU16,
    /// The ring's oldest slot.
    head: Cell<u16>,
    /// Slots of the ring, less 1; a power of two less 1.
    ring_mask: AtomicU16,
    /// Slots of the stock.
    capacity: Cell<u16>,
    /// What an allocation leaves in the stock: all, which is `capacity`, as long as no block was chosen.
    floor: Cell<u16>,
    /// Blocks in the ring.
    held: AtomicU16,
    /// Blocks to fetch next time.
    batch: Cell<u16>,
    _pad: u16,
}

/// See the module.
#[repr(C, align(64))]
pub struct Heap {
    random: Stream,
    stocks: [Stock; CLASS_COUNT],
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
static AT_END: ThreadValue = ThreadValue::new(Some(on_exit));

/// Blocks and bytes that a ring holds at most, and blocks at least,
const RING_MAX: usize = 64;
const RING_BYTES: usize = 16 << 10;
const RING_MIN: usize = 4;
/// and the same for a stock.
const STOCK_MAX: usize = 128;
const STOCK_BYTES: usize = 32 << 10;
const STOCK_MIN: usize = 6;
/// What stays in a stock to choose from is at most this.
const FLOOR_MAX: u16 = 8;
/// With more threads than this, each has a quarter: so many are mostly waiting.
const CROWD: usize = 16;
/// Trips to the slabs between two looks at the clock.
const TRIPS_PER_TICK: usize = 64;

impl Stock {
    #[inline(always)]
    fn own_length(&self) -> usize {
        usize::from(self.length.load(Relaxed))
    }

    /// The mask, for the heap's thread: a plain read is an instruction less.
    #[inline(always)]
    fn own_ring_mask(&self) -> u16 {
        // SAFETY: nobody else writes it.
        unsafe { *self.ring_mask.as_ptr() }
    }

    /// Takes a random block, if more than the floor are there.
    #[inline(always)]
    fn pick(&self, class: usize, random: &Stream) -> Option<*mut u8> {
        let length = self.own_length();
        if length <= usize::from(self.floor.get()) {
            return None;
        }
        // SAFETY: the stock has `length` blocks, at least one.
        Some(unsafe { self.pick_of(length, class, random) })
    }

    /// Takes the chosen block, and chooses the next one, which the processor fetches meanwhile.
    ///
    /// # Safety
    /// `length` is the stock's, and above 0.
    #[inline(always)]
    unsafe fn pick_of(&self, length: usize, class: usize, random: &Stream) -> *mut u8 {
        let (slots, left) = (self.slots.get(), length - 1);
        // SAFETY: the slots lie in the stock, which has two at least. If no block is left, what stands in the first is none either.
        unsafe {
            let at = slots.add(1 + random.below(left));
            let (block, next) = (*slots, *at);
            *at = *slots.add(left);
            *slots = next;
            self.length.store(left as u16, Relaxed);
            bytes::fetch(next, seal::capacity(class));
            block
        }
    }

    /// Chooses one of its first blocks at random.
    ///
    /// # Safety
    /// So many are there, at least one.
    unsafe fn choose(&self, length: usize, random: &Stream) {
        // SAFETY: both slots lie in the stock.
        unsafe { ptr::swap(self.slots.get(), self.slots.get().add(random.below(length))) };
    }

    /// Puts a block into the quarantine. False, and nothing done, if the stock is full or has no memory.
    #[inline(always)]
    fn retain(&self, block: *mut u8) -> bool {
        let (ring, length) = (self.ring.load(Relaxed), self.own_length());
        if length == usize::from(self.capacity.get()) {
            return false;
        }
        let head = self.head.get();
        // SAFETY: `head` is below the ring's length, and the stock has room.
        unsafe {
            let oldest = ring.add(usize::from(head)).replace(block);
            self.head.set(head.wrapping_add(1) & self.own_ring_mask());
            if oldest.is_null() {
                self.held.store(self.held.load(Relaxed) + 1, Relaxed);
            } else {
                *self.slots.get().add(length) = oldest;
                compiler_fence(ord!("stock-retain", Release));
                self.length.store(length as u16 + 1, Relaxed);
            }
        }
        true
    }

    /// Gets its memory; false if there is none.
    #[cold]
    fn open(&self, class: usize) -> bool {
        if !self.ring.load(Relaxed).is_null() {
            return true;
        }
        let size = SHAPES[class].size as usize;
        let part = if THREADS.load(Relaxed) > CROWD { 4 } else { 1 };
        let ring = ((RING_BYTES / size).clamp(RING_MIN, RING_MAX) / part).max(RING_MIN);
        let ring = ring.next_power_of_two();
        let capacity = ((STOCK_BYTES / size).clamp(STOCK_MIN, STOCK_MAX) / part).max(STOCK_MIN);
        let bytes = (ring + capacity) * size_of::<Slot>();
        let memory: *mut Slot = records::take(bytes).cast();
        if memory.is_null() {
            return false;
        }
        // SAFETY: the piece is ours and that long.
        unsafe { ptr::write_bytes(memory, 0, ring + capacity) };
        self.ring_mask.store(ring as u16 - 1, Relaxed);
        self.capacity.set(capacity as u16);
        self.floor.set(capacity as u16);
        self.batch.set(2);
        self.head.set(0);
        // A fork's child that finds the memory finds how much it is.
        compiler_fence(ord!("stock-open", Release));
        self.slots.set(memory.wrapping_add(ring));
        self.ring.store(memory, Relaxed);
        true
    }

    /// What stays in it to choose from, less than its capacity.
    fn least(&self) -> u16 {
        (self.capacity.get() / 3).min(FLOOR_MAX)
    }

    /// Bytes of its memory.
    fn bytes(&self) -> usize {
        (usize::from(self.ring_mask.load(Relaxed)) + 1 + usize::from(self.capacity.get())) * size_of::<Slot>()
    }

    /// Gives all its blocks and its memory away.
    fn close(&self, class: usize) {
        if self.ring.load(Relaxed).is_null() {
            return;
        }
        self.empty(class, |block| judge::double_free(block, class));
        let (memory, bytes) = (self.ring.load(Relaxed), self.bytes());
        // First, so that the child of a fork never finds memory here that is no longer ours.
        self.forget();
        compiler_fence(ord!("stock-close", Release));
        // SAFETY: taken by `open` with as many bytes, and nobody knows it any more.
        unsafe { records::give(memory.cast(), bytes) };
    }

    /// Puts all its blocks back into their slabs.
    fn empty(&self, class: usize, twice: impl Fn(*mut u8)) {
        let (ring, slots) = (self.ring.load(Relaxed), self.slots.get());
        let ring_slots = usize::from(self.ring_mask.load(Relaxed)) + 1;
        for slot in 0..ring_slots {
            // SAFETY: the slot is the ring's.
            let block = unsafe { ring.add(slot).replace(ptr::null_mut()) };
            if !block.is_null() {
                center::of(class).put(class, &[block], &twice);
            }
        }
        self.held.store(0, Relaxed);
        let length = self.length.swap(0, Relaxed);
        // SAFETY: so many blocks were in the stock, and are no longer.
        let blocks = unsafe { core::slice::from_raw_parts(slots, length.into()) };
        center::of(class).put(class, blocks, &twice);
    }

    fn forget(&self) {
        self.ring.store(ptr::null_mut(), Relaxed);
        compiler_fence(ord!("stock-forget", Release));
        self.length.store(0, Relaxed);
        self.held.store(0, Relaxed);
        self.capacity.set(0);
        self.floor.set(0);
        self.ring_mask.store(0, Relaxed);
    }
}

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
        if !stock.open(class) {
            return directly(class);
        }
        self.random.feed();
        let length = stock.own_length();
        let room = usize::from(stock.capacity.get()) - length;
        let most = usize::from(stock.capacity.get()) / 2;
        let batch = (usize::from(stock.least()) + 1 + usize::from(stock.batch.get()))
            .saturating_sub(length)
            .min(room);
        stock.batch.set((2 * usize::from(stock.batch.get())).min(most) as u16);
        // SAFETY: the slots behind the stock's blocks are free, and there are that many.
        let out = unsafe { core::slice::from_raw_parts_mut(stock.slots.get().add(length), batch) };
        let count = center::of(class).take(class, out, &self.random);
        slab::touch(&mut out[..count], class);
        compiler_fence(ord!("stock-fetch", Release));
        stock.length.store((length + count) as u16, Relaxed);
        let block = match length + count {
            0 => ptr::null_mut(),
            // SAFETY: so many are there, and one of them is chosen.
            now => unsafe {
                // Frees may have filled the stock since it was made, or since its last block went.
                if stock.floor.get() == stock.capacity.get() {
                    stock.choose(now, &self.random);
                }
                stock.floor.set(if now > 1 { stock.least() } else { stock.capacity.get() });
                stock.pick_of(now, class, &self.random)
            },
        };
        self.housekeeping();
        block
    }

    /// Makes room in the stock and puts the block into quarantine.
    #[cold]
    #[inline(never)]
    pub fn retain_slow(&self, class: usize, block: *mut u8) {
        let stock = &self.stocks[class];
        if !stock.open(class) {
            center::of(class).put(class, &[block], |block| judge::double_free(block, class));
            return;
        }
        let length = stock.own_length();
        if length == usize::from(stock.capacity.get()) {
            let keep = length / 2;
            let mut out = [ptr::null_mut(); STOCK_MAX];
            let out = &mut out[..length - keep];
            // SAFETY: the blocks above `keep` are the stock's. They leave it first: a fork in between loses them in the child, but never
            // sees one twice.
            unsafe { ptr::copy_nonoverlapping(stock.slots.get().add(keep), out.as_mut_ptr(), out.len()) };
            stock.length.store(keep as u16, Relaxed);
            center::of(class).put(class, out, |block| judge::double_free(block, class));
        }
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
        for class in 1..CLASS_COUNT {
            self.stocks[class].close(class);
        }
    }
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
    center::of(class).take(class, &mut block, &random);
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
    let known = heap.filter(|heap| AT_END.set(ptr::from_ref(*heap).cast()));
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
///
/// They stopped anywhere, so of what their heaps name only the blocks are taken that read as free ones, zero, and are not in a slab yet: a
/// thread that was just handing a block out or putting it away loses it to the child.
pub fn bury_the_dead() {
    let mine = current();
    for heap in REGISTRY.all() {
        if mine.is_some_and(|mine| ptr::eq(mine, heap)) {
            heap.random.forget();
            continue;
        }
        for class in 1..CLASS_COUNT {
            let stock = &heap.stocks[class];
            let (memory, bytes) = (stock.ring.load(Relaxed), stock.bytes());
            if memory.is_null() {
                // Nothing to do as a rule: the page stays shared with the parent.
                if stock.ring_mask.load(Relaxed) > 0 || stock.capacity.get() > 0 {
                    stock.forget();
                }
                continue;
            }
            bury(stock, class);
            stock.forget();
            // SAFETY: a stock that leads to memory has all of it, by the order of stores in `open` and `close`; its thread is gone.
            unsafe { records::give(memory.cast(), bytes) };
        }
        heap.listing.leave();
    }
    THREADS.store(usize::from(mine.is_some()), Relaxed);
}

fn bury(stock: &Stock, class: usize) {
    let ring_slots = usize::from(stock.ring_mask.load(Relaxed)) + 1;
    let length = stock.own_length().min(stock.capacity.get().into());
    for slot in 0..ring_slots + length {
        // SAFETY: the slots of the ring, then those of the stock, which were all written or are null.
        let block = unsafe { *stock.ring.load(Relaxed).add(slot) };
        // SAFETY: what stands in the slots of a class are blocks of it.
        if !block.is_null() && unsafe { seal::is_untouched(block, seal::capacity(class)) } {
            center::of(class).put(class, &[block], |_| ());
        }
    }
}

/// Blocks of a class in the rings and stocks of all threads. Exact if no other thread is running.
pub fn blocks_of(class: usize) -> usize {
    let of = |heap: &Heap| {
        let stock = &heap.stocks[class];
        usize::from(stock.length.load(Relaxed)) + usize::from(stock.held.load(Relaxed))
    };
    REGISTRY.all().map(of).sum()
}

/// Whether a block waits in the ring or stock of any thread. For the words of a message that ends the process: other threads go on, so
/// that a block may be missed, or seen where it no longer is.
#[cold]
pub fn holds(class: usize, block: *mut u8) -> bool {
    let in_stock = |stock: &Stock| {
        let (ring, slots) =
            (stock.ring.load(Relaxed), usize::from(stock.ring_mask.load(Relaxed)) + 1 + stock.own_length());
        // SAFETY: the slots of the ring, then those of the stock. Memory of stocks is never unmapped. A race with the stock's thread, which
        // uses plain stores of whole words; see `Sync`.
        !ring.is_null()
            && (0..slots).any(|slot| unsafe { AtomicPtr::from_ptr(ring.add(slot)).load(Relaxed) } == block)
    };
    REGISTRY.all().any(|heap| in_stock(&heap.stocks[class]))
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

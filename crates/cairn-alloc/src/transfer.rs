//! Blocks on their way from thread to thread: short lock-free stacks of batches.
//!
//! A bin that is full hands a whole [`Batch`] over in constant time and one that is empty takes one. Each class has
//! a [`TransferStack`]; the batches of all of them come from one [`BatchPool`].
//!
//! ```text
//!   TransferStack            Batch 7                 Batch 2
//!   ┌─────────────────┐     ┌──────────────────┐    ┌──────────────────┐
//!   │ top 7, depth 2, ├────►│ next 2, count 128├───►│ next -, count 128│
//!   │ version 31      │     │ blocks[128]      │    │ blocks[128]      │
//!   └─────────────────┘     └──────────────────┘    └──────────────────┘
//!   BatchPool:  chunks ─► 3 batches, 6 batches, 12 ...; free ─► batches that carry nothing
//! ```
//!
//! Invariants:
//! - A batch is in exactly one place: in one transfer stack, in the pool's stack of free ones, with the one thread that
//!   popped or took it, or not carved yet. Whoever has it alone may touch its `count` and `blocks`.
//! - `depth` is the length of the chain that starts at `top`.
//! - The memory of a batch is never given back, so `next` of a batch that another thread popped meanwhile can still be
//!   read. What was read is then worthless, and the version sees to it that it is not used.
//!
//! # The version
//! Pop reads `top` and the `next` of that batch, and then moves `top` to it. If, between, the batch was popped and pushed
//! again on top of others, `next` is stale although `top` looks the same (the ABA problem). Each *push* makes the
//! version one greater; so a head word that is the same as before has seen no push, and without a push a batch that
//! left the stack can't be back: the head has not changed at all. Pops need not count. A thread would have to sleep
//! through exactly 2^32 pushes between two instructions, at the same top and depth, for this to fail.
//!
//! # Orderings
//! - Push is `Release` and the load of the head in pop is `Acquire`: what the pusher wrote into its batch (`next`,
//!   `count`, `blocks`) and what it knew (the pointer of the chunk, the chunk's first contents) is seen by whoever
//!   pops it. That holds for a batch further down as well, though others changed the head since: all changes are
//!   read-modify-write operations, so each push's release sequence goes on through them.
//! - The exchange in pop is `Relaxed`: it succeeds only on the very value that the `Acquire` load saw, and publishes
//!   nothing, since the popper has written nothing that others read.
//! - `next` is `Relaxed`: it is written before the `Release` and read after the `Acquire`; a stale read is discarded.
//! - A reader of the head that only wants the depth needs no order: the answer is old when it arrives.
//! - A chunk's pointer is published by `Release` and read by `Acquire` while carving. By [`BatchPool::get`] it is read
//!   `Relaxed`: an id reaches a thread through the orders above, from a thread that had seen the pointer.
//!
//! # Model
//! This file, as it is, goes through every order of events that the memory model allows, and with many threads through many
//! random ones: crates/cairn-model. There each of the orderings above is weakened in turn, and the version taken out, and the
//! model must find the fault.

use core::mem::MaybeUninit;
use core::ptr;

use cairn_core::count::{self, Place};
use cairn_core::lock::Lock;
use cairn_core::ord;
use cairn_core::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering, UnsafeCell};

// The paths are given so that they also hold when the model takes this file in by its path.
#[cfg(not(any(loom, shuttle, cairn_mutants)))]
#[path = "transfer/audit.rs"]
mod audit;
#[path = "transfer/head.rs"]
mod head;
#[cfg(all(test, not(any(loom, shuttle))))]
#[path = "transfer/tests.rs"]
mod tests;

#[cfg(not(any(loom, shuttle, cairn_mutants)))]
pub use audit::Snapshot;
use head::Head;

/// Blocks that a batch can carry.
pub const BATCH_MAX: usize = 128;

/// Batches in the first chunk; each further chunk has twice as many. Three fill most of a page of 4 KiB.
#[cfg(not(any(loom, shuttle)))]
const FIRST_CHUNK: u32 = 3;
/// The model needs to see more than one chunk.
#[cfg(any(loom, shuttle))]
const FIRST_CHUNK: u32 = 2;

/// Chunks that a pool can have: 196,605 batches, some twenty times what a hundred classes with stacks of eight and a thousand
/// threads need.
#[cfg(not(any(loom, shuttle)))]
const CHUNKS: usize = 16;
#[cfg(any(loom, shuttle))]
const CHUNKS: usize = 3;

const BATCHES_MAX: u32 = FIRST_CHUNK * ((1 << CHUNKS) - 1);

// A number and "none" must fit into the head's field.
const _: () = assert!(BATCHES_MAX < 1 << Head::TOP_BITS);
#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(chunk_bytes(0) <= 4096 && chunk_bytes(0) + size_of::<Batch>() > 4096);

/// The bytes that a chunk's batches need.
const fn chunk_bytes(chunk: usize) -> usize {
    ((FIRST_CHUNK as usize) << chunk) * size_of::<Batch>()
}

/// The name of a batch in its pool.
///
/// Only a pool makes them. Whoever was given one by `take` or `pop` has the batch alone, until it passes the id on by
/// `push` or `give`; a copy that it kept must not be used after that, nor with another pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchId(u32);

impl BatchId {
    /// The chunk it is in, and its place there.
    #[inline]
    fn place(self) -> (usize, usize) {
        let chunk = (self.0 / FIRST_CHUNK + 1).ilog2();
        let first = FIRST_CHUNK * ((1 << chunk) - 1);
        (chunk as usize, (self.0 - first) as usize)
    }
}

/// Blocks of one class on their way between threads.
#[derive(Debug)]
#[repr(C)]
pub struct Batch {
    /// Number of the batch below + 1, or 0.
    next: AtomicU32,
    /// Changed only by who has the batch alone.
    count: AtomicU32,
    /// The first `count` are blocks, the rest was never written or is left over.
    blocks: UnsafeCell<[MaybeUninit<*mut u8>; BATCH_MAX]>,
}

#[cfg(not(any(loom, shuttle)))]
const _: () = assert!(size_of::<Batch>() == 8 + BATCH_MAX * size_of::<*mut u8>());

impl Batch {
    #[cfg(any(loom, shuttle))]
    fn empty() -> Self {
        let blocks = UnsafeCell::new([MaybeUninit::uninit(); BATCH_MAX]);
        Self { next: AtomicU32::new(0), count: AtomicU32::new(0), blocks }
    }

    /// Makes the batch carry `blocks` and nothing else.
    ///
    /// # Safety
    /// `batch` is from [`BatchPool::get`], the caller has it alone, and there are at most [`BATCH_MAX`] blocks.
    #[inline]
    pub unsafe fn fill(batch: *mut Batch, blocks: &[*mut u8]) {
        debug_assert!(blocks.len() <= BATCH_MAX);
        // SAFETY: a carved batch is valid for ever, and other threads touch nothing but the atomic part of it.
        let batch = unsafe { &*batch };
        // SAFETY: the caller has the batch alone, so nobody reads or writes these cells meanwhile; `blocks` can't overlap
        // with them for the same reason, and fits.
        batch
            .blocks
            .with_mut(|to| unsafe { ptr::copy_nonoverlapping(blocks.as_ptr(), to.cast(), blocks.len()) });
        batch.count.store(blocks.len() as u32, Ordering::Relaxed);
    }

    /// Moves the last blocks of the batch, in their order, to the front of `out`, as many as there are or fit. Gives how
    /// many it moved and how many are left.
    ///
    /// # Safety
    /// `batch` is from [`BatchPool::get`] and the caller has it alone.
    #[inline]
    pub unsafe fn drain(batch: *mut Batch, out: &mut [*mut u8]) -> (usize, usize) {
        // SAFETY: as in `fill`.
        let batch = unsafe { &*batch };
        let count = batch.count.load(Ordering::Relaxed) as usize;
        let taken = count.min(out.len());
        let left = count - taken;
        // SAFETY: `left..count` lies in the part of the array that `fill` wrote, `out` has room for it, and `out` can't
        // overlap with a batch that the caller has alone.
        batch.blocks.with(|from| unsafe {
            ptr::copy_nonoverlapping(from.cast::<*mut u8>().add(left), out.as_mut_ptr(), taken);
        });
        batch.count.store(left as u32, Ordering::Relaxed);
        (taken, left)
    }

    /// The blocks that the batch carries.
    ///
    /// # Safety
    /// `batch` is from [`BatchPool::get`], and the caller has it alone for as long as it uses the result.
    #[inline]
    pub unsafe fn blocks<'a>(batch: *mut Batch) -> &'a [*mut u8] {
        // SAFETY: as in `fill`.
        let batch = unsafe { &*batch };
        let count = batch.count.load(Ordering::Relaxed) as usize;
        // SAFETY: `fill` wrote the first `count`, and nobody changes them while the caller has the batch.
        batch.blocks.with(|blocks| unsafe { core::slice::from_raw_parts(blocks.cast(), count) })
    }
}

/// Where batches come from. It costs no memory until the first batch is taken.
#[derive(Debug)]
pub struct BatchPool {
    chunks: [AtomicPtr<Batch>; CHUNKS],
    /// Batches that carry nothing; the depth of this stack has no meaning.
    free: TransferStack,
    /// Batches with lower numbers have been handed out at least once.
    carved: AtomicU32,
    /// Held while a chunk is fetched. Nobody ever waits for it.
    growth: Lock,
}

impl Default for BatchPool {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchPool {
    /// A pool without memory.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn new() -> Self {
        Self {
            chunks: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS],
            free: TransferStack::new(),
            carved: AtomicU32::new(0),
            growth: Lock::new(),
        }
    }

    /// A pool without memory.
    #[cfg(any(loom, shuttle))]
    pub fn new() -> Self {
        Self {
            chunks: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
            free: TransferStack::new(),
            carved: AtomicU32::new(0),
            growth: Lock::new(),
        }
    }

    /// A batch for the caller alone, which carries nothing yet.
    ///
    /// `source` gives so many bytes, aligned to 8, that read as zero and belong to the pool for ever, or null. There is none if
    /// `source` has no memory, and also for the moment in which another thread is fetching a chunk: no thread waits
    /// for another one here, the caller has another way for its blocks.
    #[inline]
    pub fn take(&self, source: impl FnMut(usize) -> *mut u8) -> Option<BatchId> {
        self.free.pop(self).or_else(|| self.carve_slow(source))
    }

    /// Takes a batch back, whatever it carries.
    #[inline]
    pub fn give(&self, batch: BatchId) {
        let done = self.free.push_below(self, batch, None);
        debug_assert!(done.is_ok(), "a stack without a limit is never full");
    }

    /// The batch itself, which stays where it is for ever.
    #[inline]
    pub fn get(&self, batch: BatchId) -> *mut Batch {
        let (chunk, place) = batch.place();
        // Relaxed: see "Orderings". The chunk is there, since a batch of it has been carved; `wrapping_add`, because
        // an id of another pool must not be undefined behaviour by itself.
        self.chunks[chunk].load(Ordering::Relaxed).wrapping_add(place)
    }

    /// The next batch that was never used, from a further chunk if need be.
    #[cold]
    fn carve_slow(&self, mut source: impl FnMut(usize) -> *mut u8) -> Option<BatchId> {
        // Ends: each further round means that another thread has carved a batch, and their number is limited.
        loop {
            // Relaxed: the number says nothing about memory; the chunk's pointer does.
            let number = self.carved.load(Ordering::Relaxed);
            if number == BATCHES_MAX {
                return None;
            }
            let (chunk, _) = BatchId(number).place();
            if self.chunks[chunk].load(ord!("chunk-carve", Acquire)).is_null() {
                self.grow(chunk, &mut source)?;
            }
            count::atomic(Place::Pool, &self.carved);
            let claim =
                self.carved.compare_exchange(number, number + 1, Ordering::Relaxed, Ordering::Relaxed);
            if claim.is_ok() {
                return Some(BatchId(number));
            }
        }
    }

    /// Fetches the memory of a chunk, unless another thread has just done that or is at it.
    fn grow(&self, chunk: usize, source: &mut impl FnMut(usize) -> *mut u8) -> Option<()> {
        if !self.growth.try_lock() {
            return None;
        }
        // Relaxed: whoever stored it did so inside the lock.
        let mut batches = self.chunks[chunk].load(Ordering::Relaxed);
        if batches.is_null() {
            batches = source(chunk_bytes(chunk)).cast();
            debug_assert!(batches.is_aligned());
            // Zeroes are batches that carry nothing. The model's atomics are not made of zeroes.
            #[cfg(any(loom, shuttle))]
            for place in (0..(FIRST_CHUNK as usize) << chunk).filter(|_| !batches.is_null()) {
                // SAFETY: the memory is ours and large enough.
                unsafe { batches.add(place).write(Batch::empty()) };
            }
            self.chunks[chunk].store(batches, ord!("chunk-publish", Release));
        }
        // SAFETY: entered above.
        unsafe { self.growth.unlock() };
        (!batches.is_null()).then_some(())
    }

    /// The lock that is held while a chunk is fetched, for fork.
    pub fn lock(&self) -> &Lock {
        &self.growth
    }
}

/// A stack of batches that wait for a thread.
#[derive(Debug)]
pub struct TransferStack {
    head: AtomicU64,
}

impl Default for TransferStack {
    fn default() -> Self {
        Self::new()
    }
}

impl TransferStack {
    /// A stack without batches.
    #[cfg(not(any(loom, shuttle)))]
    pub const fn new() -> Self {
        Self { head: AtomicU64::new(Head::EMPTY) }
    }

    /// A stack without batches.
    #[cfg(any(loom, shuttle))]
    pub fn new() -> Self {
        Self { head: AtomicU64::new(Head::EMPTY) }
    }

    /// Puts a batch that the caller has alone on top; if there are `depth_max` already, the caller keeps it.
    #[inline]
    pub fn push(&self, pool: &BatchPool, batch: BatchId, depth_max: u8) -> Result<(), BatchId> {
        self.push_below(pool, batch, Some(depth_max))
    }

    /// Takes the uppermost batch, which the caller then has alone.
    #[inline]
    pub fn pop(&self, pool: &BatchPool) -> Option<BatchId> {
        let mut word = self.head.load(ord!("pop-look", Acquire));
        loop {
            let head = Head::from_word(word);
            let batch = BatchId(head.top?);
            // SAFETY: what was the top of a stack once has been carved, and carved batches are valid for ever; the
            // Acquire made its creation visible. `next` is atomic, so it may be read whoever has the batch by now.
            let next = unsafe { &(*pool.get(batch)).next }.load(Ordering::Relaxed);
            let popped = head.popped(next.checked_sub(1)).word();
            // Relaxed on success: the order was had from the load that gave `word`. On failure that is this one.
            self.count(pool);
            match self.head.compare_exchange_weak(word, popped, Ordering::Relaxed, ord!("pop-again", Acquire))
            {
                Ok(_) => return Some(batch),
                Err(now) => word = now,
            }
        }
    }

    /// How many batches wait; a hint, since others push and pop.
    #[inline]
    pub fn depth(&self) -> u8 {
        Head::from_word(self.head.load(Ordering::Relaxed)).depth
    }

    /// Blocks that wait in all batches. Exact if no other thread uses the stack meanwhile; else some number, since who pops
    /// and pushes takes batches from under the count.
    pub fn blocks(&self, pool: &BatchPool) -> usize {
        self.walk(pool).map_while(|link| link.ok()).map(|link| link.count as usize).sum()
    }

    /// Audits the stack, which no other thread may use meanwhile, and names the first invariant that does not hold.
    #[allow(dead_code, reason = "the tests and the model ask; an audit looks at a snapshot")]
    pub fn check(&self, pool: &BatchPool) -> Result<(), &'static str> {
        check_chain(pool, Head::from_word(self.head.load(Ordering::Relaxed)))
    }

    /// From the top down as many batches as the depth says.
    fn walk(&self, pool: &BatchPool) -> impl Iterator<Item = Result<Link, &'static str>> {
        // Relaxed: what is walked over is reached by its chunk, see `link`.
        walk(pool, Head::from_word(self.head.load(Ordering::Relaxed)))
    }

    /// Counts an indivisible operation on the head: of a class's stack, or of the pool's.
    #[inline(always)]
    fn count(&self, pool: &BatchPool) {
        let place = if ptr::eq(self, &pool.free) { Place::Pool } else { Place::Stack };
        count::atomic(place, &self.head);
    }

    /// Pushes, if the depth is below the limit or there is none.
    #[inline]
    fn push_below(&self, pool: &BatchPool, batch: BatchId, depth_max: Option<u8>) -> Result<(), BatchId> {
        // SAFETY: the caller has the batch, so it was carved and is valid; only its atomic part is referred to.
        let next = unsafe { &(*pool.get(batch)).next };
        let mut word = self.head.load(Ordering::Relaxed);
        loop {
            let head = Head::from_word(word);
            if depth_max.is_some_and(|limit| head.depth >= limit) {
                return Err(batch);
            }
            next.store(head.top.map_or(0, |top| top + 1), Ordering::Relaxed);
            // Release: what the caller wrote into the batch, `next` included, goes with it.
            let pushed = head.pushed(batch.0).word();
            self.count(pool);
            match self.head.compare_exchange_weak(word, pushed, ord!("push", Release), Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }
}

/// A batch of a stack, as it was read.
struct Link {
    batch: *const Batch,
    /// Number of the one below + 1, or 0.
    next: u32,
    count: u32,
}

/// From the top of a stack down as many batches as its depth says.
fn walk(pool: &BatchPool, head: Head) -> impl Iterator<Item = Result<Link, &'static str>> {
    let mut at = head.top;
    (0..head.depth).map(move |_| {
        let Some(number) = at else { return Err("is shorter than its depth") };
        let link = link(pool, number)?;
        at = link.next.checked_sub(1);
        Ok(link)
    })
}

fn link(pool: &BatchPool, number: u32) -> Result<Link, &'static str> {
    if number >= pool.carved.load(Ordering::Relaxed) {
        return Err("holds a batch that was never carved");
    }
    let (chunk, place) = BatchId(number).place();
    // Acquire: the number, of the head or read in a batch that is elsewhere by now, may be newer than what this thread knows of
    // the chunk.
    let batches = pool.chunks[chunk].load(ord!("walk-chunk", Acquire));
    if batches.is_null() {
        return Err("holds a batch of a chunk that is just being made");
    }
    let batch = batches.wrapping_add(place);
    // SAFETY: the batch was carved, so it is valid for ever, and both fields are atomic.
    let (next, count) =
        unsafe { ((*batch).next.load(Ordering::Relaxed), (*batch).count.load(Ordering::Relaxed)) };
    Ok(Link { batch, next, count })
}

/// The first invariant of a stack with this head that does not hold, if nobody changes it meanwhile.
fn check_chain(pool: &BatchPool, head: Head) -> Result<(), &'static str> {
    let mut last = head.top.map_or(0, |top| top + 1);
    for link in walk(pool, head) {
        let link = link?;
        if link.count as usize > BATCH_MAX {
            return Err("holds a batch that says it carries more than it can");
        }
        last = link.next;
    }
    if last == 0 { Ok(()) } else { Err("is longer than its depth") }
}

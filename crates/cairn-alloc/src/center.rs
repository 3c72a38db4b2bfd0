//! The center of a class: where the bins of all threads get blocks and bring them back, and medium blocks come from.
//!
//! ```text
//!   bin ──few────► shelf of the CPU ──few────► bin      a lock that is nearly always free, see shelf.rs
//!   bin ──batch──► transfer stack ──batch──► bin        lock-free, short
//!   bin ──flush──► slabs of the class ──refill──► bin   one short lock a batch
//! ```
//! Slabs and their lists: [`state`]; a thread that takes what it frees has slabs of its own, see [`home`].
//!
//! Lock order: class, then records, then pages.

mod audit;
mod home;
pub mod rounds;
mod state;

use core::cell::UnsafeCell;
use core::ptr;

use cairn_core::count::Place;
use cairn_core::lock::Lock;
use cairn_core::os;

use crate::class::{CLASS_COUNT, GRANULE, SHAPES};
use crate::fault::{self, Call};
use crate::records;
use crate::region;
use crate::shelf;
use crate::slab::{Fault, Slab};
use crate::thread;
use crate::transfer::{Batch, BatchId, BatchPool, TransferStack};
use rounds::Rounds;
use state::State;

#[cfg(test)]
pub use audit::damage;
pub use audit::{check_slabs, check_stacks, is_stacked_while};
use home::are_at_home;
pub use home::{ANYBODY, Home, Own};

/// Batches that may wait in the transfer stack of one class, at most. Short, because recycled batches are scattered
/// and locality is worth more than the hand-over (DESIGN §4.4).
const STACK_DEPTH_MAX: u8 = 8;
/// And at most so many bytes.
const STACK_BYTES_MAX: usize = 128 * 1024;

/// See the module.
#[repr(C, align(128))]
pub struct Center {
    stack: TransferStack,
    /// The lock begins a cache line of its own.
    _apart: [u64; 7],
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`; the rest is atomic.
unsafe impl Sync for Center {}

static CENTERS: [Center; CLASS_COUNT] = [const { Center::new() }; CLASS_COUNT];
static POOL: BatchPool = BatchPool::new();

/// The center of a class.
#[inline]
pub fn of(class: usize) -> &'static Center {
    debug_assert!(class > 0 && class < CLASS_COUNT);
    // SAFETY: classes come from the class tables and the class map, which hold nothing else.
    unsafe { CENTERS.get_unchecked(class) }
}

/// The locks of all shelves, of all classes and of the pool of batches, for fork.
pub fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
    let centers = CENTERS.iter().map(|center| &center.lock);
    shelf::locks().chain(centers).chain([POOL.lock()])
}

/// Batches of so many blocks that may wait in the transfer stack of a class.
fn depth_max(class: usize, blocks: usize) -> u8 {
    let bytes = blocks * SHAPES[class].size as usize;
    (STACK_BYTES_MAX / bytes).min(usize::from(STACK_DEPTH_MAX)) as u8
}

impl Center {
    const fn new() -> Self {
        Center {
            stack: TransferStack::new(),
            _apart: [0; 7],
            lock: Lock::named(Place::Class),
            state: UnsafeCell::new(State::new()),
        }
    }

    fn locked<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let _held = self.lock.hold();
        // SAFETY: the lock is held, and `run` never locks a class again.
        run(unsafe { &mut *self.state.get() })
    }

    /// Puts free blocks of `class` into `out`, lowest address first, from slabs of the caller's `own` if there are any; returns how many,
    /// 0 if memory is short. `taken` is told so under the lock.
    pub fn refill(
        &self,
        class: usize,
        own: Option<Own>,
        out: &mut [*mut u8],
        taken: impl FnOnce(usize),
    ) -> usize {
        self.locked(|state| {
            let mut count = 0;
            while count < out.len() {
                match state.take(class, own, |slab| slab.take(&mut out[count..])) {
                    0 => break,
                    more => count += more,
                }
            }
            taken(count);
            count
        })
    }

    /// The same for a single block; null if memory is short.
    pub fn take_one(&self, class: usize) -> *mut u8 {
        let mut block = [ptr::null_mut()];
        self.refill(class, None, &mut block, |_| ());
        block[0]
    }

    /// Like [`refill`](Center::refill) for one CPU, and perhaps fewer: of blocks smaller than a cache line, those that share theirs
    /// with nobody come first, or two CPUs would write to one line for as long as they use them again and again.
    pub fn refill_apart(&self, class: usize, out: &mut [*mut u8], taken: impl FnOnce(usize)) -> usize {
        if SHAPES[class].lines_filled_by == 1 {
            return self.refill(class, None, out, taken);
        }
        self.locked(|state| {
            let count = state.take(class, None, |slab| match slab.take_apart(out) {
                0 => slab.take(out),
                count => count,
            });
            taken(count);
            count
        })
    }

    /// Puts blocks back into their slabs. A block that does not belong there ends the process with a message.
    /// `gone` is called when all are back, still under the lock.
    pub fn flush(&self, class: usize, blocks: &[*mut u8], gone: impl FnOnce()) {
        let done = self.locked(|state| {
            state.put_into_slabs(class, blocks)?;
            gone();
            Ok(())
        });
        // Out of the lock: a handler of the signal may allocate.
        if let Err((fault, block)) = done {
            fault::report(Call::Free, fault, block.addr(), class);
        }
    }

    /// What the slab of a block of `class`, which the caller found there, has against freeing it.
    pub fn fault_at(&self, class: usize, block: usize) -> Option<Fault> {
        self.locked(|_| match region::locate_in_slab(block, class) {
            Some(place) => Slab::at(place).fault_at(block),
            None => Some(Fault::Misplaced),
        })
    }

    /// Brings blocks back: as a batch to whoever needs it next, if it is one and there is room, else to their slabs; and there too if they
    /// are in slabs of `home`, the caller's.
    /// `gone` is called once, when they are no longer the caller's.
    pub fn bring(&self, class: usize, home: Home, blocks: &[*mut u8], gone: impl Fn()) {
        /// Blocks that make a batch worth handing over.
        const BATCH_MIN: usize = 4;
        // With nobody to take a batch the slabs are the better place: whole ones become free, and what comes back
        // comes in address order.
        let is_batch = blocks.len() >= BATCH_MIN && thread::count() > 1 && !are_at_home(class, home, blocks);
        let Some(batch) = is_batch.then(|| self.fill(class, blocks)).flatten() else {
            return self.flush(class, blocks, gone);
        };
        // Before others can take them.
        gone();
        if let Err(batch) = self.stack.push(&POOL, batch, depth_max(class, blocks.len())) {
            self.flush(class, blocks, || ());
            POOL.give(batch);
        }
    }

    /// A batch with these blocks; None if enough are waiting.
    fn fill(&self, class: usize, blocks: &[*mut u8]) -> Option<BatchId> {
        if self.stack.depth() >= depth_max(class, blocks.len()) {
            return None;
        }
        let id = POOL.take(records::take_forever)?;
        // SAFETY: between `take` and `push` the batch is ours; blocks.len() <= BATCH_MAX.
        unsafe { Batch::fill(POOL.get(id), blocks) };
        Some(id)
    }

    /// Takes from the transfer stack as many blocks as `out` holds, or a batch; returns how many.
    pub fn pop(&self, out: &mut [*mut u8]) -> usize {
        let Some(id) = self.stack.pop(&POOL) else { return 0 };
        let batch = POOL.get(id);
        // SAFETY: between `pop` and `push` or `give` the batch is ours.
        let (taken, left) = unsafe { Batch::drain(batch, out) };
        if left > 0 {
            // It came from this stack, so there was room for it; if others filled it meanwhile, one more does no harm.
            self.put_back(id);
        } else {
            POOL.give(id);
        }
        taken
    }

    fn put_back(&self, id: BatchId) {
        let done = self.stack.push(&POOL, id, u8::MAX);
        debug_assert!(done.is_ok(), "no stack is 255 deep");
    }

    /// Empties the transfer stack into the slabs.
    pub fn settle(&self, class: usize) {
        while let Some(id) = self.stack.pop(&POOL) {
            let batch = POOL.get(id);
            // SAFETY: between `pop` and `give` the batch is ours.
            let blocks = unsafe { Batch::blocks(batch) };
            self.flush(class, blocks, || ());
            POOL.give(id);
        }
    }

    /// Gives back the pages in the slabs that hold only free blocks, until it were `most` bytes; returns how many. With
    /// `idle_only`, slabs that were used since the last such call are let be.
    pub fn purge_holes(&self, idle_only: bool, most: usize) -> usize {
        self.locked(|state| state.purge_holes(idle_only, most))
    }

    /// Counts for the statistics: slab bytes, carved blocks, free blocks in slabs, blocks on their way.
    pub fn totals(&self, class: usize) -> Totals {
        let stacked = self.stack.blocks(&POOL) + shelf::blocks(class);
        self.locked(|state| Totals {
            slabs: state.slabs,
            slab_bytes: state.slabs * usize::from(SHAPES[class].granules) * GRANULE,
            carved: state.carved,
            free: state.free,
            stacked,
        })
    }
}

/// See [`Center::totals`].
pub struct Totals {
    /// Slabs of the class.
    pub slabs: usize,
    /// Their bytes.
    pub slab_bytes: usize,
    /// Blocks that were handed out at least once.
    pub carved: usize,
    /// Of these, blocks that are free in their slab.
    pub free: usize,
    /// Blocks in the transfer stack and on the shelves.
    pub stacked: usize,
}

/// One step of giving back the holes in idle slabs, if a round is under way. A new window of the decay begins one if none is, and
/// so does growth, now and then; what lay on a shelf for a window goes too. A busy thread looks at a few classes and takes about a
/// millisecond at most, whatever it leaves; with `bytes` it is so many bytes, and nothing is left.
pub fn purge_step(new_window: bool, grew: bool, bytes: Option<usize>) {
    const CLASSES: usize = 8;
    const BYTES_MAX: usize = 8 << 20;
    static ROUNDS: Rounds = Rounds::new(CLASS_COUNT - 1);
    let mut next = ROUNDS.next(new_window, grew, os::now_ms);
    let last = if bytes.is_some() { 0 } else { next.saturating_sub(CLASSES) };
    let mut left = bytes.unwrap_or(BYTES_MAX);
    while next > last {
        let given = of(next).purge_holes(true, left);
        match bytes {
            Some(_) if given >= left => break,
            Some(_) => left -= given,
            None => (),
        }
        next -= 1;
    }
    ROUNDS.leave(next);
    if new_window {
        shelf::settle(true);
    }
}

/// Empties the shelves and the transfer stacks of all classes into their slabs.
pub fn settle_all() {
    shelf::settle(false);
    (1..CLASS_COUNT).for_each(|class| of(class).settle(class));
}

/// Gives back pages in the slabs of all classes and empties the transfer stacks; returns bytes.
pub fn trim() -> usize {
    settle_all();
    (1..CLASS_COUNT).map(|class| of(class).purge_holes(false, usize::MAX)).sum()
}

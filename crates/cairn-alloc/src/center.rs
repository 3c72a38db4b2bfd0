//! The center of a class: where the bins of all threads get blocks and bring them back, and medium blocks come from.
//!
//! ```text
//!   bin ──few────► shelf of the CPU ──few────► bin      a lock that is nearly always free, see shelf.rs
//!   bin ──batch──► transfer stack ──batch──► bin        lock-free, short
//!   bin ──flush──► slabs of the class ──refill──► bin   one short lock a batch
//! ```
//! Slabs with room are kept in [`LISTS`] lists by fullness. Refill takes from the fullest, so that the emptiest drain
//! and go back to the page heap whole; flush checks each block before the slab is touched.
//!
//! A thread that takes what it frees has slabs of its own, see [`home`].
//!
//! Invariants, under the class's lock: a slab is in list `i` iff it has room and `i` is what [`list_for`] says; a full one is
//! in none; `leave_at` is what [`leave_at`] says; `carved` and `free` are the sums over the class's slabs; without `holes` no slab
//! in a list has any that were not looked at.
//! Lock order: class, then records, then pages.

mod audit;
mod home;
pub mod rounds;

use core::cell::UnsafeCell;
use core::mem;
use core::ptr::{self, NonNull};

use cairn_core::count::Place;
use cairn_core::list::{Links, List};
use cairn_core::lock::Lock;
use cairn_core::os;

use crate::class::{CLASS_COUNT, GRANULE, SHAPES};
use crate::descriptor::{Descriptor, Holes, NO_LIST};
use crate::fault::{self, Call};
use crate::records;
use crate::region;
use crate::shelf;
use crate::slab::{Fault, Slab};
use crate::thread;
use crate::transfer::{Batch, BatchId, BatchPool, TransferStack};
use rounds::Rounds;

#[cfg(test)]
pub use audit::damage;
pub use audit::{check_slabs, check_stacks, is_stacked_while};
use home::are_at_home;
pub use home::{ANYBODY, Home, Own};

/// Lists of slabs by fullness; the last is the fullest.
const LISTS: usize = 4;

/// Batches that may wait in the transfer stack of one class, at most. Short, because recycled batches are scattered
/// and locality is worth more than the hand-over (DESIGN §4.4).
const STACK_DEPTH_MAX: u8 = 8;
/// And at most so many bytes.
const STACK_BYTES_MAX: usize = 128 * 1024;

struct State {
    lists: [List<NonNull<Descriptor>>; LISTS],
    slabs: usize,
    carved: usize,
    free: usize,
    /// Whether a look for holes to give back is worth it.
    holes: bool,
}

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

/// The list for a slab of which `available` blocks can be taken.
#[inline]
fn list_for(available: usize, class: usize) -> u8 {
    let shape = &SHAPES[class];
    if available == 0 { NO_LIST } else { shape.quarters(shape.blocks as usize - available) as u8 }
}

/// How many blocks have to be free before the slab belongs into another list, as things stand: a lower quarter, or nowhere because
/// it is empty.
#[inline]
fn leave_at(slab: Slab, class: usize) -> u16 {
    let (body, shape) = (slab.body(), &SHAPES[class]);
    let unused = match body.list {
        NO_LIST => 1,
        list => u32::from(shape.unused_below[usize::from(list)]),
    };
    let uncarved = shape.blocks - body.carved;
    (unused - uncarved).min(body.carved).max(1) as u16
}

fn set_leave_at(slab: Slab, class: usize) {
    slab.body().leave_at = leave_at(slab, class);
}

impl Center {
    const fn new() -> Self {
        Center {
            stack: TransferStack::new(),
            _apart: [0; 7],
            lock: Lock::named(Place::Class),
            state: UnsafeCell::new(State {
                lists: [const { List::new() }; LISTS],
                slabs: 0,
                carved: 0,
                free: 0,
                holes: false,
            }),
        }
    }

    fn locked<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let _held = self.lock.hold();
        // SAFETY: the lock is held, and `run` never locks a class again.
        run(unsafe { &mut *self.state.get() })
    }

    /// Puts free blocks of `class` into `out`, lowest address first, from a slab of its own if the caller is to have one; returns how many, 0 if memory is short. `taken` is told so
    /// under the lock.
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
        self.locked(|state| {
            // Each slab on the way is a miss of the cache, and in an idle process most classes have nothing new.
            if !mem::take(&mut state.holes) {
                return 0;
            }
            let mut given = 0;
            for list in 0..LISTS {
                let mut next = state.lists[list].first();
                while let Some(slab) = next.map(Slab::from_list) {
                    next = slab.body().next;
                    given += slab.purge_holes(idle_only);
                    state.holes |= slab.body().holes != Holes::Given;
                    if given >= most {
                        state.holes = true;
                        return given;
                    }
                }
            }
            given
        })
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

impl State {
    /// Puts blocks of `class` back into their slabs; at the first that can't be, says why. Not inlined: its loop needs all registers.
    #[inline(never)]
    fn put_into_slabs(&mut self, class: usize, blocks: &[*mut u8]) -> Result<(), (Fault, *mut u8)> {
        self.holes = true;
        let mut rest = blocks;
        while let Some(&first) = rest.first() {
            // Blocks that are freed together were mostly allocated together: whole runs lie in one slab.
            let Some((slab, start)) = Slab::of_block(first.addr(), class) else {
                return Err((Fault::Misplaced, first));
            };
            let count = slab.put_run(start, rest, class);
            // At once: should a later block be wrong, a handler of the signal may go on to use the heap.
            self.free += count;
            rest = &rest[count..];
            let leaves = slab.body().free >= u32::from(slab.body().leave_at);
            if count == 0 || leaves {
                // Before the slab is perhaps gone, and with it what it knows of the next block.
                let fault = rest.first().and_then(|next| slab.fault_of_own(next.addr(), class));
                if leaves {
                    self.replace(slab, class);
                }
                // A slab takes its block or says what is wrong with it; should it ever do neither, this must not go on for ever.
                debug_assert!(count > 0 || fault.is_some());
                if let Some(fault) = fault.or((count == 0).then_some(Fault::Misplaced)) {
                    return Err((fault, rest[0]));
                }
            }
        }
        Ok(())
    }

    /// Has `take` take blocks from a slab of the caller's own or from the fullest, or from a new one; returns how many, 0 if memory is short.
    fn take(&mut self, class: usize, own: Option<Own>, take: impl FnOnce(Slab) -> usize) -> usize {
        let best = own.and_then(|own| self.best(class, own));
        let Some(slab) = best.or_else(|| self.fullest()).or_else(|| self.add(class)) else { return 0 };
        let carved = slab.body().carved;
        let taken = take(slab);
        self.holes = true;
        let fresh = (slab.body().carved - carved) as usize;
        self.carved += fresh;
        self.free = self.free + fresh - taken;
        self.place(slab, class);
        taken
    }

    fn fullest(&self) -> Option<Slab> {
        self.lists.iter().rev().find_map(List::first).map(Slab::from_list)
    }

    /// Adds a slab and puts it into its list.
    fn add(&mut self, class: usize) -> Option<Slab> {
        let slab = Slab::new(class)?;
        self.slabs += 1;
        self.link(slab, class);
        Some(slab)
    }

    /// Moves a slab from which blocks were taken to the list that its fullness asks for.
    fn place(&mut self, slab: Slab, class: usize) {
        if list_for(slab.available(), class) == slab.body().list {
            set_leave_at(slab, class);
        } else {
            self.replace(slab, class);
        }
    }

    /// The same for any slab; an empty one goes back to the page heap.
    #[cold]
    #[inline(never)]
    fn replace(&mut self, slab: Slab, class: usize) {
        self.unlink(slab);
        if slab.is_empty() {
            let carved = slab.body().carved as usize;
            self.carved -= carved;
            self.free -= carved;
            self.slabs -= 1;
            slab.retire();
        } else {
            self.link(slab, class);
        }
    }

    fn link(&mut self, slab: Slab, class: usize) {
        let list = list_for(slab.available(), class);
        slab.body().list = list;
        if list != NO_LIST {
            self.lists[usize::from(list)].push_first(&mut SlabLinks, slab.descriptor());
        }
        set_leave_at(slab, class);
    }

    fn unlink(&mut self, slab: Slab) {
        let list = slab.body().list;
        if list != NO_LIST {
            self.lists[usize::from(list)].remove(&mut SlabLinks, slab.descriptor());
        }
    }
}

/// The lists' links are in the slabs' descriptors.
struct SlabLinks;

impl Links for SlabLinks {
    type Id = NonNull<Descriptor>;

    #[inline]
    fn next(&self, n: NonNull<Descriptor>) -> Option<NonNull<Descriptor>> {
        Slab::from_list(n).body().next
    }
    #[inline]
    fn set_next(&mut self, n: NonNull<Descriptor>, to: Option<NonNull<Descriptor>>) {
        Slab::from_list(n).body().next = to;
    }
    #[inline]
    fn prev(&self, n: NonNull<Descriptor>) -> Option<NonNull<Descriptor>> {
        Slab::from_list(n).body().previous
    }
    #[inline]
    fn set_prev(&mut self, n: NonNull<Descriptor>, to: Option<NonNull<Descriptor>>) {
        Slab::from_list(n).body().previous = to;
    }
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

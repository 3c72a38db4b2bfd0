//! Shelves: where small bins bring blocks and fetch them, and where some medium blocks wait; one shelf for each CPU.
//!
//! ```text
//!   bin ──a few──► shelf of this CPU ──half a row──► transfer stack, slabs
//!   bin ◄─a few─── shelf of this CPU ◄─a dozen────── transfer stack, slabs
//!   free(medium) ► shelf of this CPU ──if no room──► slabs
//! ```
//! Where there are many threads each bin is small, so it misses often and moves a few blocks at a time. Each trip to
//! a slab for three blocks costs as much as one for thirty; and to let the bins grow would let each *waiting* thread keep what the
//! working ones need. A CPU runs one thread at a time, so what its shelf holds serves whichever of them it is: memory grows
//! with the CPUs, not with the threads. Large bins move whole batches and don't come here.
//!
//! Medium blocks have no bins (medium.rs). Where several threads replace them they would wait for the class's lock, take and give back slabs of one block, and get
//! memory that another CPU wrote to last. Some of each class on the shelf are enough against that. Who comes first has the room; what nobody needs leaves
//! it after a window or two of the decay.
//!
//! A shelf is chosen by the CPU number of the moment. The thread may be moved to another CPU right after, so each shelf has
//! a lock, which is free nearly always.
//!
//! Invariants, under the shelf's lock: of each row the first `len` slots hold free blocks of its class, `bytes` are the sums over
//! all rows of small and of medium blocks, and `least` is the least `len` since the last look. Lock order: shelf, then records, then pages; never a
//! class's lock inside.

#[cfg(not(any(loom, shuttle)))]
mod audit;

use core::ptr;

use cairn_core::count::Place;
use cairn_core::hint::copy_few;
use cairn_core::lock::Lock;
use cairn_core::sync::UnsafeCell;
use cairn_core::{planted, shared};

use crate::center;
use crate::class::{CLASS_COUNT, SHAPES, is_medium};
use crate::records;
use crate::thread::Hands;

#[cfg(test)]
pub use audit::damage;
#[cfg(not(any(loom, shuttle)))]
pub use audit::{check, holds};

/// Shelves; machines with more CPUs share them.
const SHELVES: usize = if cfg!(any(loom, shuttle)) { 2 } else { 64 };
/// Slots of a row.
const SLOTS: usize = 64;
/// What a shelf may hold of a kind of blocks, in bytes.
struct Bounds {
    /// In each row,
    row: usize,
    /// and in all of them together.
    all: usize,
}

/// For small blocks and for medium ones: neither takes the other's room.
const BOUNDS: [Bounds; 2] = [Bounds { row: 32 << 10, all: 1 << 20 }, Bounds { row: 256 << 10, all: 2 << 20 }];
/// Blocks that are fetched for the shelf besides those that were asked for.
const EXTRA: usize = 12;
/// A bin that moves more blocks than this at a time needs no shelf.
pub const COUNT_MAX: usize = 16;

type Slot = *mut u8;

/// The blocks of one class.
#[derive(Clone, Copy)]
struct Row {
    /// [`SLOTS`] of them; null before the first use.
    slots: *mut Slot,
    len: u8,
    least: u8,
}

struct State {
    /// As [`BOUNDS`].
    bytes: [usize; 2],
    /// Medium blocks that were put here so far.
    brought: usize,
    rows: [Row; CLASS_COUNT],
}

#[repr(C, align(128))]
struct Shelf {
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`.
unsafe impl Sync for Shelf {}

shared! {
    static ALL: [Shelf; SHELVES] = all();
}

#[cfg(not(any(loom, shuttle)))]
const fn all() -> [Shelf; SHELVES] {
    [const { Shelf::new() }; SHELVES]
}

#[cfg(any(loom, shuttle))]
fn all() -> [Shelf; SHELVES] {
    [(); SHELVES].map(|()| Shelf::new())
}

/// The locks, for fork.
pub fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
    ALL.iter().map(|shelf| &shelf.lock)
}

/// The shelf of the CPU that runs this now.
fn here() -> &'static Shelf {
    #[cfg(not(any(loom, shuttle)))]
    // SAFETY: no preconditions. -1 (no such call) becomes some shelf, which is as good as another.
    let cpu = unsafe { libc::sched_getcpu() } as usize;
    #[cfg(any(loom, shuttle))]
    let cpu = crate::cpu();
    &ALL[cpu % SHELVES]
}

/// Puts free blocks of `class` into `out`, by way of the hands, which are empty; returns how many, 0 if memory is short.
pub fn take(class: usize, out: &mut [*mut u8], hands: &Hands) -> usize {
    let shelf = here();
    let taken = shelf.locked(|state| state.take(class, out));
    if taken > 0 {
        return taken;
    }
    let center = center::of(class);
    // A batch comes whole; out of a slab comes less, since what waits here keeps its slab in use.
    let (room, extra) = (row_max(class), EXTRA.min(row_max(class) / 2));
    let popped = hands.add(class, out.len() + room, |slots, taken| {
        let count = center.pop(slots);
        taken(count);
        count
    });
    let count = match popped {
        // Whole lines, where blocks are smaller.
        0 => hands.add(class, whole_lines(class, out.len() + extra), |slots, taken| {
            center.refill_apart(class, slots, taken)
        }),
        count => count,
    };
    let mine = count.min(out.len());
    if count > mine {
        shelf.locked(|state| hands.keep(count - state.put(class, &hands.blocks()[mine..])));
    }
    if hands.blocks().len() > mine {
        center.flush(class, &hands.blocks()[mine..], || hands.keep(mine));
    }
    out[..mine].copy_from_slice(hands.blocks());
    hands.keep(0);
    mine
}

/// Puts the blocks of `class` that are in the hands on the shelf; what it has no room for goes on, in a larger batch.
pub fn put(class: usize, hands: &Hands) {
    here().locked(|state| {
        let count = hands.blocks().len();
        let rest = count - state.put(class, hands.blocks());
        hands.keep(rest);
        if rest > 0 {
            // Half a row makes room for the next few.
            let half = usize::from(state.rows[class].len) / 2;
            hands.add(class, half, |slots, taken| {
                let count = state.take(class, slots);
                taken(count);
                count
            });
        }
    });
    if !hands.blocks().is_empty() {
        center::of(class).bring(class, center::ANYBODY, hands.blocks(), || hands.keep(0));
    }
}

/// Empties all shelves, or with `idle_only` takes from them what nobody has needed since the last such call.
pub fn settle(idle_only: bool) {
    for shelf in ALL.iter() {
        if shelf.locked(|state| state.bytes) != [0; 2] {
            shelf.settle(idle_only);
        }
    }
}

/// A medium block of `class` from the shelf of this CPU; null if there is none.
pub fn take_one(class: usize) -> *mut u8 {
    let mut block = [ptr::null_mut()];
    here().locked(|state| state.take(class, &mut block));
    block[0]
}

/// Puts a free medium block of `class` on the shelf of this CPU, and returns how many came there before it; None, and nothing done, if there is no room.
pub fn put_one(class: usize, block: *mut u8) -> Option<usize> {
    here().locked(|state| {
        let before = state.brought;
        (state.put(class, &[block]) > 0).then(|| {
            state.brought = before.wrapping_add(1);
            before
        })
    })
}

/// Blocks of a class on all shelves.
pub fn blocks(class: usize) -> usize {
    ALL.iter().map(|shelf| shelf.locked(|state| usize::from(state.rows[class].len))).sum()
}

/// Shows each block of a class on all shelves, whose locks the caller holds.
#[cfg(any(loom, shuttle))]
pub fn show(class: usize, mut see: impl FnMut(*mut u8)) {
    for shelf in ALL.iter() {
        shelf.state.with(|state| {
            // SAFETY: the lock is held.
            let row = unsafe { &(*state).rows[class] };
            // SAFETY: the first `len` slots hold blocks.
            (0..row.len.into()).for_each(|slot| see(unsafe { *row.slots.add(slot) }));
        });
    }
}

/// So many blocks, or the few more that fill whole cache lines with them.
fn whole_lines(class: usize, blocks: usize) -> usize {
    let lines = usize::from(SHAPES[class].lines_filled_by);
    blocks.next_multiple_of(lines)
}

/// Which of [`BOUNDS`] holds for a class.
fn kind(class: usize) -> usize {
    usize::from(is_medium(class))
}

/// Blocks that a row may hold.
fn row_max(class: usize) -> usize {
    (BOUNDS[kind(class)].row / SHAPES[class].size as usize).min(SLOTS)
}

impl Shelf {
    #[cfg(not(any(loom, shuttle)))]
    const fn new() -> Self {
        Shelf { lock: Lock::named(Place::Shelf), state: UnsafeCell::new(State::new()) }
    }

    #[cfg(any(loom, shuttle))]
    fn new() -> Self {
        Shelf { lock: Lock::named(Place::Shelf), state: UnsafeCell::new(State::new()) }
    }

    fn locked<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let _held = (!planted!("shelf-lock")).then(|| self.lock.hold());
        // SAFETY: the lock is held, and `run` never locks a shelf again.
        self.state.with_mut(|state| run(unsafe { &mut *state }))
    }

    fn settle(&self, idle_only: bool) {
        let mut blocks = [ptr::null_mut(); SLOTS];
        let mut from = 1;
        // The slabs' turn is outside of the lock.
        while let Some((class, count)) = self.locked(|state| state.take_surplus(from, idle_only, &mut blocks))
        {
            center::of(class).flush(class, &blocks[..count], || ());
            from = class + 1;
        }
    }
}

impl State {
    const fn new() -> Self {
        State {
            bytes: [0; 2],
            brought: 0,
            rows: [Row { slots: ptr::null_mut(), len: 0, least: 0 }; CLASS_COUNT],
        }
    }

    /// Takes the newest blocks, as many as `out` holds or there are; returns how many.
    fn take(&mut self, class: usize, out: &mut [*mut u8]) -> usize {
        let row = &mut self.rows[class];
        let count = usize::from(row.len).min(out.len());
        if count > 0 {
            row.len -= count as u8;
            row.least = row.least.min(row.len);
            self.bytes[kind(class)] -= count * SHAPES[class].size as usize;
            // SAFETY: the row has slots, of which the first `len` (as it was) hold blocks.
            unsafe { copy_few(row.slots.add(row.len.into()), out.as_mut_ptr(), count) };
        }
        count
    }

    /// Takes all blocks of the first class from `from` on that has any, with `idle_only` those that nobody has needed since the last such call; gives the class and
    /// how many.
    fn take_surplus(
        &mut self,
        from: usize,
        idle_only: bool,
        out: &mut [*mut u8; SLOTS],
    ) -> Option<(usize, usize)> {
        (from..CLASS_COUNT).find_map(|class| {
            let row = &self.rows[class];
            let surplus = usize::from(if idle_only { row.least } else { row.len });
            let count = self.take(class, &mut out[..surplus]);
            let row = &mut self.rows[class];
            row.least = row.len;
            (count > 0).then_some((class, count))
        })
    }

    /// Puts the last of `blocks` in, as many as there is room for; returns how many.
    fn put(&mut self, class: usize, blocks: &[*mut u8]) -> usize {
        let row = &mut self.rows[class];
        let size = SHAPES[class].size as usize;
        let bytes = &mut self.bytes[kind(class)];
        let room = (row_max(class) - usize::from(row.len)).min((BOUNDS[kind(class)].all - *bytes) / size);
        let count = room.min(blocks.len());
        if count == 0 {
            return 0;
        }
        if row.slots.is_null() {
            row.slots = records::take_forever(SLOTS * size_of::<Slot>()).cast();
            if row.slots.is_null() {
                return 0;
            }
        }
        let blocks = &blocks[blocks.len() - count..];
        // SAFETY: the row has SLOTS slots, and `len + count` is at most that.
        unsafe { copy_few(blocks.as_ptr(), row.slots.add(row.len.into()), count) };
        row.len += count as u8;
        *bytes += count * size;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: usize) -> *mut u8 {
        ptr::without_provenance_mut(16 * n)
    }

    #[test]
    fn a_row_gives_the_newest_first_and_keeps_its_bounds() {
        let shelf = Shelf::new();
        let class = crate::class::of_size(64);
        let blocks: [*mut u8; SLOTS + 6] = core::array::from_fn(address);
        let mut out = [ptr::null_mut(); 4];
        shelf.locked(|state| {
            assert_eq!(state.put(class, &blocks), SLOTS);
            assert_eq!(state.bytes, [SLOTS * 64, 0]);
            assert_eq!(state.take(class, &mut out), 4);
            assert_eq!(out, [66, 67, 68, 69].map(address));
            assert_eq!(state.put(class, &blocks[..2]), 2);
            assert_eq!(state.bytes, [(SLOTS - 2) * 64, 0]);
        });
        // 32 KiB are a row's bound, of medium blocks 256 KiB; 1 MiB is a shelf's, of medium blocks 2.
        let shelf = Shelf::new();
        shelf.locked(|state| {
            let large = crate::class::of_size(16 << 10);
            let medium = crate::class::of_medium(64 << 10).expect("one");
            assert_eq!((state.put(large, &blocks), state.put(medium, &blocks)), (2, 4));
            for class in 1..CLASS_COUNT {
                state.put(class, &blocks);
            }
            for (bytes, bounds) in state.bytes.iter().zip(&BOUNDS) {
                assert!((bounds.all - 2 * bounds.row..=bounds.all).contains(bytes), "{bytes}");
            }
        });
    }

    #[test]
    fn what_stayed_since_the_last_look_is_surplus() {
        let shelf = Shelf::new();
        let classes = [64, 128].map(crate::class::of_size);
        let blocks: [*mut u8; 8] = core::array::from_fn(address);
        let mut out = [ptr::null_mut(); SLOTS];
        shelf.locked(|state| classes.map(|class| state.put(class, &blocks)));
        let mut surplus =
            |from, idle_only| shelf.locked(|state| state.take_surplus(from, idle_only, &mut out));
        assert_eq!(surplus(1, true), None, "they came after the last look");
        shelf.locked(|state| {
            let mut out = [ptr::null_mut(); 5];
            state.take(classes[0], &mut out);
            state.put(classes[0], &blocks[..5]);
        });
        assert_eq!(surplus(1, true), Some((classes[0], 3)));
        assert_eq!(surplus(classes[0] + 1, true), Some((classes[1], 8)));
        assert_eq!(surplus(classes[1] + 1, true), None);
        assert_eq!(surplus(1, false), Some((classes[0], 5)), "needed or not");
        assert_eq!(surplus(1, false), None);
    }
}

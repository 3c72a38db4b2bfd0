//! The hardened slabs of each class, and the lock before them: where the stocks of threads get blocks and bring them back.
//!
//! Slabs with free blocks are in [`LISTS`] lists by fullness. Blocks come from the fullest, so that the emptiest drain and go back to the
//! page heap whole; but some stay as long as the class is in use, so that a class that comes and goes doesn't make a slab each time.
//!
//! Invariants, under the class's lock: a slab is in list `i` iff it has free blocks and `i` is what [`list_for`] says; a slab that
//! has none is in no list; `slabs` and `free` are the sums over the class's slabs. Lock order: class, records, pages.

pub mod audit;

use core::cell::UnsafeCell;
use core::ptr::NonNull;

use cairn_core::count::Place;
use cairn_core::list::{Links, List};
use cairn_core::lock::Lock;

use crate::center::rounds::Rounds;
use crate::class::{GRANULE, SHAPES, SMALL_COUNT};
use crate::descriptor::{Descriptor, NO_LIST};
use crate::hardened::random::Stream;
use crate::hardened::slab::Slab;
use crate::hardened::vault::form;

/// Lists of slabs by fullness; the first is the fullest.
const LISTS: usize = 4;
/// A slab that becomes empty is kept if the class has no other free blocks than this part of what it has,
const KEEP_SHARE: usize = 8;
/// or than so many slabs have: to make a slab takes two system calls and clears it. Once the class is idle it goes nevertheless.
const KEEP_SLABS: usize = 1;

struct State {
    lists: [List<NonNull<Descriptor>>; LISTS],
    slabs: usize,
    free: usize,
}

/// See the module.
#[repr(C, align(128))]
pub struct Center {
    lock: Lock,
    state: UnsafeCell<State>,
}

// SAFETY: `state` is used only by whoever holds `lock`.
unsafe impl Sync for Center {}

static CENTERS: [Center; SMALL_COUNT] = [const {
    Center {
        lock: Lock::named(Place::Class),
        state: UnsafeCell::new(State { lists: [const { List::new() }; LISTS], slabs: 0, free: 0 }),
    }
}; SMALL_COUNT];

/// The center of a class.
#[inline]
pub fn of(class: usize) -> &'static Center {
    debug_assert!(class > 0 && class < SMALL_COUNT);
    // SAFETY: classes come from the class tables and the map, which hold nothing else.
    unsafe { CENTERS.get_unchecked(class) }
}

/// The locks of all classes, for fork.
pub fn locks() -> impl DoubleEndedIterator<Item = &'static Lock> {
    CENTERS.iter().map(|center| &center.lock)
}

/// The list for a slab with so many free blocks.
#[inline]
fn list_for(free: u32, class: usize) -> u8 {
    if free == 0 {
        return NO_LIST;
    }
    // (free - 1) * LISTS / blocks, without a division.
    let (share, blocks) = ((free - 1) * LISTS as u32, form(class).blocks);
    (1..LISTS as u32).map(|list| u8::from(share >= list * blocks)).sum()
}

/// What the slabs of a class hold.
pub struct Totals {
    /// Bytes of its slabs.
    pub slab_bytes: usize,
    /// Blocks of its slabs.
    pub blocks: usize,
    /// Those of them that are free in their slab.
    pub free: usize,
}

impl Center {
    fn locked<T>(&self, run: impl FnOnce(&mut State) -> T) -> T {
        let _held = self.lock.hold();
        // SAFETY: the lock is held, and `run` never locks a class again.
        run(unsafe { &mut *self.state.get() })
    }

    /// Puts free blocks of `class` into `out`; returns how many, 0 if memory is short. Before the lock is free, so that a fork finds each
    /// block in its slab or with its taker, `taken` is told how many.
    pub fn take(
        &self,
        class: usize,
        out: &mut [*mut u8],
        random: &Stream,
        taken: impl FnOnce(usize),
    ) -> usize {
        self.locked(|state| {
            let mut count = 0;
            while count < out.len() {
                let Some(slab) = state.fullest().or_else(|| state.add(class)) else { break };
                let more = slab.take(&mut out[count..], random);
                state.free -= more;
                count += more;
                state.place(slab, class);
            }
            taken(count);
            count
        })
    }

    /// Puts blocks back into their slabs, the last one first. Before the lock is free, `left` is told how many are still to be put, for the
    /// same reason. Those that are there already are given to `twice`, after the lock is free.
    pub fn put(
        &self,
        class: usize,
        blocks: &[*mut u8],
        mut left: impl FnMut(usize),
        mut twice: impl FnMut(*mut u8),
    ) {
        let mut rest = blocks;
        while !rest.is_empty() {
            let mut wrong = None;
            self.locked(|state| {
                while let Some((&block, before)) = rest.split_last()
                    && wrong.is_none()
                {
                    rest = before;
                    match Slab::of(block, class).filter(|slab| slab.put(block)) {
                        Some(slab) => {
                            state.free += 1;
                            state.place(slab, class);
                        }
                        None => wrong = Some(block),
                    }
                }
                left(rest.len());
            });
            if let Some(block) = wrong {
                twice(block);
            }
        }
    }

    /// Whether a block of the class lies in its slab, free.
    pub fn has(&self, class: usize, block: *mut u8) -> bool {
        self.locked(|_| Slab::of(block, class).is_none_or(|slab| slab.has(block)))
    }

    /// Gives back the pages in the slabs that hold only free blocks; returns bytes. With `idle_only`, slabs that were used since
    /// the last such call are let be.
    fn purge_holes(&self, idle_only: bool) -> usize {
        self.locked(|state| {
            let mut given = 0;
            for list in &state.lists {
                let mut next = list.first().map(Slab::from_list);
                while let Some(slab) = next {
                    next = slab.body().next.map(Slab::from_list);
                    given += slab.purge_holes(idle_only);
                }
            }
            given
        })
    }

    /// Gives empty slabs back to the page heap. With `idle_only`, those that were used since the last call are let be, and so is the
    /// last one.
    fn drop_empty(&self, class: usize, idle_only: bool) {
        self.locked(|state| {
            let mut next = state.lists[LISTS - 1].first().map(Slab::from_list);
            while let Some(slab) = next {
                next = slab.body().next.map(Slab::from_list);
                let spared = idle_only && (slab.body().stirred || state.slabs == 1);
                if slab.is_empty() && !spared {
                    state.retire(slab, class);
                }
            }
        });
    }

    /// What the class's slabs hold.
    pub fn totals(&self, class: usize) -> Totals {
        self.locked(|state| Totals {
            slab_bytes: state.slabs * usize::from(SHAPES[class].granules) * GRANULE,
            blocks: state.slabs * form(class).blocks as usize,
            free: state.free,
        })
    }
}

impl State {
    fn fullest(&self) -> Option<Slab> {
        self.lists.iter().find_map(List::first).map(Slab::from_list)
    }

    fn add(&mut self, class: usize) -> Option<Slab> {
        let slab = Slab::new(class)?;
        self.slabs += 1;
        self.free += form(class).blocks as usize;
        slab.body().list = NO_LIST;
        self.place(slab, class);
        Some(slab)
    }

    /// Moves a slab of which blocks were taken, or to which they came back, to the list that its fullness asks for. An empty one goes
    /// back to the page heap, if the class has enough without it.
    #[inline]
    fn place(&mut self, slab: Slab, class: usize) {
        let body = slab.body();
        let list = list_for(body.free, class);
        if list != body.list {
            self.unlink(slab);
            body.list = list;
            if list != NO_LIST {
                self.lists[usize::from(list)].push_first(&mut SlabLinks, slab.descriptor());
            }
        }
        let blocks = form(class).blocks as usize;
        if body.free as usize == blocks
            && self.free - blocks > blocks * KEEP_SLABS.max(self.slabs / KEEP_SHARE)
        {
            self.retire(slab, class);
        }
    }

    fn unlink(&mut self, slab: Slab) {
        let list = slab.body().list;
        if list != NO_LIST {
            self.lists[usize::from(list)].remove(&mut SlabLinks, slab.descriptor());
        }
    }

    fn retire(&mut self, slab: Slab, class: usize) {
        self.unlink(slab);
        self.slabs -= 1;
        self.free -= form(class).blocks as usize;
        slab.retire();
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

/// One step of giving back the holes in idle slabs: a few classes, if a round is under way; a new window of the decay begins one.
pub fn purge_step(new_window: bool) {
    const CLASSES: usize = 8;
    static ROUNDS: Rounds = Rounds::new(SMALL_COUNT - 1);
    let next = ROUNDS.next(new_window, false, || 0);
    let left = next.saturating_sub(CLASSES);
    ROUNDS.leave(left);
    for class in left + 1..=next {
        of(class).drop_empty(class, true);
        of(class).purge_holes(true);
    }
}

/// Gives all empty slabs and all free pages in the others back; returns the bytes of the latter.
pub fn trim() -> usize {
    let given = |class| {
        of(class).drop_empty(class, false);
        of(class).purge_holes(false)
    };
    (1..SMALL_COUNT).map(given).sum()
}

//! The slabs of a class: lists by fullness, from which blocks are taken and into which they come back.
//!
//! Refill takes from the fullest, so that the emptiest drain and go back to the page heap whole; what comes back is checked before its slab is touched.
//!
//! Invariants, under the class's lock: a slab is in list `i` iff it has room and `i` is what [`list_for`] says; a full one is
//! in none; `leave_at` is what [`leave_at`] says; `carved` and `free` are the sums over the class's slabs; without `holes` no slab
//! in a list has any that were not looked at.

use core::mem;
use core::ptr::NonNull;

use cairn_core::list::{Links, List};

use crate::class::SHAPES;
use crate::descriptor::{Descriptor, Holes, NO_LIST};
use crate::slab::{Fault, Slab};

use super::home::Own;

/// Lists of slabs by fullness; the last is the fullest.
pub const LISTS: usize = 4;

/// The slabs of a class, under its lock. Invariants: see the module.
pub struct State {
    pub lists: [List<NonNull<Descriptor>>; LISTS],
    pub slabs: usize,
    pub carved: usize,
    pub free: usize,
    /// Whether a look for holes to give back is worth it.
    pub holes: bool,
}

/// The list for a slab of which `available` blocks can be taken.
#[inline]
pub fn list_for(available: usize, class: usize) -> u8 {
    let shape = &SHAPES[class];
    if available == 0 { NO_LIST } else { shape.quarters(shape.blocks as usize - available) as u8 }
}

/// How many blocks have to be free before the slab belongs into another list, as things stand: a lower quarter, or nowhere because
/// it is empty.
#[inline]
pub fn leave_at(slab: Slab, class: usize) -> u16 {
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

impl State {
    /// Without slabs.
    pub const fn new() -> Self {
        State { lists: [const { List::new() }; LISTS], slabs: 0, carved: 0, free: 0, holes: false }
    }

    /// Puts blocks of `class` back into their slabs; at the first that can't be, says why. Not inlined: its loop needs all registers.
    #[inline(never)]
    pub fn put_into_slabs(&mut self, class: usize, blocks: &[*mut u8]) -> Result<(), (Fault, *mut u8)> {
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
    pub fn take(&mut self, class: usize, own: Option<Own>, take: impl FnOnce(Slab) -> usize) -> usize {
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

    pub fn fullest(&self) -> Option<Slab> {
        self.lists.iter().rev().find_map(List::first).map(Slab::from_list)
    }

    /// Adds a slab and puts it into its list.
    pub fn add(&mut self, class: usize) -> Option<Slab> {
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

    /// See [`Center::purge_holes`](super::Center::purge_holes).
    pub fn purge_holes(&mut self, idle_only: bool, most: usize) -> usize {
        // Each slab on the way is a miss of the cache, and in an idle process most classes have nothing new.
        if !mem::take(&mut self.holes) {
            return 0;
        }
        let mut given = 0;
        for list in 0..LISTS {
            let mut next = self.lists[list].first();
            while let Some(slab) = next.map(Slab::from_list) {
                next = slab.body().next;
                given += slab.purge_holes(idle_only);
                self.holes |= slab.body().holes != Holes::Given;
                if given >= most {
                    self.holes = true;
                    return given;
                }
            }
        }
        given
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
pub struct SlabLinks;

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

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use cairn_core::os;

    use super::*;
    use crate::audit::tests::in_a_process_of_its_own;
    use crate::center;
    use crate::class::{self, GRANULE};

    /// Three slabs, in each of which all blocks but the first are free.
    fn bounded_steps() {
        const SLABS: usize = 3;
        if os::page_size() > GRANULE / 4 {
            // With so long pages none of such a slab has only free blocks.
            return;
        }
        let class = class::of_size(48);
        let (center, each) = (center::of(class), SHAPES[class].blocks as usize);
        let mut blocks = std::vec![core::ptr::null_mut(); SLABS * each];
        assert_eq!(center.refill(class, None, &mut blocks, |_| ()), blocks.len());
        let free: Vec<_> = (0..blocks.len()).filter(|n| n % each > 0).map(|n| blocks[n]).collect();
        center.flush(class, &free, || ());
        let gives = |_| center.purge_holes(false, 1) > 0;
        assert!((0..SLABS).all(gives), "what one step leaves the next one gives");
        assert_eq!(center.purge_holes(false, 1), 0);
    }

    #[test]
    fn what_one_step_is_too_short_for_the_next_one_gives_back() {
        let name = "center::state::tests::what_one_step_is_too_short_for_the_next_one_gives_back";
        in_a_process_of_its_own(name, bounded_steps);
    }
}

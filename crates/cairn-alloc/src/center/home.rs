//! Slabs of one thread: which slab a thread takes from that takes what it frees, and where its blocks go back to.
//!
//! Threads that work by themselves exchange blocks all the same, where what each frees at a time is more than its bin holds: through the transfer stack, and by
//! taking from one slab in turns. After some seconds the blocks of one lie between those of the other; and where blocks are no whole cache lines, each of
//! them writes to lines that the other one reads, for as long as they live. So such a thread ([`Home`], thread/home.rs) takes from slabs of its own, as far
//! as memory allows, and what lies in them goes back there. Who exchanges blocks in earnest (one allocates, another one frees) does so as before.
//! Figures: docs/decisions/bins.md, "Slabs of one thread".

use core::cell::Cell;
use core::iter::successors;

use super::state::{LISTS, State};
use crate::class::SHAPES;
use crate::slab::Slab;
use crate::thread;

/// A thread for which slabs are kept apart from those of other threads, by a number; or [`ANYBODY`].
///
/// It is a wish: who finds no better slab takes from any, and two threads may have one number. Then some blocks lie in one cache line with
/// another thread's, no more.
pub type Home = u32;
/// No thread in particular.
pub const ANYBODY: Home = 0;

/// What a thread brings that is to have slabs of its own.
#[derive(Clone, Copy)]
pub struct Own<'a> {
    /// Its number, not [`ANYBODY`].
    pub home: Home,
    /// The first region's granule where the slab begins that it took from last.
    pub slab: &'a Cell<u32>,
}

/// Slabs at the head of each list that are looked at for one of a thread's own.
const LOOKS: usize = 8;
/// A thread without a slab of its own gets a fresh one only while the class's slabs have room for few blocks: those of one slab for each other thread, but at
/// most this part of all blocks handed out of the slabs that there are (in a small heap a slab for each thread is much),
const OTHERS_SHARE: usize = 2;
/// besides a 16th of all blocks handed out,
const FREE_SHARE: usize = 16;
/// and a fourth of them,
const FREE_SHARE_SMALL: usize = 4;
/// of which so many bytes count.
const FREE_BYTES_SMALL: usize = 512 << 10;

/// For how many blocks of a class there may be room when a thread gets a fresh slab of its own, if `carved` were handed out of its slabs and there are so many threads.
fn room_max(class: usize, carved: usize, threads: usize) -> usize {
    let shape = &SHAPES[class];
    let small = FREE_BYTES_SMALL / shape.size as usize;
    let others = (threads.saturating_sub(1) * shape.blocks as usize).min(carved / OTHERS_SHARE);
    others + carved / FREE_SHARE + (carved / FREE_SHARE_SMALL).min(small)
}

/// Whether blocks of `class`, which are the caller's, lie in slabs of this home, as far as three of them tell.
pub fn are_at_home(class: usize, home: Home, blocks: &[*mut u8]) -> bool {
    // Without the lock: a slab stays as long as one of its blocks is the caller's.
    let is_at_home =
        |at: usize| Slab::of_block(blocks[at].addr(), class).is_some_and(|(slab, _)| slab.home() == home);
    home != ANYBODY
        && !blocks.is_empty()
        && [0, blocks.len() / 2, blocks.len() - 1].into_iter().all(is_at_home)
}

impl State {
    /// A slab for a thread that is to have its own: the last one, or the fullest of its own that is easily found; else one of nobody's, or a new one if the class's
    /// slabs have little room, or the fullest of all if less than half of it is in use. These are its own from then on. None if there is no such slab.
    pub fn best(&mut self, class: usize, own: Own) -> Option<Slab> {
        let best = self.last(class, own).or_else(|| self.find(class, own.home))?;
        best.set_home(own.home);
        own.slab.set(best.granule_in_first().unwrap_or(0));
        Some(best)
    }

    /// The slab that the thread took from last, if it still is that, and has room.
    fn last(&self, class: usize, own: Own) -> Option<Slab> {
        // Under the class's lock a granule that the class map says is the class's stays so.
        let slab = Slab::of_granule_in_first(own.slab.get(), class)?;
        (slab.home() == own.home && slab.available() > 0).then_some(slab)
    }

    fn find(&mut self, class: usize, home: Home) -> Option<Slab> {
        let mut found = None;
        for list in self.lists.iter().rev() {
            let slabs = successors(list.first(), |n| Slab::from_list(*n).body().next).map(Slab::from_list);
            for slab in slabs.take(LOOKS) {
                match slab.home() {
                    of if of == home => return Some(slab),
                    ANYBODY if found.is_none() => found = Some(slab),
                    _ => (),
                }
            }
        }
        let room = self.slabs * SHAPES[class].blocks as usize - (self.carved - self.free);
        if found.is_none() && room <= room_max(class, self.carved, thread::count()) {
            found = self.add(class);
        }
        let is_half_free = |slab: &Slab| usize::from(slab.body().list) < LISTS / 2;
        found.or_else(|| self.fullest().filter(is_half_free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_with_much_room_gives_no_fresh_slab() {
        let class = crate::class::of_size(48);
        let blocks = SHAPES[class].blocks as usize;
        assert_eq!(room_max(class, 0, 1), 0);
        assert_eq!(room_max(class, 1600, 1), 500);
        assert_eq!(room_max(class, 1600, 3), 500 + 800, "for others, at most half of what was handed out");
        let large = 64 << 20;
        let alone = large / 16 + (512 << 10) / 48;
        assert_eq!(room_max(class, large, 1), alone);
        assert_eq!(room_max(class, large, 3), alone + 2 * blocks);
    }
}

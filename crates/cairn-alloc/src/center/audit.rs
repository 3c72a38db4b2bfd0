//! Of the audit: the slabs of each class, the lists that they are in, and the transfer stacks. Under all locks.

use core::ptr::NonNull;
use core::sync::atomic::Ordering::Relaxed;

use cairn_core::list::Links;

use crate::audit::{Audit, Found, Violation, fault_of, must, must_be};
use crate::class::{self, CLASS_COUNT, SHAPES};
use crate::descriptor::{Descriptor, Holes, Kind, NO_LIST};
use crate::pages;
use crate::region::{self, Place, Region};
use crate::shelf;
use crate::slab::{Slab, bitmap_bytes};
use crate::transfer::Snapshot;

use super::state::{SlabLinks, State, leave_at, list_for};
use super::{CENTERS, POOL, of};

/// Checks all slabs, and that the classes know them.
pub fn check_slabs(audit: &mut Audit) -> Found {
    for region in region::regions() {
        let mut granule = 0;
        while granule < region.committed() {
            if pages::kind_at(region, granule) == Some(Kind::Slab) {
                check_slab(audit, Place { region, granule })?;
            }
            granule += region.len(granule);
        }
    }
    (1..CLASS_COUNT).try_for_each(|class| check_class(audit, class))
}

/// One slab: bitmap, counts, and where it belongs.
fn check_slab(audit: &mut Audit, place: Place) -> Found {
    let slab = Slab::at(place);
    let body = slab.body();
    // SAFETY: the descriptor of a slab, under its class's lock; pages/audit.rs has seen that the class exists.
    let class = usize::from(unsafe { slab.descriptor().as_ref().class });
    let shape = &SHAPES[class];
    let address = place.region.address_of(place.granule).addr();
    let wrong = |what| Violation::new("a slab", what).at(address).of(class);
    let (carved, free) = (body.carved as usize, body.free as usize);
    must(body.carved <= shape.blocks, || {
        wrong("has handed out more blocks than it has").is(carved, shape.blocks as usize)
    })?;
    must(free <= carved, || wrong("has more free blocks than it ever handed out").is(free, carved))?;
    must(free < carved, || wrong("has no live block and was not given back"))?;
    if bitmap_bytes(shape) == 0 {
        let inline = (&raw const body.inline_bitmap).addr();
        must(body.bitmap.addr() == inline, || wrong("has its bitmap elsewhere than in its descriptor"))?;
    } else {
        audit.record("a slab's bitmap", body.bitmap.addr(), bitmap_bytes(shape).next_power_of_two())?;
    }
    let mut set = 0;
    for word in 0..carved.div_ceil(64) {
        // SAFETY: the bitmap has a word for each 64 blocks, and lies in its descriptor or in records.
        let bits = unsafe { *body.bitmap.add(word) };
        let here = (carved - word * 64).min(64);
        let beyond = if here == 64 { 0 } else { bits >> here };
        must(beyond == 0, || wrong("marks blocks as free that were never handed out"))?;
        must(bits == 0 || word >= body.first_word as usize, || {
            wrong("has free blocks before the word where its bitmap is said to begin")
        })?;
        set += bits.count_ones() as usize;
    }
    must((body.first_word as usize) < carved.div_ceil(64), || {
        wrong("is said to have its first free blocks behind all that it handed out")
    })?;
    must_be(free, set, || wrong("counts another number of free blocks than its bitmap has"))?;
    if class::is_medium(class) {
        // SAFETY: a slab of at most 32 blocks has one word, which counts since a block was carved.
        let bits = unsafe { *body.bitmap };
        let held = u64::from(slab.held().load(Relaxed));
        must(held & bits == 0, || wrong("has free blocks that the program holds"))?;
        must(held >> carved == 0, || wrong("never handed out what the program holds of it"))?;
    }
    let list = list_for(slab.available(), class);
    must_be(body.list.into(), list.into(), || wrong("is in the list of another fullness"))?;
    must_be(body.leave_at.into(), leave_at(slab, class).into(), || {
        wrong("would leave its list at another number of free blocks than it should")
    })?;
    let tables = audit.scratch.tables();
    tables.slabs[class] += 1;
    tables.carved[class] += carved;
    tables.free[class] += free;
    tables.listed[class] += usize::from(list != NO_LIST);
    tables.may_have_holes[class] += usize::from(list != NO_LIST && body.holes != Holes::Given);
    Ok(())
}

/// One class: its lists and its sums.
fn check_class(audit: &mut Audit, class: usize) -> Found {
    // SAFETY: the lock is held.
    let state: &State = unsafe { &*CENTERS[class].state.get() };
    let wrong = |what| Violation::new("a class", what).of(class);
    let mut listed = 0;
    for (number, list) in state.lists.iter().enumerate() {
        let links = Checked { class, list: number as u8 };
        listed += list.check(&links).map_err(|broken| {
            let at = broken.node.map_or(0, |node| node.addr().get());
            Violation::new("a list of slabs", broken.what).at(at).of(class)
        })?;
    }
    let tables = audit.scratch.tables();
    must_be(listed, tables.listed[class], || wrong("has slabs with room that are in none of its lists"))?;
    must(state.holes || tables.may_have_holes[class] == 0, || {
        wrong("would never look for holes that its slabs may have")
    })?;
    must_be(state.slabs, tables.slabs[class], || wrong("counts its slabs wrongly"))?;
    must_be(state.carved, tables.carved[class], || wrong("counts the blocks that it handed out wrongly"))?;
    must_be(state.free, tables.free[class], || wrong("counts its free blocks wrongly"))
}

/// The links of a list in which only slabs of one class that say that they are in it may be.
struct Checked {
    class: usize,
    list: u8,
}

impl Links for Checked {
    type Id = NonNull<Descriptor>;

    fn next(&self, n: NonNull<Descriptor>) -> Option<NonNull<Descriptor>> {
        SlabLinks.next(n)
    }
    fn set_next(&mut self, _: NonNull<Descriptor>, _: Option<NonNull<Descriptor>>) {}
    fn prev(&self, n: NonNull<Descriptor>) -> Option<NonNull<Descriptor>> {
        SlabLinks.prev(n)
    }
    fn set_prev(&mut self, _: NonNull<Descriptor>, _: Option<NonNull<Descriptor>>) {}
    fn exists(&self, n: NonNull<Descriptor>) -> bool {
        let size = size_of::<Descriptor>();
        let granule = |region: &Region| {
            let below = region.base().wrapping_sub(n.addr().get());
            let granule = (below / size).wrapping_sub(1);
            (below.is_multiple_of(size) && granule < region.committed()).then_some(granule)
        };
        let found = region::regions().iter().find_map(|region| Some((region, granule(region)?)));
        found.is_some_and(|(region, granule)| {
            // SAFETY: a committed descriptor.
            let class = usize::from(unsafe { (*region.descriptor(granule)).class });
            pages::kind_at(region, granule) == Some(Kind::Slab)
                && class == self.class
                && Slab::from_list(n).body().list == self.list
        })
    }
}

/// Checks the transfer stacks; whoever uses one meanwhile makes this look again, and at last let it be.
pub fn check_stacks(audit: &mut Audit) -> Found {
    for class in 1..CLASS_COUNT {
        check_stack(audit, class)?;
    }
    if !audit.alone {
        return Ok(());
    }
    let mut twice = Ok(());
    let walked = POOL.each_free(|batch| {
        if twice.is_ok() {
            twice = audit.record("a free batch", batch, BATCH_MARK);
        }
    });
    walked.map_err(|what| Violation::new("the pool of batches", what))?;
    twice
}

/// A batch is marked by its first bytes.
const BATCH_MARK: usize = 8;

fn check_stack(audit: &mut Audit, class: usize) -> Found {
    let stack = &of(class).stack;
    let mut found = Ok(());
    let seen = stack.look(&POOL, |snapshot| {
        found = check_batches(snapshot, class);
    });
    if !seen {
        return Ok(());
    }
    found?;
    // Only now is it sure that the blocks were there, and they are marked; who met one before decides.
    let mut met = None;
    let mut count = 0;
    stack.look(&POOL, |snapshot| {
        (met, count) = (None, 0);
        for block in snapshot.blocks() {
            count += 1;
            if pages::is_committed(block) && audit.scratch.mark(block, 1).is_some() {
                met = met.or(Some(block));
            }
        }
    });
    audit.seen.blocks += count;
    if audit.alone {
        let mut twice = Ok(());
        stack.look(&POOL, |snapshot| {
            twice = snapshot
                .batches()
                .try_for_each(|batch| audit.record("a batch of a stack", batch, BATCH_MARK));
        });
        twice?;
    }
    met.map_or(Ok(()), |block| second_place_of_stacked(block, class))
}

/// What is wrong with a stack's batches, if they are what was read.
fn check_batches(snapshot: &Snapshot, class: usize) -> Found {
    snapshot.check().map_err(|what| Violation::new("a transfer stack", what).of(class))?;
    snapshot.blocks().try_for_each(|block| {
        let wrong = |what| Err(Violation::new("a transfer stack", what).at(block).of(class));
        fault_of(block, class).map_or(Ok(()), wrong)
    })
}

/// A block of a stack was met before. On a shelf, or in this stack? (Bins are looked at later.)
fn second_place_of_stacked(block: usize, class: usize) -> Found {
    let mut times = 0;
    let sure = of(class).stack.look(&POOL, |snapshot| {
        times = snapshot.blocks().filter(|other| *other == block).count();
    });
    let wrong = |what| Violation::new("a transfer stack", what).at(block).of(class);
    must(!sure || times < 2, || wrong("holds a block twice"))?;
    must(!sure || times < 1 || !shelf::holds(block, class), || {
        wrong("holds a block that lies on a shelf, too")
    })
}

/// Whether a block is in its class's transfer stack *while* `elsewhere` finds it at another place: the stack did not change from
/// before to after.
pub fn is_stacked_while(block: usize, class: usize, mut elsewhere: impl FnMut() -> bool) -> bool {
    let mut both = false;
    let sure = of(class).stack.look(&POOL, |snapshot| {
        both = snapshot.blocks().any(|other| other == block) && elsewhere();
    });
    sure && both
}

/// Ways to damage the classes, for tests.
#[cfg(test)]
pub mod damage {
    use super::*;
    use crate::transfer::{Batch, BatchId};

    /// The sums of a class: slabs, blocks handed out, free ones.
    pub fn sums(class: usize) -> [*mut usize; 3] {
        // SAFETY: one test damages at a time.
        let state = unsafe { &mut *CENTERS[class].state.get() };
        [&raw mut state.slabs, &raw mut state.carved, &raw mut state.free]
    }

    /// Whether a class would look for holes.
    pub fn holes(class: usize) -> *mut bool {
        // SAFETY: as above.
        unsafe { &raw mut (*CENTERS[class].state.get()).holes }
    }

    /// Takes a slab out of its list without telling it, or puts it back.
    pub fn unlist(slab: Slab, class: usize, back: bool) {
        // SAFETY: as above.
        let state = unsafe { &mut *CENTERS[class].state.get() };
        let list = &mut state.lists[usize::from(slab.body().list)];
        if back {
            list.push_first(&mut SlabLinks, slab.descriptor());
        } else {
            list.remove(&mut SlabLinks, slab.descriptor());
        }
    }

    /// Lays a batch of these blocks on the stack of a class.
    pub fn stack(class: usize, blocks: &[*mut u8]) {
        let id: BatchId = POOL.take(crate::records::take_forever).expect("a batch");
        // SAFETY: the batch is ours.
        unsafe { Batch::fill(POOL.get(id), blocks) };
        of(class).stack.push(&POOL, id, u8::MAX).expect("room");
    }

    /// Takes the uppermost batch off again, without its blocks.
    pub fn unstack(class: usize) {
        let id = of(class).stack.pop(&POOL).expect("a batch");
        POOL.give(id);
    }

    /// The batch on top of a class's stack.
    pub fn top_batch(class: usize) -> *mut Batch {
        let id = of(class).stack.pop(&POOL).expect("a batch");
        let batch = POOL.get(id);
        of(class).stack.push(&POOL, id, u8::MAX).expect("room");
        batch
    }
}

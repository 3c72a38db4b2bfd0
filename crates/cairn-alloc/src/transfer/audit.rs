//! Of the audit: looking into transfer stacks that others use.
//!
//! A stack's batches are touched by nobody while they are in it, and the head's version sees to it that a head which is the same as
//! before has been the same all the time (see the module above). So what was read between two equal heads is what was there.

use cairn_core::os;

use super::{BATCH_MAX, BatchPool, Head, Ordering, TransferStack, check_chain, link, walk};

/// A stack as it was when its head was read, if it still is so.
pub struct Snapshot<'a> {
    pool: &'a BatchPool,
    head: Head,
}

impl TransferStack {
    /// Shows the stack as it is at one moment, to a function that may be called several times: only what the last call saw counts,
    /// and only if this returns true. False if the stack is never left alone for so long.
    pub fn look(&self, pool: &BatchPool, mut show: impl FnMut(&Snapshot)) -> bool {
        const TRIES: usize = 50;
        (0..TRIES).any(|_| {
            let word = self.head.load(Ordering::Acquire);
            show(&Snapshot { pool, head: Head::from_word(word) });
            // Who took a batch away and wrote into it changed the head before: if what it wrote was read, that is seen now.
            os::barrier_everywhere() && self.head.load(Ordering::Relaxed) == word
        })
    }
}

impl Snapshot<'_> {
    /// The first invariant of the stack that does not hold.
    pub fn check(&self) -> Result<(), &'static str> {
        check_chain(self.pool, self.head)
    }

    /// The addresses of the batches.
    pub fn batches(&self) -> impl Iterator<Item = usize> {
        walk(self.pool, self.head).map_while(Result::ok).map(|link| link.batch.addr())
    }

    /// The addresses of the blocks in them.
    pub fn blocks(&self) -> impl Iterator<Item = usize> {
        walk(self.pool, self.head).map_while(Result::ok).flat_map(|link| {
            let count = (link.count as usize).min(BATCH_MAX);
            // SAFETY: a batch that was carved is valid for ever, and only its address is taken.
            let blocks: *const *mut u8 = unsafe { &raw const (*link.batch).blocks }.cast();
            // SAFETY: as many are in the array; volatile, since another thread may have the batch by now: then what is
            // read is never used.
            (0..count).map(move |at| unsafe { blocks.add(at).read_volatile() }.addr())
        })
    }
}

impl BatchPool {
    /// Calls with the address of each batch that carries nothing; nobody else may use the pool. An error if their list is broken.
    pub fn each_free(&self, mut call: impl FnMut(usize)) -> Result<(), &'static str> {
        let mut at = Head::from_word(self.free.head.load(Ordering::Acquire)).top;
        // One that leads back into itself would have more than there are.
        for _ in 0..self.carved.load(Ordering::Relaxed) {
            let Some(number) = at else { return Ok(()) };
            let link = link(self, number)?;
            call(link.batch.addr());
            at = link.next.checked_sub(1);
        }
        if at.is_none() { Ok(()) } else { Err("has a list of free batches that leads back into itself") }
    }
}

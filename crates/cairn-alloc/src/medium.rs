//! Medium blocks: above [`SMALL_MAX`](class::SMALL_MAX) up to [`MEDIUM_MAX`](class::MEDIUM_MAX), out of slabs as small blocks are, but by no bin.
//!
//! ```text
//!   fresh      ──► a slab of its class, which is cut into blocks an eighth apart in size
//!   zeroed     ──► a span of its own (large.rs), of which only what was used before is cleared
//!   aligned to more than a page ──► a span of its own
//!   one that grows ──► a span of its own, whose pages can be moved; but a slab again if a span would be much longer than it is
//! ```
//! Spans are whole granules of 64 KiB. Where the memory behind them has pages before it is used (pages/huge.rs), a block of
//! 65 KiB in a span of its own takes 128; in a slab it takes 72. A bin would keep a block or two of each class for each thread. A lone thread goes to the
//! center: that costs a lock that nobody else wants. Where there are others some blocks wait on the shelf of their CPU (shelf.rs).
//!
//! Where nothing but medium blocks comes and goes no bin misses, and no span becomes free; so each [`FREES_PER_STEP`]th free takes a step of the purging.
//!
//! A free medium block has no mark (mark.rs), and its first page is not touched to free it: which blocks the program holds is said by bits of their slab
//! (slab/held.rs).

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count;

use crate::class::{self, MEDIUM_ALIGN, block_size};
use crate::fault::{self, Call};
use crate::slab::{Fault, Slab};
use crate::{center, large, pages, shelf, thread};

/// Frees between two steps of the purging.
const FREES_PER_STEP: usize = 64;
/// Blocks that were freed right into their slabs so far.
static FREES: AtomicUsize = AtomicUsize::new(0);

/// A medium block of `size` bytes at a multiple of `align`; null if that is none, or memory for a slab is short.
pub fn allocate(size: usize, align: usize, zeroed: bool) -> *mut u8 {
    if zeroed || align > MEDIUM_ALIGN {
        return ptr::null_mut();
    }
    let Some(class) = class::of_medium(size) else { return ptr::null_mut() };
    let mut block = if uses_shelf() { shelf::take_one(class) } else { ptr::null_mut() };
    if block.is_null() {
        block = center::of(class).take_one(class);
    }
    if let Some((slab, _)) = Slab::of_block(block.addr(), class) {
        slab.hand_out(block.addr(), class);
    }
    block
}

/// Whether blocks go by way of a shelf: a lone thread's slabs are the better place.
fn uses_shelf() -> bool {
    // Or one that has only medium blocks would not be counted.
    thread::be_born();
    thread::count() > 1
}

/// A medium block for one that has grown to `size` bytes, at a multiple of `align`; null if that is none, or memory is short. Null too if a span of
/// its own [fits](large::fits_span): the caller takes one, because what has grown is likely to grow again, and pages can be moved from there.
pub fn allocate_grown(size: usize, align: usize) -> *mut u8 {
    if large::fits_span(size) { ptr::null_mut() } else { allocate(size, align, false) }
}

/// Frees a medium block of `class`; any other address ends the process with a message.
pub fn free(class: usize, block: *mut u8) {
    let slab = Slab::of_block(block.addr(), class);
    if !slab.is_some_and(|(slab, _)| slab.take_back(block.addr(), class)) {
        // The judge has just seen it held: another thread frees it, too.
        fault::report(Call::Free, Fault::DoubleFree, block.addr(), class);
    }
    let on_shelf = if uses_shelf() { shelf::put_one(class, block) } else { None };
    let frees = on_shelf.unwrap_or_else(|| {
        center::of(class).flush(class, &[block], || ());
        count::atomic(count::Place::Large, &FREES);
        FREES.fetch_add(1, Relaxed)
    });
    if frees.is_multiple_of(FREES_PER_STEP) {
        center::purge_step(pages::purge_step(0), false, None);
    }
}

/// Moves a block of `class` to one of a size that no bin serves, aligned to `align`; null and the block intact if memory is short. A block that grows is
/// likely to grow again: it gets a span of its own if one fits.
///
/// # Safety
/// The block is live and the caller's.
pub unsafe fn relocate(class: usize, block: *mut u8, size: usize, align: usize) -> *mut u8 {
    let old = block_size(class);
    let mut new = if size < old { allocate(size, align, false) } else { allocate_grown(size, align) };
    if new.is_null() {
        new = large::allocate(size, align, false);
    }
    if !new.is_null() {
        // SAFETY: both blocks are live, disjoint and hold that many bytes.
        unsafe { new.copy_from_nonoverlapping(block, old.min(size)) };
        free(class, block);
    }
    new
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use crate::audit::tests::{allocate, alone, ends_a_process_of_its_own, free, is_whole};
    use crate::{class, shelf};

    const SIZE: usize = 50_000;

    /// While there is another thread, which has had one of the blocks.
    fn among_two(run: impl FnOnce()) {
        let ((born, is_born), (done, is_done)) = (channel(), channel::<()>());
        let other = std::thread::spawn(move || {
            free(allocate(SIZE));
            born.send(()).expect("a listener");
            is_done.recv().expect_err("no word, only the end");
        });
        is_born.recv().expect("it is there");
        run();
        drop(done);
        other.join().expect("it ends");
    }

    #[test]
    fn blocks_wait_on_a_shelf_if_there_is_another_thread() {
        alone(|| {
            let class = class::of_medium(SIZE).expect("one");
            let kept = allocate(SIZE);
            free(allocate(SIZE));
            assert_eq!(shelf::blocks(class), 0, "a lone thread's go to their slab");
            among_two(|| {
                assert_eq!(shelf::blocks(class), 1);
                // The thread may go to another CPU in between.
                let is_taken_from_there = |_| {
                    let before = shelf::blocks(class);
                    let block = allocate(SIZE);
                    let after = shelf::blocks(class);
                    is_whole();
                    free(block);
                    after + 1 == before
                };
                assert!((0..20).any(is_taken_from_there));
            });
            shelf::settle(false);
            assert_eq!(shelf::blocks(class), 0);
            free(kept);
            is_whole();
        });
    }

    /// What a second thread finds that frees the block, too, since the judge saw that it is held.
    fn freed_by_two() {
        let class = class::of_medium(SIZE).expect("one");
        let block = allocate(SIZE);
        among_two(|| {
            super::free(class, block);
            super::free(class, block);
            // Before the shelf is settled, and the slab finds out.
            std::process::exit(0);
        });
    }

    #[test]
    fn of_two_who_free_a_block_at_once_one_is_told() {
        let name = "medium::tests::of_two_who_free_a_block_at_once_one_is_told";
        ends_a_process_of_its_own(name, "cairn: double free", freed_by_two);
    }
}

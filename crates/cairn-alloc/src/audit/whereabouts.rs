//! Where a free block waits, for the judge: a block with the mark of a free one (mark.rs) may be live all the same.
//!
//! The mark can come back to where it was made. A block is freed at `A`, its slab goes, and what becomes a large block there still has the
//! mark in its second word; `realloc` copies it to another place with all that the program never wrote; a small block is handed out at `A`
//! again, and what was copied is copied back into it. So before a message ends the process, the block is looked for.
//! If it is live, the caller has it all the time: it is nowhere else, and by the orders in which it came to the caller nothing older is
//! read of the places that it has left.
//!
//! All locks are held, as for an audit. What a look can miss is a free block that a thread is just carrying from one place to another, also
//! one that waits for a lock with it, as whoever empties a stack or a shelf into slabs does, or a second thread that frees the
//! same block in the same moment. Hence several looks, between which that thread has time to get there. If the process has no other
//! thread, the first one tells. Should all miss it, the block is taken for a live one, and what the slab's bitmap says when it comes back is the
//! last word, as with any block whose mark was overwritten.

use core::sync::atomic::AtomicU32;

use cairn_core::os;

use crate::fault::Call;
use crate::fork;
use crate::inside::{self, Inside};
use crate::region;
use crate::slab::{Fault, Slab};
use crate::{center, shelf, thread};

/// How often it is looked for when it is freed.
const LOOKS: usize = 4;

/// What is wrong with a block of `class` that has the mark of a free one; None if it is nowhere, and so the caller's.
///
/// The mark alone must do in a thread that was inside already, since it may hold any lock (a signal handler, or one that left by `longjmp`),
/// and where the kernel has no means to look into another thread's bin.
#[cold]
pub fn fault_of_marked(block: usize, class: usize, call: Call) -> Option<Fault> {
    // realloc and malloc_usable_size have not entered.
    let entered = usize::from(call == Call::Free);
    if inside::depth() > entered || !os::barrier_everywhere() {
        return Some(Fault::DoubleFree);
    }
    let _inside = Inside::enter();
    let alone = || os::threads_of_process().is_some_and(|threads| threads <= 1);
    // What only asks for the block, or moves it, may be called again and again; whoever frees it after that is looked at more closely.
    let looks = if call != Call::Free || alone() { 1 } else { LOOKS };
    let is_found = (0..looks).any(|look| {
        if look > 0 {
            let_others_arrive();
        }
        fork::under_all_locks(|| is_free(block, class))
    });
    is_found.then_some(Fault::DoubleFree)
}

/// Sleeps for about a millisecond: longer than it takes to wake a thread that waits for a lock.
fn let_others_arrive() {
    static NOBODY_WAKES: AtomicU32 = AtomicU32::new(0);
    os::sleep_while(&NOBODY_WAKES, 0, 1);
}

/// One look, under all locks.
fn is_free(block: usize, class: usize) -> bool {
    // Its slab went, and perhaps another one came, while nobody but the caller might have had it: then it was free.
    let in_slab = region::locate_in_slab(block, class)
        .is_none_or(|place| Slab::at(place).fault_of(block, class).is_some());
    in_slab
        || shelf::holds(block, class)
        || center::is_stacked_while(block, class, || true)
        || thread::holds(block, class)
}

//! Where a free block waits, for the judge: a block with the mark of a free one (mark.rs) may be live all the same.
//!
//! The mark can come back to where it was made. A block is freed at `A`, its slab goes, and what becomes a large block there still has the
//! mark in its second word; `realloc` copies it to another place with all that the program never wrote; a small block is handed out at `A`
//! again, and what was copied is copied back into it. So before a message ends the process, the block is looked for.
//! If it is live, the caller has it all the time: it is nowhere else, and by the orders in which it came to the caller nothing older is
//! read of the places that it has left.
//!
//! All locks are held, as for an audit, so a free block is found but for the moment in which its thread carries it from one place to another
//! without a lock; hence several looks. Should all of them miss it, it is taken for a live one, and the slab's bitmap has the last word
//! as with any block whose mark was overwritten.

use cairn_core::os;

use crate::fork;
use crate::inside::{self, Inside};
use crate::region;
use crate::slab::{Fault, Slab};
use crate::{center, shelf, thread};

/// How often it is looked for.
const LOOKS: usize = 8;

/// What is wrong with freeing a block of `class` that has the mark of a free one; None if it is nowhere, and so the caller's.
///
/// `entered`: how often the caller has entered ([`Inside`]). The mark alone must do if the thread has done so more often, since it may hold any lock,
/// and where the kernel has no means to look into another thread's bin.
#[cold]
pub fn fault_of_marked(block: usize, class: usize, entered: usize) -> Option<Fault> {
    if inside::depth() > entered || !os::barrier_everywhere() {
        return Some(Fault::DoubleFree);
    }
    let _inside = Inside::enter();
    (0..LOOKS).find_map(|look| {
        if look > 0 {
            os::let_others_run();
        }
        fork::lock_all();
        let fault = look_for(block, class);
        // SAFETY: taken above, by this thread.
        unsafe { fork::unlock_all() };
        fault
    })
}

/// One look, under all locks.
fn look_for(block: usize, class: usize) -> Option<Fault> {
    let Some(place) = region::locate_in_slab(block, class) else {
        // Its slab went while the caller was on its way here, so no block of it was live.
        return Some(Fault::DoubleFree);
    };
    let fault = Slab::at(place).fault_of(block, class);
    let waits = || {
        shelf::holds(block, class)
            || center::is_stacked_while(block, class, || true)
            || thread::holds(block, class)
    };
    fault.or_else(|| waits().then_some(Fault::DoubleFree))
}

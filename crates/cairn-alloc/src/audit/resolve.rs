//! A block in a thread's bin was met before. Is it really in two places?
//!
//! It may have wandered: popped, passed on, freed by another thread. On a shelf it can't have: those stand still. In the transfer stack
//! it is for sure if the stack is the same before and after it was seen in the bin. In another bin of a thread that runs
//! nothing is sure at one look; but a block that is found in one bin, then in the other, then in the first again, in the same
//! slots, hundreds of times without one miss, would have to be handed from thread to thread and back between each two of these
//! looks, which follow each other faster than two processors can pass a word.

use cairn_core::os;

use super::{Found, Violation, must};
use crate::thread::{InBin, second_bin};
use crate::{center, shelf};

/// How often both bins are looked at.
const LOOKS: usize = 300;

/// Names the second place of a block, if it has one.
pub fn second_place(first: &InBin) -> Found {
    let (block, class) = (first.block(), first.class());
    let wrong = |what| Violation::new("a thread's bin", what).at(block).of(class);
    must(!(shelf::holds(block, class) && first.is_there()), || {
        wrong("holds a block that lies on a shelf, too")
    })?;
    must(!center::is_stacked_while(block, class, || first.is_there()), || {
        wrong("holds a block that lies in the transfer stack, too")
    })?;
    let Some(second) = second_bin(first) else { return Ok(()) };
    let both = (0..LOOKS).all(|look| {
        // Now and then the others get time to go on, if they can.
        if look.is_multiple_of(32) {
            os::let_others_run();
        }
        first.is_there() && second.is_there() && first.is_there()
    });
    must(!both, || wrong("holds a block that is in a bin a second time"))
}

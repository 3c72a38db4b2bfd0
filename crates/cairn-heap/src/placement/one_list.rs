//! What the policies with one list share: searching it, auditing it, and keeping it in address order.

use cairn_core::list::{Links, List};

use super::Place;
use super::links::Nodes;
use crate::audit::{Invariant, Violation};
use crate::block::Block;
use crate::config::Config;
use crate::space::Space;

/// The first block of the list with at least `size` bytes.
#[inline]
pub(super) fn first_fit<C: Config>(list: &List<Block>, space: &Space<C>, size: usize) -> Option<Block> {
    let nodes = Nodes(space);
    let mut at = list.first();
    while let Some(block) = at {
        space.step();
        if block.header().size() >= size {
            break;
        }
        at = nodes.next(block);
    }
    at
}

/// Puts a block into a list that is sorted by address.
///
/// Its place is searched for in two ways at once, a step each in turn: along the list from the front, and through the heap
/// from the block upwards to the next free one. Whichever arrives first ends the search: the first is short for low addresses or few
/// free blocks, the second where every few blocks one is free.
pub(super) fn insert<C: Config>(list: &mut List<Block>, space: &Space<C>, block: Block, size: usize) {
    let mut nodes = Nodes(space);
    let mut along = list.first();
    // SAFETY: a block or the mark follows each block.
    let mut above = Some(unsafe { block.plus(size) });
    loop {
        match along {
            Some(here) if here < block => along = nodes.next(here),
            // Everything from here on is above, or nothing is.
            successor => return put_before(list, &mut nodes, block, successor),
        }
        if let Some(here) = above {
            let header = here.header();
            let is_whole = header.is_of(here.address());
            if !header.is_used() && is_whole {
                // The top is in no list, and nothing is above it.
                return put_before(list, &mut nodes, block, above.filter(|_| above != space.top()));
            }
            // The mark has size 0: what comes after it is in another segment, which only the list knows. A damaged header leads nowhere.
            let goes_on = is_whole && header.size() != 0;
            // SAFETY: as above.
            above = goes_on.then(|| unsafe { here.plus(header.size()) });
        }
    }
}

/// Puts `block` in front of `successor`, or at the end.
fn put_before<C: Config>(
    list: &mut List<Block>,
    nodes: &mut Nodes<'_, C>,
    block: Block,
    successor: Option<Block>,
) {
    match successor {
        None => list.push_last(nodes, block),
        Some(successor) => list.insert_before(nodes, block, successor),
    }
}

/// Audits a list, sorted by address or not, and shows each block of it.
pub(super) fn audit<C: Config>(
    list: &List<Block>,
    space: &Space<C>,
    sorted: bool,
    visit: &mut dyn FnMut(Block, Place),
) -> Result<(), Violation> {
    let nodes = Nodes(space);
    list.check(&nodes).map_err(|broken| Violation::of_index(broken, space))?;
    let mut before = None;
    let mut at = list.first();
    while let Some(block) = at {
        if sorted && before > at {
            return Err(Violation::links(Invariant::IndexOrder, block));
        }
        visit(block, Place::default());
        before = at;
        at = nodes.next(block);
    }
    Ok(())
}

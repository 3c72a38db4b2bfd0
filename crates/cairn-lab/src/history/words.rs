//! What an operation did to the heap, in words: read off the snapshots before and after it.

use super::{Block, Op, Snapshot, State};

/// What is said of a moment at which nothing was done yet.
pub fn beginning(at: usize) -> String {
    if at == 0 {
        "the empty heap, before the first operation".to_owned()
    } else {
        format!("after op {}", count(at))
    }
}

/// One sentence: the operation, and what came of it.
pub fn describe(number: usize, op: Op, before: &Snapshot, after: &Snapshot) -> String {
    let number = count(number);
    match op {
        Op::Allocate { id, size } => {
            let deed = owned(after, id).map_or_else(
                || "nothing was given".to_owned(),
                |block| format!("at {}, {}", place(block.offset), taken(block, before, after)),
            );
            format!("op {number}: allocate block {id}, {}: {deed}", bytes(size))
        }
        Op::Free { id } => {
            let old = owned(before, id);
            let size = old.and_then(|block| block.owner).map_or(0, |owner| owner.payload);
            let deed =
                old.map_or_else(|| "it was not there".to_owned(), |block| released(block, before, after));
            format!("op {number}: free block {id}, {}: {deed}", bytes(size))
        }
        Op::Reallocate { id, size } => {
            let old = owned(before, id);
            let was = old.and_then(|block| block.owner).map_or(0, |owner| owner.payload);
            let deed = match (old, owned(after, id)) {
                (Some(old), Some(new)) => resized(old, new, before, after),
                (None, Some(new)) => format!("at {}, {}", place(new.offset), taken(new, before, after)),
                (_, None) => "it was freed".to_owned(),
            };
            format!("op {number}: resize block {id} from {} to {}: {deed}", count(was), bytes(size))
        }
    }
}

/// Where a block that is new now came from.
fn taken(block: &Block, before: &Snapshot, after: &Snapshot) -> String {
    let grown = after.extent.saturating_sub(before.extent);
    match before.containing(block.offset) {
        Some(hole) if hole.state != State::Used && grown > 0 && hole.size < block.size => {
            format!("the last free block ({}) was extended by {}", count(hole.size), bytes(grown))
        }
        Some(hole) if hole.state != State::Used && hole.size == block.size => {
            format!("took a whole free block of {}", bytes(hole.size))
        }
        Some(hole) if hole.state != State::Used && hole.size > block.size => {
            let rest = bytes(hole.size - block.size);
            format!("split a free block of {}, {rest} stay free", bytes(hole.size))
        }
        Some(_) => "merged waiting blocks and took the result".to_owned(),
        None if grown > 0 => format!("the heap grew by {}", bytes(grown)),
        None => "took the end of the heap".to_owned(),
    }
}

/// What became of a block that was freed.
fn released(block: &Block, before: &Snapshot, after: &Snapshot) -> String {
    let given_back = before.extent.saturating_sub(after.extent);
    if given_back > 0 {
        let merged =
            before.blocks.iter().any(|other| other.end() == block.offset && other.state == State::Free);
        let with = if merged { "with the free block before it, " } else { "" };
        return format!("the top of the heap, {with}{} were given back", bytes(given_back));
    }
    let Some(hole) = after.containing(block.offset) else {
        return "the end of the heap shrank".to_owned();
    };
    if hole.state == State::Waiting {
        return "it waits to be merged".to_owned();
    }
    match (hole.offset < block.offset, hole.end() > block.end()) {
        (true, true) => format!("merged with both neighbours into {}", bytes(hole.size)),
        (true, false) => format!("merged with its left neighbour into {}", bytes(hole.size)),
        (false, true) => format!("merged with its right neighbour into {}", bytes(hole.size)),
        (false, false) => format!("a new free block of {}", bytes(hole.size)),
    }
}

/// What became of a block that got another size.
fn resized(old: &Block, new: &Block, before: &Snapshot, after: &Snapshot) -> String {
    let grown = after.extent.saturating_sub(before.extent);
    if new.offset != old.offset {
        return format!(
            "moved from {} to {}: {}",
            place(old.offset),
            place(new.offset),
            if new.offset < old.offset && new.end() > old.offset {
                "took its left neighbour".to_owned()
            } else {
                taken(new, before, after)
            }
        );
    }
    match new.size.cmp(&old.size) {
        std::cmp::Ordering::Equal => format!("its block of {} is large enough", bytes(old.size)),
        std::cmp::Ordering::Less => format!("shrank in place, {} became free", bytes(old.size - new.size)),
        std::cmp::Ordering::Greater if grown > 0 => {
            format!("grew in place at the end of the heap, by {}", bytes(grown))
        }
        std::cmp::Ordering::Greater => "grew in place into its right neighbour".to_owned(),
    }
}

fn owned(snapshot: &Snapshot, id: u32) -> Option<&Block> {
    snapshot.blocks.iter().find(|block| block.owner.is_some_and(|owner| owner.id == id))
}

/// A place in the heap, as pictures name it.
pub fn place(offset: usize) -> String {
    format!("{offset:#x}")
}

/// A number of bytes, in words.
pub fn bytes(number: usize) -> String {
    if number == 1 { "1 byte".to_owned() } else { format!("{} bytes", count(number)) }
}

/// A whole number, in groups of three digits.
pub fn count(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8_lossy(&groups.join(&b',')).into_owned()
}

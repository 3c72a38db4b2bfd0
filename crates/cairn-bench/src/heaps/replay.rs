//! Replays a script on a heap: [`run`] to time it, [`place`] to see where the blocks go.

use std::alloc::Layout;
use std::time::{Duration, Instant};

use super::arena::Room;
use super::script::{ALLOCATE, REALLOCATE, Step};
use super::subject::{Growth, Subject};

/// After so many steps the clock is read.
const CHUNK: usize = 4096;

/// Why a replay ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The heap had no room for a request.
    Exhausted,
    /// It took too long.
    TooSlow,
}

/// What the clock says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    /// Nanoseconds for one step.
    pub ns: f64,
    /// Whether only a first part was replayed, because all of it would have taken too long.
    pub cut: bool,
}

/// The timed loop: the same code for each heap. The first byte of a block is written, as a program would; nothing else is done.
/// Returns how many steps were done: fewer than all if the heap is exhausted.
///
/// # Safety
/// The steps are those of a [`Script`](super::script::Script) from its start or where the last call ended, `slots` has its size, and the heap is the same.
#[inline(never)]
pub unsafe fn run<S: Subject, const ALIGN: usize>(
    heap: &mut S,
    steps: &[Step],
    slots: &mut [*mut u8],
) -> usize {
    for (at, step) in steps.iter().enumerate() {
        // SAFETY: `ALIGN` is 8 or 16 and sizes are those of a trace, far below `isize::MAX`.
        let (old, new) = unsafe {
            (
                Layout::from_size_align_unchecked(step.old, ALIGN),
                Layout::from_size_align_unchecked(step.size, ALIGN),
            )
        };
        // SAFETY: slots of a script are below its number of slots, and the table has that size.
        let slot = unsafe { slots.get_unchecked_mut(step.slot as usize) };
        let block = match step.kind {
            // SAFETY: the size isn't zero.
            ALLOCATE => unsafe { heap.allocate(new) },
            // SAFETY: the slot holds a live block of the size `old`, since a script says so.
            REALLOCATE => unsafe { heap.reallocate(*slot, old, new.size()) },
            _ => {
                // SAFETY: as above.
                unsafe { heap.free(*slot, old) };
                continue;
            }
        };
        if block.is_null() {
            return at;
        }
        *slot = block;
        // SAFETY: the block has at least one byte.
        unsafe { block.write_volatile(at as u8) };
    }
    steps.len()
}

/// Replays on a fresh heap and times it; none if the heap is exhausted.
pub fn time<S: Subject, const ALIGN: usize>(
    steps: &[Step],
    room: Room,
    slots: &mut [*mut u8],
    limit: Duration,
) -> Option<Timed> {
    // SAFETY: the caller's arena is clear and in no other use.
    let mut heap = unsafe { S::start(room, Growth::Whole) }?;
    let begin = Instant::now();
    let mut done = 0;
    for chunk in steps.chunks(CHUNK) {
        // SAFETY: the chunks are the script in order, on one heap.
        let ran = unsafe { run::<S, ALIGN>(&mut heap, chunk, slots) };
        done += ran;
        if ran < chunk.len() {
            return None;
        }
        if begin.elapsed() > limit {
            break;
        }
    }
    let ns = begin.elapsed().as_nanos() as f64 / done.max(1) as f64;
    Some(Timed { ns, cut: done < steps.len() })
}

/// Replays on a fresh heap, checks that blocks are aligned, inside the room, and keep their first and last byte, and returns the
/// greatest extent in bytes.
///
/// # Errors
/// If the heap was exhausted or too slow.
///
/// # Panics
/// If a block is not what was asked for: the heap or its adapter is wrong.
pub fn place<S: Subject, const ALIGN: usize>(
    steps: &[Step],
    slots: &mut [*mut u8],
    room: Room,
    growth: Growth,
    limit: Duration,
) -> Result<usize, Stop> {
    // SAFETY: the caller's arena is clear and in no other use.
    let mut heap = unsafe { S::start(room, growth) }.ok_or(Stop::Exhausted)?;
    let begin = Instant::now();
    let mut extent = 0;
    for (at, step) in steps.iter().enumerate() {
        let layout = |size| Layout::from_size_align(size, ALIGN).expect("sizes of a trace are small enough");
        let slot = &mut slots[step.slot as usize];
        let mark = step.slot as u8 | 1;
        let check = |block: *mut u8, size: usize, why: &str| {
            // SAFETY: the block is live and has that many bytes.
            let (first, last) = unsafe { (block.read(), block.add(size - 1).read()) };
            assert!(first == mark && last == mark, "step {at}: {why} lost its contents");
        };
        let block = match step.kind {
            // SAFETY: the size isn't zero.
            ALLOCATE => unsafe { heap.allocate(layout(step.size)) },
            REALLOCATE => {
                check(*slot, step.old, "a block that is reallocated");
                // SAFETY: the slot holds a live block of the size `old`, since a script says so.
                let block = unsafe { heap.reallocate(*slot, layout(step.old), step.size) };
                if !block.is_null() {
                    // SAFETY: it has at least one byte.
                    assert_eq!(unsafe { block.read() }, mark, "step {at}: realloc doesn't keep the contents");
                }
                block
            }
            _ => {
                check(*slot, step.old, "a block that is freed");
                // SAFETY: as above.
                unsafe { heap.free(*slot, layout(step.old)) };
                continue;
            }
        };
        if block.is_null() {
            return Err(Stop::Exhausted);
        }
        *slot = block;
        assert!(block.addr().is_multiple_of(ALIGN), "step {at}: {block:p} is not aligned");
        // SAFETY: the block has that many bytes.
        unsafe {
            block.write(mark);
            block.add(step.size - 1).write(mark);
        }
        let exact = if S::OWN_MEMORY || growth != Growth::Whole { heap.taken() } else { None };
        let inside = S::OWN_MEMORY || block >= room.start && block as usize + step.size <= room.end();
        assert!(inside, "step {at}: {block:p} is outside of {room:?}");
        extent = extent
            .max(exact.unwrap_or_else(|| (block as usize + step.size).saturating_sub(room.start as usize)));
        if at % CHUNK == 0 && begin.elapsed() > limit {
            return Err(Stop::TooSlow);
        }
    }
    Ok(extent)
}

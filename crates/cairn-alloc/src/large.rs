//! Large blocks: each one a span of the page heap, beginning where the span begins.
//!
//! ```text
//!   ┌──────────────────────────────────┬──────────────────────────┐
//!   │ bytes the program may use        │ room to grow: space, no  │
//!   │ (a multiple of the page size)    │ pages                    │
//!   └──────────────────────────────────┴──────────────────────────┘
//! ```
//! A block that has grown once is likely to grow again, so growing gives it room: the span's rest is address space that costs
//! nothing until it is touched. `realloc` extends it in place, else into the free space behind it, else it moves the pages
//! (not the bytes) to a span with twice the room, or copies what is small: moves.rs.

mod filled;
mod moves;
mod written;

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::count;
use cairn_core::os;

use crate::class::GRANULE;
use crate::descriptor::{Body, Kind, LargeBody};
use crate::fault::{self, Call};
use crate::pages::huge::Filled;
use crate::pages::{self, Prefer};
use crate::region::{self, Place};
use filled::{fill_added, fills_span, freed, is_filled_when_grown, watch, watch_grown};

pub use filled::fits_span;

/// From this many bytes on, a zeroed block is looked at when it is freed.
const SPARSE_MIN: usize = 1 << 20;

/// From this many bytes on, a block may get huge pages of its own.
const HUGE_MIN: usize = os::HUGE_PAGE;

/// For so many bytes of fresh blocks one huge page may be filled, perhaps one that the program never touches, to see how long it takes;
const SAMPLE_EACH: usize = 16 << 20;
/// and for so many at once.
const UNSAMPLED_MAX: usize = 4 * SAMPLE_EACH;

/// Bytes of fresh blocks for which no huge page was filled yet.
static UNSAMPLED: AtomicUsize = AtomicUsize::new(UNSAMPLED_MAX);
/// Live large blocks.
static BLOCKS: AtomicUsize = AtomicUsize::new(0);
/// Their usable bytes.
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// A live large block.
#[derive(Clone, Copy)]
struct Block(Place);

impl Block {
    /// The way from an address that the program gave to a large block.
    fn from_program(address: *mut u8, call: Call) -> Block {
        let Some(place) = region::locate(address.addr()) else { fault::foreign(call, address.addr()) };
        // SAFETY: the granule is committed. If the program holds the block, nobody else changes the descriptor; if
        // not, any value is as good as another to find that out.
        let kind = unsafe { (*place.region.descriptor(place.granule)).kind };
        if kind != Kind::Large || place.region.address_of(place.granule) != address {
            fault::foreign(call, address.addr());
        }
        Block(place)
    }

    fn body(self) -> LargeBody {
        // SAFETY: the block is live, so the descriptor is its owner's.
        unsafe { (*self.0.region.descriptor(self.0.granule)).body.large }
    }

    fn bytes(self) -> usize {
        self.body().bytes
    }

    fn zeroed(self) -> bool {
        self.body().zeroed
    }

    fn huge(self) -> bool {
        self.body().huge
    }

    fn set(self, body: LargeBody) {
        // SAFETY: as in `body`.
        unsafe { (*self.0.region.descriptor(self.0.granule)).body = Body { large: body } }
    }

    fn span_bytes(self) -> usize {
        self.0.region.len(self.0.granule) * GRANULE
    }

    fn address(self) -> *mut u8 {
        self.0.region.address_of(self.0.granule)
    }

    /// Sets the usable bytes and counts the change.
    fn resize(self, bytes: usize) {
        count::atomic(count::Place::Large, &BYTES);
        BYTES.fetch_add(bytes.wrapping_sub(self.bytes()), Relaxed);
        self.set(LargeBody { bytes, ..self.body() });
    }
}

/// Bytes rounded up to whole pages; None if that can't be.
pub fn whole_pages(size: usize) -> Option<usize> {
    (size <= isize::MAX as usize).then(|| size.max(1).next_multiple_of(os::page_size()))
}

/// Allocates `size` bytes at a multiple of `align` in a span of its own; null if memory is short. With `zeroed` it reads as
/// zero: only what was used before is cleared.
pub fn allocate(size: usize, align: usize, zeroed: bool) -> *mut u8 {
    // Who asks for zeros may well leave most of them alone.
    let prefer = match zeroed {
        false if fills_span(size) => Prefer::Filled,
        false if align_for(size) > 1 => Prefer::Huge,
        _ => Prefer::Dirty,
    };
    let Some(block) = make(size, size, align, prefer) else { return core::ptr::null_mut() };
    if zeroed {
        pages::zero_dirty(block.0, block.bytes());
        block.set(LargeBody { zeroed: true, ..block.body() });
    } else if size >= HUGE_MIN {
        favour_huge(block, 0, 0);
    } else if prefer == Prefer::Dirty {
        watch(block);
    }
    block.address()
}

/// The alignment of a block that may get huge pages, if address space is plenty.
fn align_for(bytes: usize) -> usize {
    if bytes >= HUGE_MIN && region::is_roomy() && pages::huge::are_on() { os::HUGE_PAGE } else { 1 }
}

/// Gives a block, or what was added to it from `from` on, huge pages: for the first `bytes` bytes of that, as long as they come quickly, and for a
/// sample, or some until they are known to be reliable, as far as samples are due. If they are reliable, lets the kernel give it some for the
/// rest, as it is touched.
fn favour_huge(block: Block, from: usize, bytes: usize) {
    let at = block.address();
    let first = (at.addr() + from).next_multiple_of(os::HUGE_PAGE);
    let end = (at.addr() + block.bytes()) / os::HUGE_PAGE * os::HUGE_PAGE;
    let least = at.addr() + from + bytes;
    // Further regions have what the system gives by default.
    let in_first = core::ptr::eq(block.0.region, &region::regions()[0]);
    if !in_first || pages::is_all_dirty(block.0) {
        return;
    }
    let Some(mut reliable) = pages::wants_huge() else { return };
    // Where they are reliable one that ends behind the block will do.
    if first >= end && !(reliable && pages::may_reach(block.0)) {
        return;
    }
    pages::huge::forbid_elsewhere(block.0.region);
    // The last huge page may end behind the block, if nobody there takes what it brings for memory without pages.
    let told = if pages::may_reach(block.0) { told_at_most(block) } else { block.span_bytes() };
    // SAFETY: the span is ours, and what is behind it in the region is told a wish: it changes nothing there but how pages come.
    unsafe { os::allow_huge(at, told) };
    block.set(LargeBody { huge: true, ..block.body() });
    // A lost update costs a sample, or gives one.
    UNSAMPLED.store((UNSAMPLED.load(Relaxed) + block.bytes() - from).min(UNSAMPLED_MAX), Relaxed);
    let mut samples = 0;
    for address in (first..end).step_by(os::HUGE_PAGE) {
        let granule = (address - at.addr()) / GRANULE;
        if !pages::is_clean(block.0, granule, granule + os::HUGE_PAGE / GRANULE) {
            // To fill what has pages already is quick, and says nothing.
            continue;
        }
        if address >= least {
            if (reliable && samples > 0) || !may_sample() {
                break;
            }
            samples += 1;
        }
        // SAFETY: the huge page lies in the block.
        let filled = unsafe { pages::huge::timed(at.with_addr(address)) };
        reliable = pages::tried_huge(filled);
        if filled != Filled::Quickly {
            break;
        }
    }
    if !reliable {
        // What a huge page brought behind the bytes of the block is not forgotten.
        let used = block.bytes().div_ceil(GRANULE);
        pages::mark_dirty(block.0, used, reach(block, used));
        forbid_huge(block);
    }
}

/// Whether a huge page may be filled that nobody asked for.
fn may_sample() -> bool {
    count::atomic(count::Place::Large, &UNSAMPLED);
    UNSAMPLED.fetch_update(Relaxed, Relaxed, |bytes| bytes.checked_sub(SAMPLE_EACH)).is_ok()
}

/// From here on the block's span gets small pages, as all others do.
fn forbid_huge(block: Block) {
    if block.huge() {
        pages::huge::forbid(block.0.region, block.address(), block.span_bytes());
        forbid_behind(block);
        block.set(LargeBody { huge: false, ..block.body() });
    }
}

/// The same for what lies behind a span that was told of huge pages, up to the end of its last one; and whoever was given that memory
/// back meanwhile learns that it may have pages.
fn forbid_behind(block: Block) {
    let behind = told_at_most(block) - block.span_bytes();
    if behind > 0 {
        // What is there is free, or a block's, which may have asked for huge pages and misses a part of one now.
        pages::huge::forbid(block.0.region, block.address().wrapping_add(block.span_bytes()), behind);
        pages::mark_reached(block.0);
    }
}

/// Bytes from the block's begin that may have been told of huge pages: up to the end of the last one, which may lie behind the span.
fn told_at_most(block: Block) -> usize {
    let Place { region, granule } = block.0;
    let end = block.address().addr() + block.span_bytes();
    let behind = end.next_multiple_of(os::HUGE_PAGE) - end;
    (block.span_bytes() + behind).min((region.granules() - granule) * GRANULE)
}

/// A block of `size` bytes in a span of `room` bytes.
fn make(size: usize, room: usize, align: usize, prefer: Prefer) -> Option<Block> {
    let bytes = whole_pages(size)?;
    let place =
        pages::allocate(room.max(bytes).div_ceil(GRANULE), align.div_ceil(GRANULE), Kind::Large, prefer)?;
    let block = Block(place);
    block.set(LargeBody { bytes, zeroed: false, huge: false });
    count::atomic(count::Place::Large, &BLOCKS);
    BLOCKS.fetch_add(1, Relaxed);
    count::atomic(count::Place::Large, &BYTES);
    BYTES.fetch_add(bytes, Relaxed);
    Some(block)
}

/// Frees a large block; any other address ends the process with a message.
pub fn free(address: *mut u8) {
    let block = Block::from_program(address, Call::Free);
    freed(block);
    let granules = block.bytes().div_ceil(GRANULE);
    if block.zeroed() && block.bytes() >= SPARSE_MIN {
        mark_touched(block, granules);
        release(block, 0);
    } else {
        release(block, granules);
    }
}

/// Gives the parts of a zeroed block back that were hardly touched, and marks the others as written to. So the next zeroed block
/// does not clear, and thereby touch, what this one did not; and what was used from end to end stays. Each part is
/// judged by a sample of some pages: to look at all of them would cost more than the rest of the free together, and a wrong
/// judgement costs time or pages, never a wrong byte.
fn mark_touched(block: Block, granules: usize) {
    const PARTS_MAX: usize = 8;
    /// 1 MiB.
    const PART_MIN: usize = 16;
    let part = granules.div_ceil(PARTS_MAX).max(PART_MIN);
    let mut first = 0;
    while first < granules {
        let is_sparse = |first| {
            let place = Place { granule: block.0.granule + first, ..block.0 };
            is_resident(place, part.min(granules - first)) == Some(false)
        };
        let sparse = is_sparse(first);
        let mut end = (first + part).min(granules);
        while end < granules && is_sparse(end) == sparse {
            end = (end + part).min(granules);
        }
        let at = block.address().wrapping_add(first * GRANULE);
        // SAFETY: the span is ours, and the program has given its contents up. Swapped pages go by this too.
        let gone = sparse && unsafe { os::purge(at, (end - first) * GRANULE) };
        let mark = if gone { pages::mark_clean } else { pages::mark_dirty };
        mark(block.0, first, end);
        first = end;
    }
}

/// Whether at least half of a few pages in the middle of these granules are in memory; None if the kernel doesn't say.
fn is_resident(first: Place, granules: usize) -> Option<bool> {
    const SAMPLE: usize = 16;
    let pages = granules * (GRANULE / os::page_size());
    let mut resident = [0u8; SAMPLE];
    let resident = &mut resident[..SAMPLE.min(pages)];
    let page = (pages - resident.len()) / 2;
    let at = first.region.address_of(first.granule).wrapping_add(page * os::page_size());
    // SAFETY: the address is a page's. What is not mapped at the moment the kernel refuses to tell about.
    if !unsafe { os::resident(at, resident) } {
        return None;
    }
    let touched = resident.iter().filter(|page| **page & 1 != 0).count();
    Some(touched >= resident.len() / 2)
}

/// How many granules may have pages if the program may have used so many: the last huge page may reach beyond them, into
/// the room behind.
fn reach(block: Block, used_granules: usize) -> usize {
    if !block.huge() {
        return used_granules;
    }
    let used = block.address().addr() + used_granules * GRANULE;
    let reach = used.next_multiple_of(os::HUGE_PAGE) - block.address().addr();
    (reach / GRANULE).min(block.span_bytes() / GRANULE)
}

fn release(block: Block, used_granules: usize) {
    let used_granules = reach(block, used_granules);
    forbid_huge(block);
    uncount(block);
    pages::free(block.0, used_granules);
}

/// A block is live no more.
fn uncount(block: Block) {
    count::atomic(count::Place::Large, &BLOCKS);
    BLOCKS.fetch_sub(1, Relaxed);
    count::atomic(count::Place::Large, &BYTES);
    BYTES.fetch_sub(block.bytes(), Relaxed);
}

/// Bytes that the program may use of a large block; any other address ends the process with a message.
pub fn usable_size(address: *mut u8, call: Call) -> usize {
    Block::from_program(address, call).bytes()
}

/// Changes a large block's size, to one that no bin serves; null and the block intact if memory is short. It stays where it is, or is aligned to
/// `align`, which is a granule at most then.
///
/// # Safety
/// The block is live and the caller's.
pub unsafe fn reallocate(address: *mut u8, size: usize, align: usize) -> *mut u8 {
    let block = Block::from_program(address, Call::Reallocate);
    let Some(bytes) = whole_pages(size) else { return core::ptr::null_mut() };
    let old = block.bytes();
    if bytes <= old {
        shrink(block, bytes, old);
        return address;
    }
    if bytes <= block.span_bytes() || moves::extend(block, bytes) {
        let is_filled = is_filled_when_grown(block, bytes, filled::most_filled(old, bytes));
        block.resize(bytes);
        grown(block, old, is_filled);
        return address;
    }
    moves::relocate(block, size, align)
}

/// A block has become larger, and will be written behind its `old` bytes next: perhaps to its end, as `is_filled` expects.
fn grown(block: Block, old: usize, is_filled: bool) {
    let added = block.bytes() - old;
    if block.zeroed() {
        // Who asked for zeros may well leave most of them alone.
    } else if block.bytes() >= HUGE_MIN && added >= 4 * os::HUGE_PAGE {
        // Half of what was added: a vector that has just grown is that full on average.
        favour_huge(block, old, added / 2);
    } else if is_filled {
        fill_added(block, old);
    } else if !block.huge() {
        // (Where one touch brings a huge page, looking at what is there says no more than that.)
        watch_grown(block, old);
    }
}

fn shrink(block: Block, bytes: usize, old: usize) {
    let (keep, used) = (bytes.div_ceil(GRANULE), old.div_ceil(GRANULE));
    // A block that became a little smaller may grow again.
    if block.span_bytes() / GRANULE > keep + keep / 8 {
        let reach = reach(block, used);
        forbid_huge(block);
        pages::shrink(block.0, keep, reach - keep);
    } else if keep < used {
        // They stay in the span, and when it is freed its size won't tell that they were written to.
        pages::mark_dirty(block.0, keep, reach(block, used));
    }
    block.resize(bytes);
}

/// Live large blocks and their usable bytes.
pub fn totals() -> (usize, usize) {
    (BLOCKS.load(Relaxed), BYTES.load(Relaxed))
}

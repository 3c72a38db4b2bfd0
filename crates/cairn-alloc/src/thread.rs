//! A thread's bins, and what happens when one of them is empty or full.
//!
//! ```text
//!            first miss                        last destructor of ours
//!   Unborn ─────────────► Known (being born) ► Known (has a heap) ─────────────► Gone
//!   bins: NOBODY          NOBODY               its own                           NOBODY
//! ```
//! With `NOBODY`'s bins each operation misses, comes here, and goes directly to the class's center. So a thread can
//! allocate and free at any point of its life, also in the dynamic loader and in other libraries' last destructors.
//!
//! Invariants: a [`Heap`] is used by one thread only, the one whose slot leads to it (others read lengths, for
//! statistics, and look into its bins and hands, as audits do; a fork's child empties those of threads that no longer exist). Bins own nothing: each block in one is
//! just free, and may be given to any thread. All heaps ever made are in the registry; their memory is used again by
//! later threads and never given back.
//!
//! How a thread comes by its heap and leaves it: [`birth`](mod@birth). One that has a heap and calls seldom rests, see [`rest`].
//!
//! How many blocks a bin may hold: [`capacity`]. Whose slabs they come from: [`home`].

mod audit;
mod birth;
mod capacity;
mod hands;
mod home;
mod living;
pub mod rest;
#[cfg(test)]
mod tests;

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use cairn_core::hint;

use crate::bin::{self, Bin, Cold};
use crate::center;
use crate::class::{
    self, Code, ENTRIES, Entries, Entry, SHAPES, SMALL_COUNT, TWICE_CLASSES_AT_16, TwiceClassesAt16,
};
use crate::registry::{Listing, Registered, Registry};
use crate::slot::{self, State};
use crate::transfer::BATCH_MAX;
use crate::{mode, modes, pages, shelf};
use birth::birth;
pub use birth::{be_born, bury_the_dead, end_bins, me, others_have_bins};
use capacity::{CAPACITY_BYTES, Miss};
pub use hands::Hands;
pub use living::{lock, threads as count};
use rest::Rest;

#[cfg(test)]
pub use audit::damage;
pub use audit::{InBin, check, holds, second_bin};

const _: () = assert!(BATCH_MAX <= bin::SPREAD_MAX, "a batch can be spread");

/// The bins of one thread.
pub type Bins = [Bin; SMALL_COUNT];

/// What the fast path needs besides the thread's own bins. The two stand together so that one register leads to both.
#[repr(C)]
pub struct Fixed {
    /// The bins of a thread that has none: all are empty and full at once.
    nobody: Bins,
    classes: TwiceClassesAt16,
    entries: Entries,
}

/// Never written.
pub static NOBODY: Fixed =
    Fixed { nobody: [const { Bin::nothing() }; SMALL_COUNT], classes: TWICE_CLASSES_AT_16, entries: ENTRIES };

/// A thread's heap.
#[repr(C, align(64))]
pub struct Heap {
    /// First, so that the slot leads to them.
    bins: Bins,
    cold: [Cold; SMALL_COUNT],
    hands: Hands,
    /// Bytes that its bins may hold.
    capacity_bytes: AtomicUsize,
    /// Misses so far; paces the housekeeping.
    misses: AtomicUsize,
    /// No bin asks for so many bytes of capacity
    refused_bytes: AtomicUsize,
    /// before that many misses.
    refused_until: AtomicUsize,
    /// [`pages::growths`] at the last housekeeping.
    growths: AtomicUsize,
    /// [`pages::turns`] at the last housekeeping.
    turns: AtomicUsize,
    /// Whether it calls seldom.
    rest: Rest,
    /// Who took it last (`pthread_self`). Under the birth lock.
    owner: AtomicUsize,
    listing: Listing<Heap>,
}

// SAFETY: a field of it.
unsafe impl Registered for Heap {
    fn listing(&self) -> &Listing<Heap> {
        &self.listing
    }
}

static REGISTRY: Registry<Heap> = Registry::new();
/// Misses between two housekeepings,
const MISSES_PER_TICK: usize = 64;
/// and between two looks at the clock, to see whether the thread may go to rest;
const MISSES_PER_LOOK: usize = 4;
/// besides those when a bin misses that has grown twice at most, but may grow: the thread does something new. Its capacity is less than this, times
/// the blocks that fill whole lines, see [`Heap::adapt`].
const NEW_BIN: usize = 4;
/// Looks after which an idle bin is closed,
const IDLE_LOOKS_MAX: u8 = 16;
/// and if the heap has turned since the last one, [`pages::turns`]. (After one look bins were closed that were needed soon: `chains` and `rptest` took a fifth and
/// an eighth longer.)
const IDLE_LOOKS_TURNED: u8 = 4;

/// [`NOBODY`], its address in a register once and for all: the compiler would rather compute it again for each use.
#[inline(always)]
pub fn fixed() -> &'static Fixed {
    // SAFETY: the same reference.
    unsafe { &*hint::in_register(&raw const NOBODY) }
}

impl Fixed {
    /// The calling thread's bins.
    #[inline(always)]
    fn bins(&self) -> &'static Bins {
        // SAFETY: the slot holds the distance from NOBODY to the bins of a heap, or 0. Heaps are never given back.
        unsafe { &*ptr::with_exposed_provenance(slot::bins_from(ptr::from_ref(self).addr())) }
    }

    /// The bin for a size of at most `SMALL_MAX`.
    #[inline(always)]
    pub fn bin_for(&self, size: usize) -> &'static Bin {
        // First, so that the register of the tables can become that of the bins.
        // SAFETY: the index is in the table for such a size.
        let words = usize::from(unsafe { *self.classes.get_unchecked(class::index_at_16(size)) });
        // SAFETY: the table holds classes times two.
        let bin = unsafe { bin_at_words(self.bins(), words) };
        // SAFETY: the same reference.
        unsafe { &*hint::in_register(bin) }
    }

    /// What is known of a granule with this code.
    #[inline(always)]
    pub fn entry(&self, code: Code) -> &Entry {
        // SAFETY: the class map holds codes, which tell of entries of the table.
        unsafe { &*self.entries.as_ptr().byte_add(code as usize) }
    }

    /// The bin for the blocks of a granule, of whose code the [`entry`](Fixed::entry) has said that a block begins there.
    #[inline(always)]
    pub fn bin_of(&self, code: Code) -> &'static Bin {
        debug_assert!(!class::is_medium(class::of_code(code)));
        let bin = ptr::from_ref(self.bins()).wrapping_byte_add(class::bin_offset(code)).cast::<Bin>();
        // SAFETY: only codes of small blocks have an entry in which a block begins, and these tell of bins; the reference is the same one.
        unsafe { &*hint::in_register(bin) }
    }

    /// How many bytes behind the first bin that for a size of at most `SMALL_MAX` is.
    #[inline(always)]
    pub fn bin_offset_for(&self, size: usize) -> usize {
        // SAFETY: the index is in the table for such a size.
        usize::from(unsafe { *self.classes.get_unchecked(class::index_at_16(size)) }) * (class::BIN_BYTES / 2)
    }
}

/// The bin of a class, which the compiler may know.
#[inline(always)]
pub fn bin(class: usize) -> &'static Bin {
    debug_assert!(class < SMALL_COUNT);
    // SAFETY: callers have the class of a layout, which is a small block's or 0 (`class::of_layout`).
    unsafe { bin_at_words(NOBODY.bins(), 2 * class) }
}

/// The bin that begins so many words behind the first one. (Spelled in words because processors scale an index by 8.)
///
/// # Safety
/// `words` is twice a class below `SMALL_COUNT`.
#[inline(always)]
unsafe fn bin_at_words(bins: &'static Bins, words: usize) -> &'static Bin {
    const { assert!(size_of::<Bin>() == class::BIN_BYTES && class::BIN_BYTES == 2 * size_of::<u64>()) };
    // SAFETY: the caller's contract.
    unsafe { &*ptr::from_ref(bins).cast::<u64>().add(words).cast::<Bin>() }
}

/// The calling thread's heap; made now if the thread has not allocated before. None if it can't have one.
fn current() -> Option<&'static Heap> {
    match (slot::distance(), slot::state()) {
        (0, State::Unborn) if mode::has_bins() => birth(),
        (0, State::Resting(distance)) => {
            let heap = at_distance(distance);
            heap.rest_on(distance);
            Some(heap)
        }
        (0, _) => None,
        (distance, _) => Some(at_distance(distance)),
    }
}

/// The heap that a thread's slot tells of.
fn at_distance(distance: usize) -> &'static Heap {
    let address = (&raw const NOBODY).addr().wrapping_add(distance);
    // SAFETY: distances in slots, but 0, are those of heaps, whose addresses were exposed and which are never given back.
    unsafe { &*ptr::with_exposed_provenance(address) }
}

/// The calling thread's heap, if it has one.
fn mine() -> Option<&'static Heap> {
    match (slot::distance(), slot::state()) {
        (0, State::Resting(distance)) => Some(at_distance(distance)),
        (0, _) => None,
        (distance, _) => Some(at_distance(distance)),
    }
}

/// The process is about to end in the middle of a trip: what the calling thread carries belongs to nobody any more.
pub fn drop_hands() {
    if let Some(heap) = mine() {
        heap.hands.keep(0);
    }
}

/// Allocates a block of `class` for a thread whose bin is empty; null if memory is short.
pub fn allocate(class: usize) -> *mut u8 {
    let Some(heap) = current() else { return center::of(class).take_one(class) };
    let bin = &heap.bins[class];
    let block = bin.pop();
    if !block.is_null() {
        return block;
    }
    let capacity = heap.adapt(class, Miss::Empty);
    if capacity == 0 {
        let block = center::of(class).take_one(class);
        heap.housekeeping(class, capacity);
        return block;
    }
    let center = center::of(class);
    let count = capacity.div_ceil(2).min(BATCH_MAX);
    modes::pass(count);
    bin.fill(&heap.cold[class], count, |out| {
        if uses_shelf(count) {
            return shelf::take(class, out, &heap.hands);
        }
        match center.pop(out) {
            0 => {
                let count = center.refill(class, heap.own(class), out, |_| ());
                heap.cold[class].arrange(&mut out[..count], SHAPES[class].apart.into());
                count
            }
            count => {
                let fed = &heap.cold[class].fed;
                fed.set(fed.get().saturating_add(1));
                count
            }
        }
    });
    // Before the housekeeping, which may close this very bin.
    let block = bin.pop();
    heap.housekeeping(class, capacity);
    block
}

/// Whether a bin that moves `count` blocks at a time does so by way of a shelf: a lone thread's slabs are the better place.
fn uses_shelf(count: usize) -> bool {
    count <= shelf::COUNT_MAX && living::threads() > 1
}

/// Frees a block of `class` for a thread whose bin may be full.
pub fn free(class: usize, block: *mut u8) {
    let Some(heap) = current() else { return center::of(class).flush(class, &[block], || ()) };
    let bin = &heap.bins[class];
    if bin.push(block) {
        return;
    }
    let capacity = if heap.is_gift(class) { 0 } else { heap.adapt(class, Miss::Full) };
    if !bin.push(block) {
        let freed = pages::spans_freed();
        if bin.len(&heap.cold[class]) > 0 {
            heap.hand_over(class, capacity.div_ceil(2));
        }
        if !bin.push(block) {
            center::of(class).flush(class, &[block], || ());
        }
        if pages::spans_freed() != freed {
            heap.rest_after_span();
        }
    }
    heap.housekeeping(class, capacity);
}

impl Heap {
    /// Whether a block that is freed now was most likely given to this thread by another one, side by side with what that gave to others: the
    /// first of its class, smaller than a cache line. In this bin it would come out again and again, and each time two threads would write to its line
    /// (passive false sharing; Berger et al., "Hoard", 2000). So the slab gets it.
    fn is_gift(&self, class: usize) -> bool {
        let (bin, cold) = (&self.bins[class], &self.cold[class]);
        let first = bin.capacity(cold) == 0 && cold.fulls.replace(cold.fulls.get().max(1)) == 0;
        first && SHAPES[class].lines_filled_by > 1 && living::threads() > 1
    }

    /// Hands some `count` blocks of a bin over, perhaps less than a quarter fewer: the oldest, unless there are too many others to move down. The newest are warm in the
    /// cache; and where much is freed one after the other, what stays behind for long would lie scattered over all of it, and keep
    /// a slab for each block.
    fn hand_over(&self, class: usize, count: usize) {
        const MOVED_MAX: usize = 512;
        let (bin, cold) = (&self.bins[class], &self.cold[class]);
        let (few, size) = (bin.len(cold) <= MOVED_MAX, SHAPES[class].size as usize);
        // By what was asked for, as in `allocate`: where neighbours stay together it may be fewer.
        let to_shelf = uses_shelf(count.min(bin.len(cold)));
        // Out of the bin first: a fork in between loses them in the child, but never sees one twice.
        self.hands.add(class, count, |slots, taken| {
            let count = if few { bin.drain_oldest(cold, slots, size) } else { bin.drain(cold, slots) };
            taken(count);
            count
        });
        if to_shelf {
            shelf::put(class, &self.hands);
        } else {
            center::of(class).bring(class, self.home(class), self.hands.blocks(), || self.hands.keep(0));
        }
    }

    /// Empties a bin and takes its capacity away.
    fn close(&self, class: usize) {
        let (bin, cold) = (&self.bins[class], &self.cold[class]);
        while bin.len(cold) > 0 {
            self.hand_over(class, BATCH_MAX);
        }
        self.discharge(bin.capacity(cold) * SHAPES[class].size as usize);
        bin.shut(cold);
    }

    /// After the miss of a class's bin of this capacity, every so many misses: closes bins that are idle, and lets free pages decay.
    fn housekeeping(&self, class: usize, capacity: usize) {
        let misses = self.misses.load(Relaxed) + 1;
        self.misses.store(misses, Relaxed);
        let new_bin = NEW_BIN * usize::from(SHAPES[class].lines_filled_by);
        let new = capacity < new_bin && misses > self.refused_until.load(Relaxed);
        if new || misses.is_multiple_of(MISSES_PER_LOOK) {
            self.try_to_rest();
        }
        if !misses.is_multiple_of(MISSES_PER_TICK) {
            return;
        }
        let grew = self.close_idle();
        // The same goes for holes in idle slabs.
        center::purge_step(pages::purge_step(0), grew, None);
    }

    /// Closes bins that are idle; true if the heap has grown since the last call.
    fn close_idle(&self) -> bool {
        // While the program needs spans for something else, fresh or not, what idle bins hold keeps whole slabs from being that.
        let (growths, turns) = (pages::growths(), pages::turns());
        let grew = self.growths.swap(growths, Relaxed) != growths;
        let turned = self.turns.swap(turns, Relaxed) != turns;
        let patience = if turned { IDLE_LOOKS_TURNED } else { IDLE_LOOKS_MAX };
        for class in 1..SMALL_COUNT {
            let (bin, cold) = (&self.bins[class], &self.cold[class]);
            if bin.capacity(cold) > 0 && bin.idle_looks(cold) >= patience {
                self.close(class);
            }
        }
        grew
    }

    /// Empties all bins: the thread ends.
    fn close_all(&self) {
        for class in 1..SMALL_COUNT {
            if self.bins[class].capacity(&self.cold[class]) > 0 {
                self.close(class);
            }
            self.cold[class].begin_anew();
        }
    }
}

/// Blocks of a class in the bins of all threads. Exact if no other thread is running.
pub fn blocks_in_bins(class: usize) -> usize {
    if class::is_medium(class) {
        return 0;
    }
    let most = usize::from(SHAPES[class].bin_max);
    REGISTRY.all().map(|heap| heap.bins[class].peek(&heap.cold[class], most)).sum()
}

/// Empties the calling thread's bins.
pub fn flush_own() {
    if let Some(heap) = current() {
        heap.close_all();
    }
}

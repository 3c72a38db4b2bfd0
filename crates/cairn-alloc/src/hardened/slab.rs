//! A hardened slab: blocks of one class in one span, a guard behind them, its state out of line.
//!
//! ```text
//!   ┌────────┬────────┬────────┬─ ─ ─ ─┬────────┬──────┬────────────┐  a multiple of its own size
//!   │ block  │ block  │ block  │       │ block  │ rest │ guard page │  in memory
//!   └────────┴────────┴────────┴─ ─ ─ ─┴────────┴──────┴────────────┘
//!   bitmap:  1 = free here       all blocks may be handed out from the start, in any order
//! ```
//! It differs from a default slab (slab.rs) in what hardening asks for: nothing is handed out in order, all that is free is zero,
//! and the class map does not know it, so that the default engine's fast path never takes a block of it for one of
//! its own. The *map* of the vault does: the class for each granule of the first region. In further regions the descriptors tell.
//!
//! Invariants: what is in the bitmap is free and zero (seal.rs); `free` counts the bitmap; a slab is in a list of its
//! class iff `free` is above 0. All functions but [`locate`] and [`touch`] run under the lock of the class.

use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use cairn_core::os::{self, Guard};

use crate::bits;
use crate::class::{GRANULE, SHAPES};
use crate::descriptor::{Body, Descriptor, HardSlabBody, Kind};
use crate::hardened::random::Stream;
use crate::hardened::vault::{form, vault};
use crate::pages::{self, Prefer};
use crate::records;
use crate::region::{self, Place};

/// A hardened slab, by the descriptor of its first granule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slab(NonNull<Descriptor>);

/// Where an address lies in a hardened slab.
#[derive(Clone, Copy)]
pub struct Spot {
    /// The slab's class.
    pub class: usize,
    /// Bytes from the slab's first one.
    pub offset: usize,
}

/// Finds the hardened slab that an address lies in, wherever in it.
#[inline(always)]
pub fn locate(address: usize) -> Option<Spot> {
    let granule = address.wrapping_sub(vault().base) / GRANULE;
    if granule >= vault().granules {
        return locate_further(address);
    }
    locate_in_first(address)
}

/// The same if it lies in the first region; None in others.
#[inline(always)]
pub fn locate_in_first(address: usize) -> Option<Spot> {
    let granule = address.wrapping_sub(vault().base) / GRANULE;
    if granule >= vault().granules {
        return None;
    }
    // SAFETY: the map has a byte for each granule of the first region. Relaxed: whoever holds a block learned of it after its class
    // was stored.
    let class = usize::from(unsafe { (*vault().map.add(granule)).load(Relaxed) });
    (class != 0).then(|| Spot { class, offset: address & form(class).mask as usize })
}

/// The same in the regions that come when the first one is full, or where address space is limited.
#[cold]
#[inline(never)]
fn locate_further(address: usize) -> Option<Spot> {
    let place = region::locate(address)?;
    // A slab has 1, 2 or 4 granules and stands at a multiple of that.
    [1, 2, 4].into_iter().find_map(|granules| {
        let begin = address & !(granules * GRANULE - 1);
        let first = place.granule.checked_sub((address - begin) / GRANULE)?;
        // SAFETY: a granule before a committed one is committed; any value of its descriptor will do if no slab begins there.
        let (kind, class) = unsafe {
            let descriptor = place.region.descriptor(first);
            ((*descriptor).kind, usize::from((*descriptor).class))
        };
        let fits = kind == Kind::HardSlab && usize::from(SHAPES[class].granules) == granules;
        fits.then(|| Spot { class, offset: address - begin })
    })
}

/// In the address of a block that was just taken: it may lie in pages that nobody has touched since they came from the kernel.
const FRESH: usize = 1;

/// Takes the marks off the addresses of blocks of `class` that were just taken, and writes to the pages of those that have one.
///
/// The first thing that is done with a block is to read it, to see whether it is still zero. The kernel would give it a page of
/// zeroes for that, and another page as soon as it is sealed: two faults instead of one, and a message to all processors
/// that they should forget the first. Not under the lock, since faults take their time.
#[inline]
pub fn touch(taken: &mut [*mut u8], class: usize) {
    for block in taken.iter_mut().filter(|block| block.addr() & FRESH != 0) {
        *block = plain(*block);
        touch_pages(*block, form(class).size as usize);
    }
}

/// A block's address without the mark that [`touch`] takes off.
pub fn plain(block: *mut u8) -> *mut u8 {
    block.wrapping_sub(block.addr() & FRESH)
}

#[cold]
fn touch_pages(block: *mut u8, size: usize) {
    let (page, mut offset) = (os::page_size(), 0);
    while offset < size {
        // SAFETY: the word is the block's, which is the caller's: sizes and pages are multiples of 8. What a dangling pointer wrote
        // there stays, to be found: only a zero is exchanged, for a zero.
        let word = unsafe { AtomicU64::from_ptr(block.add(offset).cast()) };
        let _ = word.compare_exchange(0, 0, Relaxed, Relaxed);
        offset = (block.addr() + offset + page) / page * page - block.addr();
    }
}

/// Bytes of a bitmap in the records; 0 if it fits the descriptor.
pub fn bitmap_bytes(class: usize) -> usize {
    let blocks = form(class).blocks as usize;
    if blocks <= 64 { 0 } else { blocks.div_ceil(64) * 8 }
}

impl Slab {
    /// Makes a slab; None if memory is short.
    pub fn new(class: usize) -> Option<Slab> {
        let bytes = bitmap_bytes(class);
        let bitmap: *mut u64 = if bytes > 0 { records::take(bytes).cast() } else { ptr::null_mut() };
        if bytes > 0 && bitmap.is_null() {
            return None;
        }
        let granules = usize::from(SHAPES[class].granules);
        let Some(place) = pages::allocate(granules, granules, Kind::HardSlab, Prefer::Filled) else {
            if bytes > 0 {
                // SAFETY: taken above with the same size.
                unsafe { records::give(bitmap.cast(), bytes) };
            }
            return None;
        };
        let guarded = granules * GRANULE - vault().guard;
        pages::zero_dirty(place, guarded);
        let start = place.region.address_of(place.granule);
        let guard = if vault().guard == 0 {
            Guard::None
        } else {
            // SAFETY: the end of our own span.
            unsafe { os::install_guard(start.add(guarded), vault().guard) }
        };
        let descriptor = place.region.descriptor(place.granule);
        // SAFETY: the span is ours, so its descriptor is, and so is the bitmap, which has a bit for each block.
        unsafe {
            (*descriptor).class = class as u8;
            let body = HardSlabBody {
                bitmap,
                next: None,
                previous: None,
                inline_bitmap: 0,
                touched: 0,
                free: form(class).blocks,
                list: 0,
                guard,
                stirred: false,
            };
            (*descriptor).body = Body { hard_slab: body };
            let body = &mut (*descriptor).body.hard_slab;
            if bytes == 0 {
                body.bitmap = &raw mut body.inline_bitmap;
            }
            ptr::write_bytes(body.bitmap, 0, (form(class).blocks as usize).div_ceil(64));
            bits::set(body.bitmap, 0, form(class).blocks as usize);
        }
        set_class(place, granules, class as u8);
        // SAFETY: a descriptor lies in its region's reservation.
        Some(Slab(unsafe { NonNull::new_unchecked(descriptor) }))
    }

    /// The slab in which a block of `class` lies. None if it was retired: then the block has been put back before. Under the class's lock.
    #[inline]
    pub fn of(block: *mut u8, class: usize) -> Option<Slab> {
        let start = block.addr() & !(form(class).mask as usize);
        let place = region::locate(start)?;
        let descriptor = NonNull::new(place.region.descriptor(place.granule))?;
        // SAFETY: the granule is committed, so its descriptor can be read; slabs of a class come and go under its lock.
        let fits = unsafe {
            let at = descriptor.as_ptr();
            (*at).kind == Kind::HardSlab && usize::from((*at).class) == class
        };
        fits.then_some(Slab(descriptor))
    }

    /// The slab of a descriptor in a list.
    pub fn from_list(descriptor: NonNull<Descriptor>) -> Slab {
        Slab(descriptor)
    }

    /// Its place in the lists.
    pub fn descriptor(self) -> NonNull<Descriptor> {
        self.0
    }

    /// Its state.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn body<'a>(self) -> &'a mut HardSlabBody {
        // SAFETY: a slab's body belongs to the holder of the class's lock; each use is a short expression.
        unsafe { &mut (*self.0.as_ptr()).body.hard_slab }
    }

    fn class(self) -> usize {
        // SAFETY: set when the slab is made, and never changed.
        usize::from(unsafe { (*self.0.as_ptr()).class })
    }

    fn place(self) -> Place {
        let at = self.0.as_ptr();
        // A descriptor lies below its region's base by less than the region's descriptors take.
        let is_in = |region: &&region::Region| {
            region.base().wrapping_sub(at.addr()).wrapping_sub(1) < region.descriptor_bytes()
        };
        match region::regions().iter().find(is_in) {
            Some(region) => Place { region, granule: region.granule_of(at) },
            None => cairn_core::fault::Line::new()
                .text("internal error: a slab's record lies in no region")
                .abort(),
        }
    }

    /// Whether no block of it is handed out.
    pub fn is_empty(self) -> bool {
        self.body().free == form(self.class()).blocks
    }

    /// Takes free blocks from random places until `out` is full or the slab is; returns how many.
    ///
    /// They come from words of the bitmap that follow on a random one, so that a few blocks touch few pages; the bin that they go
    /// to is used in random order. Those whose pages were not touched since they came are marked with [`FRESH`].
    pub fn take(self, out: &mut [*mut u8], random: &Stream) -> usize {
        let (form, body) = (form(self.class()), self.body());
        let place = self.place();
        let start = place.region.address_of(place.granule);
        let words = (form.blocks as usize).div_ceil(64);
        let mut word = random.below(words);
        let page_shift = os::page_size().trailing_zeros();
        let mut count = 0;
        while count < out.len() && body.free > 0 {
            // SAFETY: the bitmap has so many words.
            let bits = unsafe { &mut *body.bitmap.add(word) };
            let turn = random.below(64) as u32;
            while *bits != 0 && count < out.len() {
                let bit = (bits.rotate_right(turn).trailing_zeros() + turn) % 64;
                *bits &= !(1 << bit);
                body.free -= 1;
                let offset = (word * 64 + bit as usize) * form.size as usize;
                let (first, last) = (offset >> page_shift, (offset + form.size as usize - 1) >> page_shift);
                // A slab is no longer than 64 of the smallest pages that there are.
                let pages = (u64::MAX >> (63 - (last - first))) << first;
                let fresh = if body.touched & pages == pages { 0 } else { FRESH };
                body.touched |= pages;
                out[count] = start.wrapping_add(offset + fresh);
                count += 1;
            }
            word = if word + 1 == words { 0 } else { word + 1 };
        }
        body.stirred = true;
        count
    }

    /// Puts a block back; false, and nothing done, if it is there already.
    #[inline]
    pub fn put(self, block: *mut u8) -> bool {
        let class = self.class();
        let index = SHAPES[class].index_of(block.addr() & form(class).mask as usize);
        // SAFETY: the block is one of the slab's, so the bitmap has a bit for it.
        let word = unsafe { &mut *self.body().bitmap.add(index / 64) };
        let bit = 1 << (index % 64);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        self.body().free += 1;
        true
    }

    /// Whether a block lies in the slab and not with a thread or the program.
    pub fn has(self, block: *mut u8) -> bool {
        let class = self.class();
        let index = SHAPES[class].index_of(block.addr() & form(class).mask as usize);
        // SAFETY: as in `put`.
        let word = unsafe { *self.body().bitmap.add(index / 64) };
        word >> (index % 64) & 1 != 0
    }

    /// Whether all pages of a block were touched since they came.
    pub fn is_touched(self, block: *mut u8) -> bool {
        let form = form(self.class());
        let (offset, page) = (block.addr() & form.mask as usize, os::page_size());
        let (first, last) = (offset / page, (offset + form.size as usize - 1) / page);
        (first..=last).all(|page| self.body().touched >> page & 1 != 0)
    }

    /// Gives an empty slab, which is in no list, back to the page heap.
    pub fn retire(self) {
        let (class, place) = (self.class(), self.place());
        let granules = usize::from(SHAPES[class].granules);
        let bytes = bitmap_bytes(class);
        if bytes > 0 {
            // SAFETY: taken in `new` with the same size; nobody looks at the slab any more.
            unsafe { records::give(self.body().bitmap.cast(), bytes) };
        }
        set_class(place, granules, 0);
        let guarded = granules * GRANULE - vault().guard;
        let guard_at = place.region.address_of(place.granule).wrapping_add(guarded);
        // SAFETY: installed in `new` for this range.
        if unsafe { os::remove_guard(guard_at, vault().guard, self.body().guard) } {
            pages::free(place, granules);
        } else {
            // Its end can't be touched any more, so nobody shall get it.
            pages::lose(place, guarded);
        }
    }

    /// Gives the whole pages that hold only free blocks back, with `idle_only` if nothing was taken from the slab since the last
    /// call; returns how many bytes.
    pub fn purge_holes(self, idle_only: bool) -> usize {
        let (form, body, page) = (form(self.class()), self.body(), os::page_size());
        if core::mem::take(&mut body.stirred) && idle_only {
            return 0;
        }
        if (body.free * form.size) < page as u32 {
            return 0;
        }
        let place = self.place();
        let start = place.region.address_of(place.granule);
        let size = form.size as usize;
        let (mut given, mut from) = (0, 0);
        // SAFETY: the bitmap counts up to `blocks`, under the class's lock. Free blocks are zero, as what the kernel gives.
        unsafe {
            while let Some((first, last)) = bits::first_run(body.bitmap, from, form.blocks as usize) {
                let begin = (first * size).next_multiple_of(page);
                let end = last * size / page * page;
                if begin < end && os::purge(start.add(begin), end - begin) {
                    let (first, pages) = (begin / page, (end - begin) / page);
                    body.touched &= !((u64::MAX >> (64 - pages)) << first);
                    given += end - begin;
                }
                from = last;
            }
        }
        given
    }
}

/// Tells the map, in the first region, what granules belong to.
fn set_class(place: Place, granules: usize, class: u8) {
    if ptr::eq(place.region, &region::regions()[0]) {
        for granule in place.granule..place.granule + granules {
            // SAFETY: the map has a byte for each granule.
            unsafe { (*vault().map.add(granule)).store(class, Relaxed) };
        }
    }
    if class == 0 {
        // SAFETY: the span is still the caller's.
        unsafe { (*place.region.descriptor(place.granule)).class = 0 };
    }
}

//! A slab: blocks of one class, one after the other from the first byte of a span, its state out of line.
//!
//! ```text
//!    0        1        2        3        4                carved                        blocks
//!   ┌────────┬────────┬────────┬────────┬── ─ ─ ─ ───────┬─────────────────────── ─ ─ ─┐ rest
//!   │ live   │ free   │ live   │ free   │                │ never handed out, untouched │ (< a block)
//!   └────────┴────────┴────────┴────────┴── ─ ─ ─ ───────┴─────────────────────── ─ ─ ─┘
//!   bitmap:  0 1 0 1 ..                  one bit a block, 1 = free here
//! ```
//! "Live" means: not here; the program has it, or a bin, a shelf, or a transfer stack. Carving is lazy, so a page is touched when
//! the program touches it. All functions run under the lock of the slab's class, but for those that find a slab by one of its blocks, and whose it is. Which
//! blocks of a slab of medium ones the program has: [`held`].

mod held;

use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::Relaxed;

use cairn_core::fault::Line;
use cairn_core::os;

use crate::center::{ANYBODY, Home};
use crate::class::{self, GRANULE, SHAPES, Shape, UNMARKED};
use crate::descriptor::{Body, Descriptor, Holes, Kind, NO_LIST, SlabBody};
use crate::mark;
use crate::pages::{self, Prefer};
use crate::records;
use crate::region::{self, Place, Region};

/// A slab, and the region that it lies in.
#[derive(Clone, Copy)]
pub struct Slab {
    region: &'static Region,
    descriptor: *mut Descriptor,
}

/// Why a block can't be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The address is inside a block.
    Interior,
    /// The block was never handed out.
    NeverAllocated,
    /// The block is free already.
    DoubleFree,
    /// The address lies in no slab of the class.
    Misplaced,
}

impl Slab {
    /// Makes a slab; None if memory is short.
    pub fn new(class: usize) -> Option<Slab> {
        let shape = &SHAPES[class];
        let bytes = bitmap_bytes(shape);
        let bitmap = if bytes > 0 { records::take(bytes) } else { ptr::null_mut() };
        if bytes > 0 && bitmap.is_null() {
            return None;
        }
        let Some(place) = pages::allocate(shape.granules.into(), 1, Kind::Slab, Prefer::Filled) else {
            if bytes > 0 {
                // SAFETY: taken above with the same size.
                unsafe { records::give(bitmap, bytes) };
            }
            return None;
        };
        let descriptor = place.region.descriptor(place.granule);
        // SAFETY: the span is ours, so its descriptors are.
        unsafe {
            (*descriptor).class = class as u8;
            // Nobody's home; or no block is held.
            (*descriptor).tag.store(ANYBODY, Relaxed);
            (*descriptor).body = Body {
                slab: SlabBody {
                    bitmap: bitmap.cast(),
                    next: None,
                    previous: None,
                    inline_bitmap: 0,
                    free: 0,
                    carved: 0,
                    first_word: 0,
                    list: NO_LIST,
                    holes: Holes::Given,
                    leave_at: 0,
                },
            };
            if bytes == 0 {
                (*descriptor).body.slab.bitmap = &raw mut (*descriptor).body.slab.inline_bitmap;
            }
            for granule in place.granule..place.granule + usize::from(shape.granules) {
                (*place.region.descriptor(granule)).head = place.granule as u32;
                place.region.code_of(granule).store(class::code(class, granule - place.granule), Relaxed);
            }
        }
        Some(Slab { region: place.region, descriptor })
    }

    /// The slab that holds a granule, which the class map says is part of one.
    #[inline]
    pub fn at(place: Place) -> Slab {
        // SAFETY: in a slab each granule's `head` is the slab's first one (see descriptor.rs).
        let head = unsafe { (*place.region.descriptor(place.granule)).head };
        Slab { region: place.region, descriptor: place.region.descriptor(head as usize) }
    }

    /// The slab of `class` that has a granule of the first region; None if there is none.
    pub fn of_granule_in_first(granule: u32, class: usize) -> Option<Slab> {
        let region = region::regions().first()?;
        let place = Place { region, granule: granule as usize };
        (place.granule < region.committed() && place.class() == class).then(|| Slab::at(place))
    }

    /// Its first granule, if it lies in the first region.
    pub fn granule_in_first(self) -> Option<u32> {
        let Place { region, granule } = self.place();
        core::ptr::eq(region, region::regions().first()?).then_some(granule as u32)
    }

    /// The slab of a descriptor that [`Slab::descriptor`] gave.
    #[inline]
    pub fn from_list(descriptor: NonNull<Descriptor>) -> Slab {
        // A descriptor lies below its region's base by less than the region's descriptors take.
        let below = |region: &&Region| {
            region.base().wrapping_sub(descriptor.addr().get()).wrapping_sub(1) < region.descriptor_bytes()
        };
        let Some(region) = region::regions().iter().find(below) else {
            Line::new().text("internal error: a list of slabs leads out of all regions").abort()
        };
        Slab { region, descriptor: descriptor.as_ptr() }
    }

    /// Its place in the lists.
    #[inline]
    pub fn descriptor(self) -> NonNull<Descriptor> {
        // SAFETY: a slab's descriptor lies in its region's reservation.
        unsafe { NonNull::new_unchecked(self.descriptor) }
    }

    /// The thread that takes from it before others do, if its blocks are small.
    #[inline]
    pub fn home(self) -> Home {
        // SAFETY: a slab's descriptor lies in its region's reservation.
        // Relaxed: it is a wish.
        unsafe { (*self.descriptor).tag.load(Relaxed) }
    }

    /// From now on it is this thread's. Of small blocks only.
    pub fn set_home(self, home: Home) {
        // SAFETY: as in `home`.
        unsafe { (*self.descriptor).tag.store(home, Relaxed) }
    }

    /// Its state.
    #[inline]
    #[allow(clippy::mut_from_ref)]
    pub fn body<'a>(self) -> &'a mut SlabBody {
        // SAFETY: a slab's body belongs to the holder of the class's lock; each use is a short expression.
        unsafe { &mut (*self.descriptor).body.slab }
    }

    #[inline]
    fn shape(self) -> &'static Shape {
        // SAFETY: the class is set when the slab is made and never changes; it is below CLASS_COUNT.
        unsafe { SHAPES.get_unchecked(usize::from((*self.descriptor).class)) }
    }

    #[inline]
    fn start(self) -> *mut u8 {
        self.region.address_of(self.region.granule_of(self.descriptor))
    }

    fn place(self) -> Place {
        Place { region: self.region, granule: self.region.granule_of(self.descriptor) }
    }

    /// Blocks that can be taken from it.
    #[inline]
    pub fn available(self) -> usize {
        (self.body().free + self.shape().blocks - self.body().carved) as usize
    }

    /// Whether no block of it is live.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.body().free == self.body().carved
    }

    /// Takes free blocks, lowest address first, until `out` is full or the slab is; returns how many.
    pub fn take(self, out: &mut [*mut u8]) -> usize {
        let (shape, start, body) = (self.shape(), self.start(), self.body());
        let size = shape.size as usize;
        let (bitmap, wanted) = (body.bitmap, out.len().min(body.free as usize));
        let mut count = 0;
        let mut word = body.first_word as usize;
        while count < wanted {
            // The word's bits stand in a register meanwhile: through memory each block would wait for the one before.
            // SAFETY: as long as blocks are free there is a set bit at or after `first_word`.
            let mut bits = unsafe { *bitmap.add(word) };
            while bits != 0 && count < wanted {
                let block = word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                out[count] = start.wrapping_add(block * size);
                count += 1;
            }
            // SAFETY: the same word.
            unsafe { *bitmap.add(word) = bits };
            if bits == 0 && count < body.free as usize {
                word += 1;
            }
        }
        body.free -= count as u32;
        body.first_word = word as u32;
        body.holes = Holes::Stirred;
        self.mark_again(&out[..count]);
        count + self.carve(&mut out[count..])
    }

    /// Like [`take`](Slab::take), for blocks smaller than a cache line that one CPU will use: only such as share their line with no
    /// block that is in use. 0 if there are none.
    ///
    /// Eight blocks in a row, the first one's index a multiple of 8, fill whole lines, whatever their size: a byte of the bitmap.
    pub fn take_apart(self, out: &mut [*mut u8]) -> usize {
        const GROUP: u32 = 8;
        let (shape, start, body) = (self.shape(), self.start(), self.body());
        let size = shape.size as usize;
        let mut count = 0;
        body.holes = Holes::Stirred;
        for word in body.first_word as usize..(body.carved as usize).div_ceil(64) {
            for shift in (0..64).step_by(GROUP as usize) {
                // SAFETY: the word counts because some of its blocks were carved.
                let bits = unsafe { &mut *body.bitmap.add(word) };
                if (*bits >> shift) as u8 != u8::MAX {
                    continue;
                }
                let taken = (GROUP as usize).min(out.len() - count);
                *bits &= !(((1u64 << taken) - 1) << shift);
                body.free -= taken as u32;
                for block in 0..taken {
                    out[count + block] = start.wrapping_add((word * 64 + shift + block) * size);
                }
                count += taken;
                if count == out.len() {
                    self.mark_again(out);
                    return count;
                }
            }
        }
        self.mark_again(&out[..count]);
        // What is left of a group that others have begun stays here, as free as what was given back.
        let next = body.carved.next_multiple_of(GROUP);
        if next < shape.blocks {
            for block in body.carved..next {
                // SAFETY: the word counts because the group's first block was carved.
                unsafe { *body.bitmap.add(block as usize / 64) |= 1 << (block % 64) };
                body.first_word = body.first_word.min(block / 64);
                body.free += 1;
            }
            body.carved = next;
            count += self.carve(&mut out[count..]);
        }
        count
    }

    /// Of blocks that leave the slab for a bin those that lost their marks get them again: from there on nothing else tells that they are
    /// free. The slab is no longer unmarked when all of them have left.
    fn mark_again(self, blocks: &[*mut u8]) {
        // SAFETY: the class is the slab's for as long as it is one.
        let class = unsafe { usize::from((*self.descriptor).class) };
        // Of a medium block the slab itself says whether it is free, always.
        if !self.place().is_unmarked() || class::is_medium(class) {
            return;
        }
        for &block in blocks {
            // SAFETY: blocks of this slab, free and the caller's.
            unsafe { mark::put(block, class) };
        }
        if self.body().free == 0 {
            self.set_unmarked(false);
        }
    }

    /// Takes blocks that were never handed out, until `out` is full or there are no more; returns how many.
    #[inline]
    fn carve(self, out: &mut [*mut u8]) -> usize {
        let (shape, start, body) = (self.shape(), self.start(), self.body());
        let mut count = 0;
        while count < out.len() && body.carved < shape.blocks {
            let block = body.carved as usize;
            if block.is_multiple_of(64) {
                // SAFETY: the bitmap has a word for each 64 blocks; from here on this one counts.
                unsafe { *body.bitmap.add(block / 64) = 0 };
            }
            out[count] = start.wrapping_add(block * shape.size as usize);
            body.carved += 1;
            count += 1;
        }
        count
    }

    /// The slab of `class` that holds `address`, and its first byte; None if there is none.
    #[inline(always)]
    pub fn of_block(address: usize, class: usize) -> Option<(Slab, usize)> {
        let first = region::first();
        match first.code(address) {
            Some((code, granule)) if class::of_code(code) == class => {
                // SAFETY: as in `at`; the class map says that the granule belongs to a slab.
                let head = unsafe { (*first.descriptor(granule)).head as usize };
                let slab = Slab { region: first.region(), descriptor: first.descriptor(head) };
                Some((slab, first.address_of(head)))
            }
            _ => Slab::of_further_block(address, class),
        }
    }

    #[cold]
    #[inline(never)]
    fn of_further_block(address: usize, class: usize) -> Option<(Slab, usize)> {
        let slab = Slab::at(region::locate_in_slab(address, class)?);
        Some((slab, slab.start().addr()))
    }

    /// Puts blocks of `class`, which is the slab's, back: the first one, which lies in the slab, and those after it up to the first that
    /// does not, or that can't be put back, see [`fault_of_own`](Slab::fault_of_own). `start` is the slab's first byte. Returns how many.
    #[inline(always)]
    pub fn put_run(self, start: usize, blocks: &[*mut u8], class: usize) -> usize {
        let (shape, body) = (SHAPES[class], self.body());
        let bitmap = body.bitmap;
        let carved_bytes = body.carved as usize * shape.size as usize;
        let index = |block: *mut u8| {
            let offset = block.addr().wrapping_sub(start);
            if offset < carved_bytes { shape.index_at(offset) } else { None }
        };
        let Some(mut block) = blocks.first().and_then(|&block| index(block)) else { return 0 };
        let mut count = 0;
        // The bits of one word stand in a register meanwhile: through memory each block would wait for the one before.
        let mut word = block / 64;
        body.first_word = body.first_word.min(word as u32);
        // SAFETY: the word counts because the block was carved.
        let mut bits = unsafe { *bitmap.add(word) };
        loop {
            let with = bits | 1 << (block % 64);
            if with == bits {
                break;
            }
            bits = with;
            count += 1;
            let Some(next) = blocks.get(count).and_then(|&block| index(block)) else { break };
            block = next;
            if block / 64 != word {
                // SAFETY: the old word was read here; the new one counts because the block was carved.
                unsafe {
                    *bitmap.add(word) = bits;
                    word = block / 64;
                    bits = *bitmap.add(word);
                }
                body.first_word = body.first_word.min(word as u32);
            }
        }
        // SAFETY: the word was read above.
        unsafe { *bitmap.add(word) = bits };
        body.free += count as u32;
        if body.holes == Holes::Given {
            body.holes = Holes::Idle;
        }
        count
    }

    /// What would keep a block of `class`, which is the slab's, from being put back, if it lies in the slab. Under the class's lock.
    pub fn fault_of_own(self, address: usize, class: usize) -> Option<Fault> {
        let span = usize::from(SHAPES[class].granules) * GRANULE;
        if self.offset_of(address) < span { self.fault_of(address, class) } else { None }
    }

    /// The same for a block that lies in the slab.
    pub fn fault_of(self, address: usize, class: usize) -> Option<Fault> {
        let (shape, body) = (&SHAPES[class], self.body());
        let offset = self.offset_of(address);
        // Before the index is asked for, which is right only inside the slab's span.
        if offset >= shape.blocks as usize * shape.size as usize {
            return Some(Fault::NeverAllocated);
        }
        let Some(block) = shape.index_at(offset) else { return Some(Fault::Interior) };
        if block >= body.carved as usize {
            return Some(Fault::NeverAllocated);
        }
        // SAFETY: the word counts because the block was carved.
        let word = unsafe { *body.bitmap.add(block / 64) };
        (word >> (block % 64) & 1 == 1).then_some(Fault::DoubleFree)
    }

    /// Gives an empty slab back to the page heap.
    pub fn retire(self) {
        debug_assert!(self.is_empty());
        let shape = self.shape();
        let body = self.body();
        let bytes = bitmap_bytes(shape);
        if bytes > 0 {
            // SAFETY: taken in `new` with the same size; nobody looks at the slab any more.
            unsafe { records::give(body.bitmap.cast(), bytes) };
        }
        let used = (body.carved as usize * shape.size as usize).div_ceil(GRANULE);
        let granule = self.region.granule_of(self.descriptor);
        for granule in granule..granule + usize::from(shape.granules) {
            self.region.code_of(granule).store(0, Relaxed);
        }
        pages::free(Place { region: self.region, granule }, used);
    }

    /// Gives back the whole pages that hold only free blocks, with `idle_only` if nothing was taken from it since
    /// the last call; returns how many bytes.
    pub fn purge_holes(self, idle_only: bool) -> usize {
        let (shape, start, body) = (self.shape(), self.start(), self.body());
        let (size, page) = (shape.size as usize, os::page_size());
        if body.holes == Holes::Given {
            return 0;
        }
        if idle_only && body.holes == Holes::Stirred {
            body.holes = Holes::Idle;
            return 0;
        }
        body.holes = Holes::Given;
        if body.free as usize * size < page {
            return 0;
        }
        let mut given = 0;
        let mut from = 0;
        let carved = body.carved as usize;
        // SAFETY: the bitmap counts up to `carved`, under the class's lock. Free blocks hold nothing that anybody needs.
        unsafe {
            while let Some((first, last)) = crate::bits::first_run(body.bitmap, from, carved) {
                let begin = (first * size).next_multiple_of(page);
                let end = (last * size) / page * page;
                if begin < end {
                    // First the flag, then the pages: a second free must find one or the other.
                    if !self.place().is_unmarked() {
                        self.set_unmarked(true);
                    }
                    if os::purge(start.add(begin), end - begin) {
                        given += end - begin;
                    } else {
                        // The kernel refused: another round may try again.
                        body.holes = Holes::Idle;
                    }
                }
                from = last;
            }
        }
        given
    }

    /// Tells the fast path of free whether free blocks here may have lost their marks.
    fn set_unmarked(self, unmarked: bool) {
        let first = self.place().granule;
        for granule in first..first + usize::from(self.shape().granules) {
            let code = self.region.code_of(granule);
            let flag = if unmarked { UNMARKED } else { 0 };
            // Relaxed: who frees a block twice is no friend whose reads have to be ordered; the flag is there before the pages go.
            code.store(code.load(Relaxed) & !UNMARKED | flag, Relaxed);
        }
    }

    /// Where in the slab an address lies, in bytes from its first block.
    pub fn offset_of(self, address: usize) -> usize {
        address.wrapping_sub(self.start().addr())
    }

    /// What is wrong with freeing the block that begins at `address`, as the slab knows it: a block in a bin is live to it.
    pub fn fault_at(self, address: usize) -> Option<Fault> {
        let block = self.shape().index_of(self.offset_of(address));
        if block >= self.body().carved as usize {
            return Some(Fault::NeverAllocated);
        }
        // SAFETY: the word counts because the block was carved.
        let word = unsafe { *self.body().bitmap.add(block / 64) };
        (word >> (block % 64) & 1 != 0).then_some(Fault::DoubleFree)
    }
}

/// Bytes of a bitmap in the records; 0 if it fits the descriptor.
pub fn bitmap_bytes(shape: &Shape) -> usize {
    if shape.blocks <= 64 { 0 } else { (shape.blocks as usize).div_ceil(64) * 8 }
}

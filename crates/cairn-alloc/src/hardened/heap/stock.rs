//! What a thread has of one class in hardened mode: free blocks that are used in random order, and a quarantine before them.
//!
//! ```text
//!   free(p):   judged, cleared ──► ring: the last so many blocks freed ──the oldest──► stock ──half──► slabs
//!   malloc:    one of the stock at random, looked at ◄── stock ◄──a batch, from random places── slabs
//! ```
//! Invariants: what is in a stock or a ring is free and zero. A stock is never emptied below `least` while the slabs have blocks, so that
//! there is always a choice. Its thread alone changes it; what a fork's child, which has that thread no longer, finds of it is whole
//! by the order of stores: blocks before the length that counts them, sizes before the memory, and memory forgotten before it is
//! given away.

use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU16, Ordering::Relaxed};

use cairn_core::ord;
use cairn_core::sync::compiler_fence;

use crate::class::SHAPES;
use crate::hardened::random::Stream;
use crate::hardened::{bytes, center, judge, seal, slab};
use crate::records;

/// A place for a block; null if none is there.
pub type Slot = *mut u8;

/// Blocks of one class. All zeroes is one without memory.
#[repr(C)]
pub struct Stock {
    /// `ring_slots` of the ring, then `capacity` of the stock; null before the first use.
    pub(super) ring: AtomicPtr<Slot>,
    /// The slots of the stock. The block in the first one was chosen at random from all: it is the next to be handed out. (Not if
    /// `floor` says so.)
    pub(super) slots: Cell<*mut Slot>,
    /// Blocks in the stock.
    pub(super) length: AtomicU16,
    /// The ring's oldest slot.
    pub(super) head: Cell<u16>,
    /// Slots of the ring, less 1; a power of two less 1.
    pub(super) ring_mask: AtomicU16,
    /// Slots of the stock.
    pub(super) capacity: Cell<u16>,
    /// What an allocation leaves in the stock: all, which is `capacity`, as long as no block was chosen.
    floor: Cell<u16>,
    /// Blocks in the ring.
    pub(super) held: AtomicU16,
    /// Blocks to fetch next time.
    batch: Cell<u16>,
    _pad: u16,
}

/// Blocks and bytes that a ring holds at most, and blocks at least,
const RING_MAX: usize = 64;
const RING_BYTES: usize = 16 << 10;
const RING_MIN: usize = 4;
/// and the same for a stock.
const STOCK_MAX: usize = 128;
const STOCK_BYTES: usize = 32 << 10;
const STOCK_MIN: usize = 6;
/// What stays in a stock to choose from is at most this.
const FLOOR_MAX: u16 = 8;
/// Of all that each has this part where threads are many.
const CROWD_PART: usize = 4;

impl Stock {
    #[inline(always)]
    pub(super) fn own_length(&self) -> usize {
        usize::from(self.length.load(Relaxed))
    }

    /// The mask, for the heap's thread: a plain read is an instruction less.
    #[inline(always)]
    fn own_ring_mask(&self) -> u16 {
        // SAFETY: nobody else writes it.
        unsafe { *self.ring_mask.as_ptr() }
    }

    /// Takes a random block, if more than the floor are there.
    #[inline(always)]
    pub fn pick(&self, class: usize, random: &Stream) -> Option<*mut u8> {
        let length = self.own_length();
        if length <= usize::from(self.floor.get()) {
            return None;
        }
        // SAFETY: the stock has `length` blocks, at least one.
        Some(unsafe { self.pick_of(length, class, random) })
    }

    /// Takes the chosen block, and chooses the next one, which the processor fetches meanwhile.
    ///
    /// # Safety
    /// `length` is the stock's, and above 0.
    #[inline(always)]
    unsafe fn pick_of(&self, length: usize, class: usize, random: &Stream) -> *mut u8 {
        let (slots, left) = (self.slots.get(), length - 1);
        // SAFETY: the slots lie in the stock, which has two at least. If no block is left, what stands in the first is none either.
        unsafe {
            let at = slots.add(1 + random.below(left));
            let (block, next) = (*slots, *at);
            *at = *slots.add(left);
            *slots = next;
            self.length.store(left as u16, Relaxed);
            bytes::fetch(next, seal::capacity(class));
            block
        }
    }

    /// Chooses one of its first blocks at random.
    ///
    /// # Safety
    /// So many are there, at least one.
    unsafe fn choose(&self, length: usize, random: &Stream) {
        // SAFETY: both slots lie in the stock.
        unsafe { ptr::swap(self.slots.get(), self.slots.get().add(random.below(length))) };
    }

    /// Puts a block into the quarantine. False, and nothing done, if the stock is full or has no memory.
    #[inline(always)]
    pub fn retain(&self, block: *mut u8) -> bool {
        let (ring, length) = (self.ring.load(Relaxed), self.own_length());
        if length == usize::from(self.capacity.get()) {
            return false;
        }
        let head = self.head.get();
        // SAFETY: `head` is below the ring's length, and the stock has room.
        unsafe {
            let oldest = ring.add(usize::from(head)).replace(block);
            self.head.set(head.wrapping_add(1) & self.own_ring_mask());
            if oldest.is_null() {
                self.held.store(self.held.load(Relaxed) + 1, Relaxed);
            } else {
                *self.slots.get().add(length) = oldest;
                compiler_fence(ord!("stock-retain", Release));
                self.length.store(length as u16 + 1, Relaxed);
            }
        }
        true
    }

    /// Fetches blocks from the slabs and picks one; null if memory is short. The stock is open.
    pub fn fetch(&self, class: usize, random: &Stream) -> *mut u8 {
        let length = self.own_length();
        let room = usize::from(self.capacity.get()) - length;
        let most = usize::from(self.capacity.get()) / 2;
        let batch =
            (usize::from(self.least()) + 1 + usize::from(self.batch.get())).saturating_sub(length).min(room);
        self.batch.set((2 * usize::from(self.batch.get())).min(most) as u16);
        // SAFETY: the slots behind the stock's blocks are free, and there are that many.
        let out = unsafe { core::slice::from_raw_parts_mut(self.slots.get().add(length), batch) };
        // Counted under the class's lock, which a fork takes, so that its child loses none of them.
        let counted = |count| self.length.store((length + count) as u16, Relaxed);
        let count = center::of(class).take(class, out, random, counted);
        slab::touch(&mut out[..count], class);
        match length + count {
            0 => ptr::null_mut(),
            // SAFETY: so many are there, and one of them is chosen.
            now => unsafe {
                // Frees may have filled the stock since it was made, or since its last block went.
                if self.floor.get() == self.capacity.get() {
                    self.choose(now, random);
                }
                self.floor.set(if now > 1 { self.least() } else { self.capacity.get() });
                self.pick_of(now, class, random)
            },
        }
    }

    /// Gives half of a full stock to the slabs.
    pub fn make_room(&self, class: usize) {
        let length = self.own_length();
        if length < usize::from(self.capacity.get()) {
            return;
        }
        let keep = length / 2;
        // SAFETY: the blocks above `keep` are the stock's.
        let out = unsafe { core::slice::from_raw_parts(self.slots.get().add(keep), length - keep) };
        self.put(class, out, |left| self.length.store((keep + left) as u16, Relaxed));
    }

    /// Puts blocks of the stock into their slabs, and has it forget them while the class's lock, which a fork takes, is held: its child
    /// neither loses a block nor sees one twice.
    fn put(&self, class: usize, blocks: &[*mut u8], forget: impl FnMut(usize)) {
        center::of(class).put(class, blocks, forget, |block| judge::double_free(block, class));
    }

    /// Gets its memory; false if there is none.
    #[cold]
    pub fn open(&self, class: usize, is_crowded: bool) -> bool {
        if !self.ring.load(Relaxed).is_null() {
            return true;
        }
        let size = SHAPES[class].size as usize;
        let part = if is_crowded { CROWD_PART } else { 1 };
        let ring = ((RING_BYTES / size).clamp(RING_MIN, RING_MAX) / part).max(RING_MIN);
        let ring = ring.next_power_of_two();
        let capacity = ((STOCK_BYTES / size).clamp(STOCK_MIN, STOCK_MAX) / part).max(STOCK_MIN);
        let bytes = (ring + capacity) * size_of::<Slot>();
        let memory: *mut Slot = records::take(bytes).cast();
        if memory.is_null() {
            return false;
        }
        // SAFETY: the piece is ours and that long.
        unsafe { ptr::write_bytes(memory, 0, ring + capacity) };
        self.ring_mask.store(ring as u16 - 1, Relaxed);
        self.capacity.set(capacity as u16);
        self.floor.set(capacity as u16);
        self.batch.set(2);
        self.head.set(0);
        // A fork's child that finds the memory finds how much it is.
        compiler_fence(ord!("stock-open", Release));
        self.slots.set(memory.wrapping_add(ring));
        self.ring.store(memory, Relaxed);
        true
    }

    /// What stays in it to choose from, less than its capacity.
    fn least(&self) -> u16 {
        (self.capacity.get() / 3).min(FLOOR_MAX)
    }

    /// Bytes of its memory.
    pub(super) fn bytes(&self) -> usize {
        (usize::from(self.ring_mask.load(Relaxed)) + 1 + usize::from(self.capacity.get())) * size_of::<Slot>()
    }

    /// Gives all its blocks and its memory away.
    pub fn close(&self, class: usize) {
        if self.ring.load(Relaxed).is_null() {
            return;
        }
        self.empty(class);
        let (memory, bytes) = (self.ring.load(Relaxed), self.bytes());
        // First, so that the child of a fork never finds memory here that is no longer ours.
        self.forget();
        compiler_fence(ord!("stock-close", Release));
        // SAFETY: taken by `open` with as many bytes, and nobody knows it any more.
        unsafe { records::give(memory.cast(), bytes) };
    }

    /// Puts all its blocks back into their slabs.
    fn empty(&self, class: usize) {
        let (ring, slots) = (self.ring.load(Relaxed), self.slots.get());
        let ring_slots = usize::from(self.ring_mask.load(Relaxed)) + 1;
        for slot in 0..ring_slots {
            // SAFETY: the slot is the ring's.
            let slot = unsafe { Cell::from_mut(&mut *ring.add(slot)) };
            if !slot.get().is_null() {
                self.put(class, &[slot.get()], |_| slot.set(ptr::null_mut()));
            }
        }
        self.held.store(0, Relaxed);
        // SAFETY: so many blocks are in the stock.
        let blocks = unsafe { core::slice::from_raw_parts(slots, self.own_length()) };
        self.put(class, blocks, |left| self.length.store(left as u16, Relaxed));
    }

    fn forget(&self) {
        self.ring.store(ptr::null_mut(), Relaxed);
        compiler_fence(ord!("stock-forget", Release));
        self.length.store(0, Relaxed);
        self.held.store(0, Relaxed);
        self.capacity.set(0);
        self.floor.set(0);
        self.ring_mask.store(0, Relaxed);
    }

    /// In the child of a fork, in which the stock's thread no longer exists: gives all its blocks and its memory away.
    ///
    /// That thread stopped anywhere, so of what the stock names only the blocks are taken that read as free ones, zero, and are not in a
    /// slab yet: what it was just handing out or putting away is lost to the child.
    pub fn bury(&self, class: usize) {
        let (memory, bytes) = (self.ring.load(Relaxed), self.bytes());
        if memory.is_null() {
            // Nothing to do as a rule: the page stays shared with the parent.
            if self.ring_mask.load(Relaxed) > 0 || self.capacity.get() > 0 {
                self.forget();
            }
            return;
        }
        let ring_slots = usize::from(self.ring_mask.load(Relaxed)) + 1;
        let length = self.own_length().min(self.capacity.get().into());
        for slot in 0..ring_slots + length {
            // SAFETY: the slots of the ring, then those of the stock, which were all written or are null.
            let block = unsafe { slab::plain(*memory.add(slot)) };
            // SAFETY: what stands in the slots of a class are blocks of it.
            if !block.is_null() && unsafe { seal::is_untouched(block, seal::capacity(class)) } {
                center::of(class).put(class, &[block], |_| (), |_| ());
            }
        }
        self.forget();
        // SAFETY: a stock that leads to memory has all of it, by the order of stores in `open` and `close`; its thread is gone.
        unsafe { records::give(memory.cast(), bytes) };
    }

    /// Blocks in ring and stock.
    pub fn blocks(&self) -> usize {
        usize::from(self.length.load(Relaxed)) + usize::from(self.held.load(Relaxed))
    }

    /// Whether a block waits here, as another thread sees it: perhaps no longer, or not yet.
    pub fn holds(&self, block: *mut u8) -> bool {
        let ring = self.ring.load(Relaxed);
        let slots = usize::from(self.ring_mask.load(Relaxed)) + 1 + self.own_length();
        // SAFETY: the slots of the ring, then those of the stock. Memory of stocks is never unmapped. A race with the stock's thread, which
        // uses plain stores of whole words; see `Sync` of [`Heap`](super::Heap).
        !ring.is_null()
            && (0..slots).any(|slot| unsafe { AtomicPtr::from_ptr(ring.add(slot)).load(Relaxed) } == block)
    }
}

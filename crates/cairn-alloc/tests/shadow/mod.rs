//! A shadow of the heap: it knows each live block, what was written to it, and how it must be freed, and holds all of this
//! against the heap at each step. Shared by test binaries that differ in a setting, because a setting holds for a whole
//! process, and by the fuzz target (`fuzz/`), which plays bytes on the exported functions.
//!
//! | file | |
//! |---|---|
//! | mod.rs | the shadow and its steps |
//! | live.rs | one block and what it holds |
//! | door.rs | the functions under test |
//! | random.rs | where decisions come from |
//! | runs.rs | runs by seed, by one thread and by several, and the count of live blocks |
//! | play.rs | runs by bytes, by up to four threads |
#![allow(dead_code, unused_imports)] // each test uses a part
#![allow(clippy::undocumented_unsafe_blocks)] // a step owns the blocks that it took out; a door's contract is its function's

pub mod door;
mod live;
pub mod play;
mod random;
mod runs;

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::ptr;

use cairn_alloc::class::SMALL_MAX;
use cairn_alloc::mode::{self, Mode};
use cairn_alloc::{Cairn, engine};

use door::{Door, Owner, called};
pub use live::Live;
pub use random::Random;
pub use runs::{alone, expect_counted, expect_whole, run_alone, run_threads, steps};

pub fn allocate(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    if block.is_null() { engine::allocate_slow(size) } else { block }
}

/// # Safety
/// `block` is live, or null.
pub unsafe fn free(block: *mut u8) {
    // SAFETY: the caller's contract; what the fast half refuses is still live.
    unsafe {
        if !engine::free_fast(block) {
            engine::free_slow(block);
        }
    }
}

/// Blocks by address.
pub struct Shadow {
    door: &'static Door,
    blocks: BTreeMap<usize, Live>,
    /// Their addresses, in no order, to choose from.
    addresses: Vec<usize>,
    bytes: usize,
    stamp: u8,
    /// The greatest size, as a power of two, that a step asks for (but for the impossible ones).
    pub log2_max: u64,
    /// With more bytes than this, a step frees instead of allocating.
    pub bytes_max: usize,
    /// Whether other threads allocate meanwhile: then the engine's counts are not exact.
    pub in_company: bool,
}

impl Shadow {
    pub fn new(door: &'static Door) -> Self {
        Self::with(door, Vec::new())
    }

    pub fn with(door: &'static Door, blocks: Vec<Live>) -> Self {
        let (map, addresses) = (BTreeMap::new(), Vec::new());
        let (log2_max, bytes_max) = (23, 48 << 20);
        let mut shadow = Shadow {
            door,
            blocks: map,
            addresses,
            bytes: 0,
            stamp: 0,
            log2_max,
            bytes_max,
            in_company: false,
        };
        blocks.into_iter().for_each(|live| shadow.take_in(live));
        shadow
    }

    pub fn into_blocks(self) -> Vec<Live> {
        self.blocks.into_values().collect()
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Live> {
        self.blocks.values()
    }

    /// Takes a live block in; it must overlap with none.
    pub fn take_in(&mut self, live: Live) {
        let (address, usable) = (live.address, live.usable);
        if let Some((_, before)) = self.blocks.range(..=address).next_back() {
            assert!(before.address + before.usable <= address, "{before:x?} overlaps {address:x}");
        }
        if let Some((behind, _)) = self.blocks.range(address..).next() {
            assert!(address + usable <= *behind, "{address:x}+{usable:x} overlaps {behind:x}");
        }
        self.bytes += usable;
        self.addresses.push(address);
        self.blocks.insert(address, live);
    }

    /// Takes a new block in, whose contents are zero or anything, and writes to it.
    fn add(&mut self, pointer: *mut u8, owner: Owner, zero: bool, random: &mut Random) {
        let (size, _) = owner.request();
        assert!(!pointer.is_null(), "no memory for {owner:?}");
        assert!(pointer.addr().is_multiple_of(owner.align()), "{pointer:p} for {owner:?}");
        self.stamp = self.stamp.wrapping_add(1).max(1);
        let mut live = Live::new(pointer, owner, self.stamp);
        // SAFETY: the block is live.
        let usable = unsafe { (self.door.usable_size)(pointer) };
        assert!(usable >= size && usable >= live.usable, "{usable} bytes can be used of {owner:?}");
        // Of a zeroed block that nobody writes to, the engine should know that it is still zero.
        if zero {
            live.zero_to = size;
            live.check(live.usable, random);
        }
        if !(zero && random.once_in(4)) {
            live.write(random);
        }
        self.take_in(live);
    }

    /// Takes any block out, its contents checked; it is still allocated.
    pub fn take(&mut self, random: &mut Random) -> Option<Live> {
        let count = self.addresses.len() as u64;
        (count > 0).then(|| random.below(count) as usize).map(|at| self.take_out(at, random))
    }

    fn take_out(&mut self, at: usize, random: &mut Random) -> Live {
        let address = self.addresses.swap_remove(at);
        let live = self.blocks.remove(&address).expect("addresses and blocks agree");
        live.check(live.usable, random);
        self.bytes -= live.usable;
        live
    }

    /// Gives back a block that was taken out.
    fn release(&self, live: &Live, random: &mut Random) {
        // SAFETY: the block is live and ours, and forgotten.
        unsafe { self.door.release(live.pointer(), live.owner, random) };
    }

    /// Frees all.
    pub fn clear(&mut self, random: &mut Random) {
        while !self.addresses.is_empty() {
            let live = self.take_out(self.addresses.len() - 1, random);
            self.release(&live, random);
        }
    }

    /// One operation.
    pub fn step(&mut self, random: &mut Random) {
        if self.bytes > self.bytes_max {
            return self.free_one(random);
        }
        match random.below(40) {
            0..9 => self.allocate(random),
            9..12 => self.allocate_zeroed(random),
            12..14 => self.allocate_aligned(random),
            14..17 => self.allocate_by_new(random),
            17..20 => self.allocate_by_layout(random),
            20..25 => self.resize(random),
            25 => self.shrink_a_little(random),
            26 => self.many(random),
            27 => self.free_many(random),
            28 => self.impossible(random),
            29 => self.nothing(random),
            _ => self.free_one(random),
        }
    }

    fn free_one(&mut self, random: &mut Random) {
        if let Some(old) = self.take(random) {
            self.release(&old, random);
        }
    }

    fn some_size(&self, log2_max: u64, random: &mut Random) -> usize {
        if random.once_in(64) {
            random.large(self.log2_max)
        } else {
            random.size(log2_max.min(self.log2_max))
        }
    }

    fn allocate(&mut self, random: &mut Random) {
        let size = self.some_size(19, random);
        let block = called(|| (self.door.malloc)(size));
        self.add(block, Owner::Plain { size }, false, random);
    }

    fn allocate_zeroed(&mut self, random: &mut Random) {
        let size = self.some_size(18, random);
        let count = 1 + random.below(4) as usize;
        let block = called(|| (self.door.calloc)(count, size.div_ceil(count)));
        self.add(block, Owner::Plain { size: count * size.div_ceil(count) }, true, random);
    }

    /// To 4 MiB.
    fn some_align(random: &mut Random) -> usize {
        1 << if random.once_in(2) { random.below(23) } else { random.below(7) }
    }

    fn allocate_aligned(&mut self, random: &mut Random) {
        let (align, size) = (Self::some_align(random), random.size(18));
        let page = cairn_core::os::page_size();
        let (block, owner) = match random.below(5) {
            0 => {
                let block = called(|| (self.door.aligned_alloc)(align, size));
                (block, Owner::Aligned { size, align })
            }
            1 => {
                let (mut block, align) = (ptr::null_mut(), align.max(size_of::<usize>()));
                // SAFETY: the place for the result is a local.
                let code = unsafe { (self.door.posix_memalign)(&mut block, align, size) };
                assert_eq!(code, 0, "posix_memalign");
                (block, Owner::Other { size, align })
            }
            2 => (called(|| (self.door.memalign)(align, size)), Owner::Other { size, align }),
            3 => (called(|| (self.door.valloc)(size)), Owner::Other { size, align: page }),
            _ => {
                let whole = size.max(1).next_multiple_of(page);
                (called(|| (self.door.pvalloc)(size)), Owner::Other { size: whole, align: page })
            }
        };
        self.add(block, owner, false, random);
    }

    fn allocate_by_new(&mut self, random: &mut Random) {
        let size = self.some_size(16, random);
        let tag = &0;
        let (block, align) = match random.below(4) {
            0 => (called(|| (self.door.new)(size)), 0),
            1 => (called(|| (self.door.new_nothrow)(size, tag)), 0),
            2 => {
                let align = Self::some_align(random);
                (called(|| (self.door.new_aligned)(size, align)), align)
            }
            _ => {
                let align = Self::some_align(random);
                (called(|| (self.door.new_aligned_nothrow)(size, align, tag)), align)
            }
        };
        self.add(block, Owner::New { size, align }, false, random);
    }

    fn some_layout(&self, random: &mut Random) -> Layout {
        let size = self.some_size(18, random).max(1);
        Layout::from_size_align(size, Self::some_align(random)).expect("a small alignment")
    }

    fn allocate_by_layout(&mut self, random: &mut Random) {
        let layout = self.some_layout(random);
        let zero = random.once_in(3);
        // SAFETY: the size is not 0.
        let block = unsafe { if zero { Cairn.alloc_zeroed(layout) } else { Cairn.alloc(layout) } };
        self.add(block, Owner::Rust(layout), zero, random);
    }

    fn resize(&mut self, random: &mut Random) {
        let Some(old) = self.take(random) else { return };
        let size = match random.below(6) {
            0 => random.large(self.log2_max),
            // A little or a good deal more or less: there a block may stay in place, or move.
            1 => (old.usable + random.below(old.usable as u64 + 1) as usize).min(1 << self.log2_max),
            2 => old.usable.saturating_sub(random.below(64) as usize),
            _ => random.size(self.log2_max.min(20)),
        };
        self.reallocate(old, size.max(1), random);
    }

    /// Takes up to a sixth off a large block: it stays where it is, and what was cut off is no longer looked at. Then mostly
    /// frees it and asks for zeroes of the old size, which may come from the same place.
    fn shrink_a_little(&mut self, random: &mut Random) {
        let Some(old) = self.take(random) else { return };
        let whole = old.usable;
        if !old.is_large() || whole <= SMALL_MAX || matches!(old.owner, Owner::Rust(_)) {
            return self.reallocate(old, whole.max(1), random);
        }
        let size = (whole - random.below(whole as u64 / 6) as usize).max(SMALL_MAX + 1);
        // SAFETY: the block is live and ours.
        let same = unsafe { (self.door.realloc)(old.pointer(), size) };
        let stays = same == old.pointer() || mode::current() != Mode::Default;
        assert!(stays, "a large block that shrinks by little stays in place");
        if random.once_in(4) {
            return self.add(same, Owner::Plain { size }, false, random);
        }
        // SAFETY: as above; it is forgotten.
        unsafe { (self.door.free)(same) };
        let block = called(|| (self.door.calloc)(1, whole));
        self.add(block, Owner::Plain { size: whole }, true, random);
    }

    /// Resizes a block that was taken out. All that the program could use is kept, not only what it had asked for.
    fn reallocate(&mut self, old: Live, size: usize, random: &mut Random) {
        if let Owner::Rust(layout) = old.owner {
            return self.change_layout(old, layout, size, random);
        }
        let block = match random.below(2) {
            // SAFETY: the block is live and ours, here and below.
            0 => called(|| unsafe { (self.door.realloc)(old.pointer(), size) }),
            _ => called(|| unsafe { (self.door.reallocarray)(old.pointer(), size, 1) }),
        };
        assert!(!block.is_null(), "no memory to resize to {size} bytes");
        old.check_moved(block, size.min(old.usable), random);
        self.add(block, Owner::Plain { size }, false, random);
    }

    fn change_layout(&mut self, old: Live, layout: Layout, size: usize, random: &mut Random) {
        #[cfg(feature = "allocator-api2")]
        if random.once_in(2) {
            let align = if random.once_in(2) { Self::some_align(random) } else { layout.align() };
            let new = Layout::from_size_align(size, align).expect("a small alignment");
            return self.grow_or_shrink(old, layout, new, random);
        }
        // SAFETY: the block is live, ours, and of this layout.
        let block = unsafe { Cairn.realloc(old.pointer(), layout, size) };
        assert!(!block.is_null(), "no memory to resize to {size} bytes");
        old.check_moved(block, size.min(old.usable), random);
        let layout = Layout::from_size_align(size, layout.align()).expect("as the old one");
        self.add(block, Owner::Rust(layout), false, random);
    }

    /// By the `Allocator` trait, with another alignment.
    #[cfg(feature = "allocator-api2")]
    fn grow_or_shrink(&mut self, old: Live, layout: Layout, new: Layout, random: &mut Random) {
        use allocator_api2::alloc::Allocator;
        let block = ptr::NonNull::new(old.pointer()).expect("a live block");
        let zeroes = random.once_in(2);
        // SAFETY: the block is live, ours, and of this layout; the new one is larger or smaller, as it should be.
        let block = unsafe {
            match new.size() >= layout.size() {
                true if zeroes => Cairn.grow_zeroed(block, layout, new),
                true => Cairn.grow(block, layout, new),
                false => Cairn.shrink(block, layout, new),
            }
        };
        let block = block.expect("memory for a small block");
        if zeroes && new.size() > layout.size() {
            // SAFETY: the slice is ours.
            let tail = unsafe { &block.as_ref()[layout.size()..] };
            assert!(tail.iter().all(|&byte| byte == 0), "grow_zeroed of {layout:?} to {new:?}");
        }
        old.check_moved(block.cast().as_ptr(), new.size().min(old.usable), random);
        self.add(block.cast().as_ptr(), Owner::Rust(new), false, random);
    }

    /// Many blocks of one size: bins overflow, slabs fill.
    fn many(&mut self, random: &mut Random) {
        let (count, size) = (1 + random.below(256) as usize, random.size(13));
        for _ in 0..count.min((2 << 20) / size.max(1)) {
            let block = called(|| (self.door.malloc)(size));
            let mut live = Live::new(block, Owner::Plain { size }, 1 + random.idle(255) as u8);
            live.write_briefly();
            self.take_in(live);
        }
    }

    /// Frees many blocks: the newest ones, or every second or third of them, so that slabs drain or keep holes.
    fn free_many(&mut self, random: &mut Random) {
        let (count, stride) = (1 + random.below(256) as usize, 1 + random.below(3) as usize);
        let mut at = self.addresses.len();
        for _ in 0..count {
            let Some(next) = at.checked_sub(stride) else { return };
            let live = self.take_out(next, random);
            self.release(&live, random);
            at = next;
        }
    }

    /// What can't be had is null, and harms nothing.
    fn impossible(&mut self, random: &mut Random) {
        let size = isize::MAX as usize - (1 << 16) + random.below(1 << 17) as usize;
        let door = self.door;
        let block = match random.below(6) {
            0 => called(|| (door.malloc)(size)),
            1 => called(|| (door.calloc)(size, 1 + random.below(9) as usize)),
            2 => called(|| (door.calloc)(1 << 33, 1 << 31)),
            3 => called(|| (door.new_nothrow)(size, &0)),
            4 => called(|| (door.memalign)(1 << 22, size)),
            _ => {
                let Some(old) = self.take(random) else { return };
                let refused = match old.owner {
                    // SAFETY: the block is live and ours; a failed attempt leaves it as it was.
                    Owner::Rust(_) => ptr::null_mut(),
                    _ => called(|| unsafe { (door.reallocarray)(old.pointer(), size, 2) }),
                };
                old.check(old.usable, random);
                self.take_in(old);
                refused
            }
        };
        assert!(block.is_null(), "{size:x} bytes are more than there are");
    }

    /// Sizes of 0, null, and the heap's own housekeeping.
    fn nothing(&mut self, random: &mut Random) {
        match random.below(8) {
            0 => {
                let block = called(|| (self.door.malloc)(0));
                self.add(block, Owner::Plain { size: 0 }, false, random);
            }
            1 => {
                // SAFETY: null is allowed.
                let block = called(|| unsafe { (self.door.realloc)(ptr::null_mut(), 7) });
                self.add(block, Owner::Plain { size: 7 }, false, random);
            }
            2 => {
                let block = called(|| (self.door.calloc)(0, 5));
                self.add(block, Owner::Plain { size: 0 }, true, random);
            }
            // SAFETY: null is allowed.
            3 => unsafe { (self.door.free)(ptr::null_mut()) },
            4 => drop((self.door.trim)(0)),
            5 => drop((self.door.trim)(1 << 20)),
            6 => engine::purge_step(),
            _ => {
                let counted = engine::statistics().live_bytes();
                assert!(
                    counted >= self.bytes || self.in_company,
                    "{counted} of {} bytes are live",
                    self.bytes
                );
            }
        }
    }
}

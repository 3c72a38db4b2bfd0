//! A shadow of the engine: it knows each live block, what was written to it, and how many there are of each size, and
//! holds all of this against the engine at each step. The runs below are shared by test binaries that differ in a setting,
//! because a setting holds for a whole process.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_alloc::class::{self, SMALL_MAX};
use cairn_alloc::engine;

/// From this size on, a block is looked at and written in parts: pages that nobody has touched are a case of its own.
const SPARSE: usize = 1 << 20;
/// With more bytes than this, a shadow frees instead of allocating.
const BYTES_MAX: usize = 48 << 20;
/// The greatest size, as a power of two: some blocks in [`Shadow::step`] go up to it.
const LOG2_MAX: u64 = 23;

/// Tests that count live blocks run one at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A small generator, so that a failure can be repeated by its seed (xorshift64*, Vigna 2016).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// True once in `times`.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Mostly small, sometimes large: log-uniform up to 2^`log2_max`.
    fn size(&mut self, log2_max: u64) -> usize {
        let bits = self.below(log2_max + 1);
        self.below(1 << bits) as usize
    }

    /// A large block's size, log-uniform up to 2^[`LOG2_MAX`].
    fn large(&mut self) -> usize {
        let least = 1 << (15 + self.below(LOG2_MAX - 15));
        (least + 1 + self.below(least)) as usize
    }
}

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

/// A live block, `large` if it is a span of its own (which one of few bytes may be, for its alignment). The bytes of `written` are `stamp`; the others below `zero_to` are zero, the rest is anything.
#[derive(Clone, Debug)]
pub struct Live {
    address: usize,
    usable: usize,
    large: bool,
    stamp: u8,
    written: std::ops::Range<usize>,
    zero_to: usize,
}

impl Live {
    pub fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address)
    }

    fn expect(&self, range: std::ops::Range<usize>, value: u8) {
        let start = range.start;
        // SAFETY: the block is live and ours, and the range lies in it; nobody writes to it meanwhile.
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer().add(start), range.len()) };
        // A prime below every page size, so that no page is left out.
        let step = if bytes.len() > 1 << 16 { 509 } else { 1 };
        if let Some(i) = (0..bytes.len()).step_by(step).find(|&i| bytes[i] != value) {
            panic!("byte {} is {:#x} and not {value:#x} in {self:x?}", start + i, bytes[i]);
        }
    }

    /// Checks the first `upto` bytes; of pages that should be zero only a part if they are many, since a look touches them.
    fn check(&self, upto: usize, random: &mut Random) {
        self.expect(self.written.start.min(upto)..self.written.end.min(upto), self.stamp);
        let upto = upto.min(self.zero_to);
        let (before, behind) = (0..self.written.start.min(upto), self.written.end.min(upto)..upto);
        for range in [before, behind] {
            if self.usable < SPARSE {
                self.expect(range, 0);
                continue;
            }
            for from in range.clone().step_by(1 << 16) {
                if random.once_in(3) {
                    self.expect(from..range.end.min(from + (1 << 16)), 0);
                }
            }
        }
    }

    /// Writes to a part of the block, mostly to all of it: as far as was asked for, or as far as may be used.
    fn write(&mut self, size: usize, random: &mut Random) {
        let end = if random.once_in(2) { size } else { self.usable };
        self.written = 0..end;
        if end >= SPARSE / 8 && (self.zero_to > 0 || random.once_in(4)) {
            let from = random.below(end as u64) as usize;
            self.written = from..from + random.below((end - from) as u64) as usize;
        }
        // SAFETY: the block is live and ours, and has so many bytes.
        unsafe { self.pointer().add(self.written.start).write_bytes(self.stamp, self.written.len()) };
    }
}

/// Live blocks and their usable bytes: small ones by usable size, large ones under 0.
type Count = BTreeMap<usize, (usize, usize)>;

fn count<'a>(blocks: impl Iterator<Item = &'a Live>) -> Count {
    let mut count = Count::new();
    for live in blocks {
        let size = if live.large { 0 } else { live.usable };
        let entry = count.entry(size).or_default();
        *entry = (entry.0 + 1, entry.1 + live.usable);
    }
    count
}

/// The engine counts exactly these blocks: at once, or when the thread of a test that has just ended has brought back what it held
/// (the harness doesn't wait for that).
pub fn expect_counted<'a>(blocks: impl Iterator<Item = &'a Live>) {
    let expected = count(blocks);
    let mut counted = counted_by_the_engine();
    for _ in 0..1000 {
        if counted == expected {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        counted = counted_by_the_engine();
    }
    panic!("live blocks by size: the engine counts {counted:?}, the shadow {expected:?}");
}

fn counted_by_the_engine() -> Count {
    let statistics = engine::statistics();
    let small = statistics.classes.iter().filter(|class| class.live_blocks > 0);
    let mut counted: Count = small
        .map(|class| (class.block_size, (class.live_blocks, class.live_blocks * class.block_size)))
        .collect();
    if statistics.large_blocks > 0 || statistics.large_bytes > 0 {
        counted.insert(0, (statistics.large_blocks, statistics.large_bytes));
    }
    counted
}

/// Blocks by address.
#[derive(Default)]
pub struct Shadow {
    blocks: BTreeMap<usize, Live>,
    /// Their addresses in no order, to choose from.
    addresses: Vec<usize>,
    bytes: usize,
    stamp: u8,
}

impl Shadow {
    pub fn with(blocks: Vec<Live>) -> Self {
        let bytes = blocks.iter().map(|live| live.usable).sum();
        let addresses = blocks.iter().map(|live| live.address).collect();
        Shadow {
            blocks: blocks.into_iter().map(|live| (live.address, live)).collect(),
            addresses,
            bytes,
            stamp: 0,
        }
    }

    pub fn into_blocks(self) -> Vec<Live> {
        self.blocks.into_values().collect()
    }

    pub fn blocks(&self) -> impl Iterator<Item = &Live> {
        self.blocks.values()
    }

    /// Takes a new block in, whose contents are zero or anything, and writes to it.
    fn add(&mut self, pointer: *mut u8, size: usize, align: usize, zero: bool, random: &mut Random) {
        assert!(!pointer.is_null(), "no memory for {size} bytes");
        let address = pointer.expose_provenance();
        assert_eq!(address % align, 0, "alignment {align} of {size} bytes");
        // SAFETY: the block is live.
        let usable = unsafe { engine::usable_size(pointer) };
        assert!(usable >= size, "{size} bytes were asked for, {usable} can be used");
        if let Some((_, before)) = self.blocks.range(..=address).next_back() {
            assert!(before.address + before.usable <= address, "{before:x?} overlaps {address:x}");
        }
        if let Some((behind, _)) = self.blocks.range(address..).next() {
            assert!(address + usable <= *behind, "{address:x}+{usable:x} overlaps {behind:x}");
        }
        self.stamp = self.stamp.wrapping_add(1).max(1);
        let zero_to = if zero { size } else { 0 };
        let large = class::of_layout(size, align) == 0;
        let mut live = Live { address, usable, large, stamp: self.stamp, written: 0..0, zero_to };
        // Of a zeroed block that nobody writes to, the engine should know that it is still zero.
        if zero {
            live.check(usable, random);
        }
        if !(zero && random.once_in(4)) {
            live.write(size, random);
        }
        self.bytes += usable;
        self.addresses.push(address);
        self.blocks.insert(address, live);
    }

    /// Takes any block out, its contents checked; it is still allocated.
    fn take(&mut self, random: &mut Random) -> Option<Live> {
        if self.addresses.is_empty() {
            return None;
        }
        let address = self.addresses.swap_remove(random.below(self.addresses.len() as u64) as usize);
        let live = self.blocks.remove(&address)?;
        live.check(live.usable, random);
        self.bytes -= live.usable;
        Some(live)
    }

    /// One random operation.
    pub fn step(&mut self, random: &mut Random) {
        let choice = if self.bytes > BYTES_MAX { 19 } else { random.below(20) };
        match choice {
            0..7 => {
                let size = if random.once_in(100) { random.large() } else { random.size(19) };
                self.add(allocate(size), size, 16, false, random);
            }
            7..9 => self.allocate_zeroed(random),
            9 => {
                // To 4 MiB.
                let (align, size) = (1 << random.below(23), random.size(18));
                self.add(engine::allocate_aligned(align, size), size, align.max(16), false, random);
            }
            10..12 => self.resize(random),
            12 => self.shrink_a_little(random),
            _ => {
                if let Some(old) = self.take(random) {
                    // SAFETY: the block is live and ours, and forgotten.
                    unsafe { free(old.pointer()) };
                }
            }
        }
    }

    fn allocate_zeroed(&mut self, random: &mut Random) {
        let size = if random.once_in(20) { random.large() } else { random.size(18) };
        self.add(engine::allocate_zeroed(size), size, 16, true, random);
    }

    fn resize(&mut self, random: &mut Random) {
        let Some(old) = self.take(random) else { return };
        let size = match random.below(6) {
            0 => random.large(),
            // A little or a good deal more: there a large block may stay in place, or move.
            1 => (old.usable + random.below(old.usable as u64 + 1) as usize).min(1 << LOG2_MAX),
            _ => random.size(20).max(1),
        };
        self.reallocate(old, size, random);
    }

    /// Takes up to a sixth off a large block: it stays where it is, and what was cut off is no longer looked at. Then mostly
    /// frees it and asks for zeroes of the old size, which may come from the same place.
    fn shrink_a_little(&mut self, random: &mut Random) {
        let Some(old) = self.take(random) else { return };
        let whole = old.usable;
        if whole <= SMALL_MAX {
            return self.reallocate(old, whole, random);
        }
        let size = (whole - random.below(whole as u64 / 6) as usize).max(SMALL_MAX + 1);
        // SAFETY: the block is live and ours.
        let same = unsafe { engine::reallocate(old.pointer(), size) };
        assert_eq!(same, old.pointer(), "a large block that shrinks by little stays in place");
        if random.once_in(4) {
            return self.add(same, size, 16, false, random);
        }
        // SAFETY: as above; it is forgotten.
        unsafe { free(same) };
        self.add(engine::allocate_zeroed(whole), whole, 16, true, random);
    }

    /// Resizes a block that was taken out. All that the program could use is kept, not only what it had asked for.
    fn reallocate(&mut self, old: Live, size: usize, random: &mut Random) {
        // SAFETY: the block is live and ours.
        let new = unsafe { engine::reallocate(old.pointer(), size) };
        assert!(!new.is_null(), "no memory to resize to {size} bytes");
        // SAFETY: the block is live.
        let usable = unsafe { engine::usable_size(new) };
        let kept = size.min(old.usable);
        Live { address: new.expose_provenance(), usable, ..old }.check(kept, random);
        self.add(new, size, 16, false, random);
    }

    /// Frees all.
    pub fn clear(&mut self, random: &mut Random) {
        self.bytes = 0;
        self.addresses.clear();
        for live in std::mem::take(&mut self.blocks).into_values() {
            live.check(live.usable, random);
            // SAFETY: the block is live and ours, and forgotten.
            unsafe { free(live.pointer()) };
        }
    }
}

/// So many on the machine itself; under an emulator a tenth.
pub fn steps(natively: usize) -> usize {
    if cfg!(target_arch = "x86_64") { natively } else { natively / 10 }
}

/// Random operations by this thread; the engine's count is compared throughout.
pub fn run_alone(seeds: std::ops::RangeInclusive<u64>, steps: usize) {
    let _alone = alone();
    expect_counted([].iter());
    for seed in seeds {
        let mut random = Random(seed * 0x9e37_79b9);
        let mut shadow = Shadow::default();
        for step in 1..=steps {
            shadow.step(&mut random);
            if step % 1000 == 0 {
                expect_counted(shadow.blocks());
            }
            if step % 5000 == 0 {
                engine::trim(if random.once_in(2) { 0 } else { 1 << 20 });
            }
        }
        shadow.clear(&mut random);
        expect_counted([].iter());
    }
}

/// Four threads at a time, each with random operations; what is live when they end goes on to the next four.
pub fn run_threads(generations: u64, steps: usize) {
    let _alone = alone();
    let mut inbox: Vec<Vec<Live>> = vec![Vec::new(); 4];
    for generation in 0..generations {
        let spawn = |(i, mine): (usize, Vec<Live>)| {
            std::thread::spawn(move || {
                let mut random = Random(0x1234_5678 + generation * 100 + i as u64);
                let mut shadow = Shadow::with(mine);
                (0..steps).for_each(|_| shadow.step(&mut random));
                shadow.into_blocks()
            })
        };
        let threads: Vec<_> = inbox.into_iter().enumerate().map(spawn).collect();
        inbox = threads.into_iter().map(|thread| thread.join().expect("no thread fails")).collect();
        // The next thread gets the blocks of another one.
        inbox.rotate_left(1);
        expect_counted(inbox.iter().flatten());
    }
    let mut random = Random(99);
    inbox.into_iter().for_each(|blocks| Shadow::with(blocks).clear(&mut random));
    expect_counted([].iter());
}

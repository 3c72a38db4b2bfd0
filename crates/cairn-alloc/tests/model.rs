//! The engine against a shadow model: random operations, by one thread and by several, with contents, overlap,
//! alignment and zeroing checked at each step, and the statistics at the end.

#![allow(clippy::undocumented_unsafe_blocks)] // the model owns each block that it names, once

use std::collections::BTreeMap;
use std::sync::mpsc;

use cairn_alloc::engine;

/// A small generator, so that a failure can be repeated by its seed (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// Mostly small, sometimes large: log-uniform up to 2^`log2_max`.
    fn size(&mut self, log2_max: u64) -> usize {
        let bits = self.below(log2_max + 1);
        self.below(1 << bits) as usize
    }
}

fn allocate(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    if block.is_null() { engine::allocate_slow(size) } else { block }
}

unsafe fn free(block: *mut u8) {
    unsafe {
        if !engine::free_fast(block) {
            engine::free_slow(block);
        }
    }
}

/// A live block as the model knows it: each byte is `stamp`.
#[derive(Clone, Copy, Debug)]
struct Live {
    address: usize,
    size: usize,
    stamp: u8,
}

impl Live {
    fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address)
    }

    fn fill(&self) {
        unsafe { self.pointer().write_bytes(self.stamp, self.size) }
    }

    /// Checks a part of large blocks, all of small ones.
    fn check(&self, upto: usize) {
        let bytes = unsafe { std::slice::from_raw_parts(self.pointer(), self.size.min(upto)) };
        let step = if bytes.len() > 1 << 16 { 509 } else { 1 };
        for (i, &byte) in bytes.iter().enumerate().step_by(step) {
            assert_eq!(byte, self.stamp, "byte {i} of {self:?} was overwritten");
        }
    }
}

/// The blocks of one thread, by address.
#[derive(Default)]
struct Model {
    blocks: BTreeMap<usize, Live>,
    stamp: u8,
}

impl Model {
    fn add(&mut self, pointer: *mut u8, size: usize, align: usize) {
        assert!(!pointer.is_null(), "no memory for {size} bytes");
        let address = pointer.expose_provenance();
        assert_eq!(address % align, 0, "alignment {align} of {size} bytes");
        assert!(unsafe { engine::usable_size(pointer) } >= size);
        if let Some((_, before)) = self.blocks.range(..=address).next_back() {
            assert!(before.address + before.size <= address, "{before:?} overlaps {address:x}");
        }
        if let Some((_, behind)) = self.blocks.range(address..).next() {
            assert!(address + size <= behind.address, "{behind:?} is overlapped by {address:x}+{size}");
        }
        self.stamp = self.stamp.wrapping_add(1).max(1);
        let live = Live { address, size, stamp: self.stamp };
        live.fill();
        self.blocks.insert(address, live);
    }

    fn any(&mut self, random: &mut Random) -> Option<Live> {
        let from = self.blocks.keys().next()?;
        let to = self.blocks.keys().next_back()?;
        let at = from + random.below((to - from + 1) as u64) as usize;
        let key = *self.blocks.range(at..).next()?.0;
        self.blocks.remove(&key)
    }

    fn step(&mut self, random: &mut Random) {
        match random.below(20) {
            0..8 => {
                let size = random.size(21);
                self.add(allocate(size), size, 16);
            }
            8 => {
                let size = random.size(20);
                let block = engine::allocate_zeroed(size);
                let bytes = unsafe { std::slice::from_raw_parts(block, size) };
                assert!(bytes.iter().all(|&b| b == 0), "calloc of {size} bytes isn't zero");
                self.add(block, size, 16);
            }
            9 => {
                let (align, size) = (1 << random.below(21), random.size(18));
                self.add(engine::allocate_aligned(align, size), size, align);
            }
            10..13 => {
                if let Some(old) = self.any(random) {
                    old.check(usize::MAX);
                    let size = random.size(22).max(1);
                    let new = unsafe { engine::reallocate(old.pointer(), size) };
                    assert!(!new.is_null());
                    Live { address: new.expose_provenance(), ..old }.check(size);
                    self.add(new, size, 16);
                }
            }
            _ => {
                if let Some(old) = self.any(random) {
                    old.check(usize::MAX);
                    unsafe { free(old.pointer()) };
                }
            }
        }
    }

    fn clear(&mut self) {
        for live in std::mem::take(&mut self.blocks).into_values() {
            live.check(usize::MAX);
            unsafe { free(live.pointer()) };
        }
    }
}

fn steps() -> usize {
    if cfg!(target_arch = "x86_64") { 60_000 } else { 6_000 }
}

#[test]
fn random_operations_by_one_thread() {
    for seed in 1..=3 {
        let mut random = Random(seed * 0x9e37_79b9);
        let mut model = Model::default();
        for step in 0..steps() {
            model.step(&mut random);
            if step % 10_000 == 9_999 {
                engine::trim(0);
            }
        }
        model.clear();
    }
}

#[test]
fn random_operations_by_threads_that_pass_blocks_on_and_end() {
    let (first, mut inbox) = mpsc::channel::<Vec<Live>>();
    first.send(Vec::new()).unwrap();
    for generation in 0..8u64 {
        let (outbox, next) = mpsc::channel();
        let threads: Vec<_> = (0..4u64)
            .map(|i| {
                let mine = inbox.try_recv().unwrap_or_default();
                let outbox = outbox.clone();
                std::thread::spawn(move || {
                    let mut random = Random(0x1234_5678 + generation * 100 + i);
                    let mut model = Model::default();
                    for live in mine {
                        model.blocks.insert(live.address, live);
                    }
                    for _ in 0..steps() / 10 {
                        model.step(&mut random);
                    }
                    outbox.send(std::mem::take(&mut model.blocks).into_values().collect()).unwrap();
                })
            })
            .collect();
        threads.into_iter().for_each(|t| t.join().unwrap());
        inbox = next;
        drop(outbox);
    }
    for rest in inbox {
        for live in rest {
            live.check(usize::MAX);
            unsafe { free(live.pointer()) };
        }
    }
}

#[test]
fn the_impossible_is_refused_and_nothing_is_lost() {
    assert!(allocate(usize::MAX).is_null());
    assert!(allocate(isize::MAX as usize + 1).is_null());
    assert!(allocate(isize::MAX as usize).is_null());
    assert!(engine::allocate_aligned(1 << 62, 1).is_null());
    let block = allocate(100_000);
    unsafe {
        block.write_bytes(7, 100_000);
        assert!(engine::reallocate(block, isize::MAX as usize).is_null());
        assert_eq!(*block.add(99_999), 7);
        free(block);
        free(std::ptr::null_mut());
    }
}

#[test]
fn large_blocks_grow_in_place_or_move_with_their_contents() {
    unsafe {
        let mut size = 40_000;
        let mut block = allocate(size);
        block.write_bytes(3, size);
        let mut places = std::collections::HashSet::new();
        while size < 200 << 20 {
            let new = size + size / 2;
            block = engine::reallocate(block, new);
            places.insert(block);
            assert!(*block == 3 && *block.add(size - 1) == 3);
            block.add(size).write_bytes(3, new - size);
            size = new;
        }
        assert!(places.len() <= 12, "{} places: room to grow is missing", places.len());
        block = engine::reallocate(block, 50_000);
        assert_eq!(*block.add(49_999), 3);
        free(block);
    }
}

//! The Rust door as a program's only heap: the standard collections run on it, and random layouts are checked against a
//! shadow of what they hold.

#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use cairn_alloc::Cairn;

#[global_allocator]
static HEAP: Cairn = Cairn;

/// A small generator, so that a failure can be repeated by its seed (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// Log-uniform: 1 to 2^`log2_max`.
    fn size(&mut self, log2_max: usize) -> usize {
        let bits = self.below(log2_max + 1);
        1 + self.below(1 << bits)
    }
}

#[test]
fn collections_hold_what_was_put_in() {
    let words: Vec<String> = (0..20_000).map(|i| format!("{:x}", i * 7919)).collect();
    let counts: HashMap<&str, usize> = words.iter().map(|w| (w.as_str(), w.len())).collect();
    let sorted: BTreeMap<String, Box<[u64; 6]>> =
        words.iter().enumerate().map(|(i, w)| (w.clone(), Box::new([i as u64; 6]))).collect();
    assert_eq!(sorted.len(), counts.len());
    for (i, word) in words.iter().enumerate() {
        assert_eq!(*word, format!("{:x}", i * 7919));
        assert_eq!(counts[word.as_str()], word.len());
        assert_eq!(*sorted[word], [i as u64; 6]);
    }
    let mut queue: VecDeque<u16> = (0..1000).collect();
    let mut heap: BinaryHeap<u64> = BinaryHeap::new();
    for i in 0..50_000u64 {
        queue.rotate_left(3);
        queue.push_back(i as u16);
        heap.push(i * 7919 % 10_007);
    }
    assert_eq!(queue.len(), 51_000);
    assert!(heap.into_sorted_vec().is_sorted());
    let mut text = String::new();
    (0..100_000).for_each(|i| text.push(char::from(b'a' + (i % 26) as u8)));
    text.shrink_to_fit();
    assert!(text.bytes().enumerate().all(|(i, b)| b == b'a' + (i % 26) as u8));
}

#[test]
fn threads_pass_blocks_on() {
    let (send, receive) = mpsc::channel::<Vec<Arc<str>>>();
    let kept: Arc<Mutex<Vec<Arc<str>>>> = Arc::default();
    let makers: Vec<_> = (0..4)
        .map(|t| {
            let (send, kept) = (send.clone(), kept.clone());
            thread::spawn(move || {
                for round in 0..200 {
                    let made: Vec<Arc<str>> =
                        (0..50).map(|i| format!("{t}/{round}/{i}").repeat(1 + i % 5).into()).collect();
                    kept.lock().unwrap().push(made[round % 50].clone());
                    send.send(made).unwrap();
                }
            })
        })
        .collect();
    drop(send);
    let mut total = 0;
    for batch in receive {
        total += batch.len();
        assert!(batch.iter().enumerate().all(|(i, s)| s.ends_with(&format!("/{i}"))));
    }
    makers.into_iter().for_each(|t| t.join().unwrap());
    assert_eq!(total, 4 * 200 * 50);
    let kept = kept.lock().unwrap();
    assert!(kept.len() == 800 && kept.iter().all(|s| Arc::strong_count(s) == 1));
}

/// A live block as the test knows it: each byte is `stamp`.
#[derive(Clone, Copy, Debug)]
struct Live {
    address: usize,
    layout: Layout,
    stamp: u8,
}

impl Live {
    fn pointer(&self) -> *mut u8 {
        std::ptr::with_exposed_provenance_mut(self.address)
    }

    fn bytes(&self) -> &'static mut [u8] {
        unsafe { std::slice::from_raw_parts_mut(self.pointer(), self.layout.size()) }
    }
}

/// The live blocks by address.
#[derive(Default)]
struct Shadow {
    blocks: BTreeMap<usize, Live>,
    stamp: u8,
}

impl Shadow {
    fn add(&mut self, block: *mut u8, layout: Layout) {
        assert!(!block.is_null(), "no memory for {layout:?}");
        let address = block.expose_provenance();
        assert_eq!(address % layout.align(), 0, "{layout:?} at {address:x}");
        if let Some((_, before)) = self.blocks.range(..=address).next_back() {
            assert!(before.address + before.layout.size() <= address, "{before:?} overlaps {address:x}");
        }
        if let Some((behind, _)) = self.blocks.range(address..).next() {
            assert!(address + layout.size() <= *behind, "{layout:?} at {address:x} overlaps {behind:x}");
        }
        self.stamp = self.stamp.wrapping_add(1).max(1);
        let live = Live { address, layout, stamp: self.stamp };
        live.bytes().fill(live.stamp);
        self.blocks.insert(address, live);
    }

    /// Takes any block out of the shadow, its contents checked; it is still allocated.
    fn take(&mut self, random: &mut Random) -> Option<Live> {
        let (first, last) = (*self.blocks.keys().next()?, *self.blocks.keys().next_back()?);
        let key = *self.blocks.range(first + random.below(last - first + 1)..).next()?.0;
        let live = self.blocks.remove(&key)?;
        assert!(live.bytes().iter().all(|&b| b == live.stamp), "{live:?} was overwritten");
        Some(live)
    }

    fn step(&mut self, random: &mut Random) {
        let heap = Cairn;
        // Half of the alignments are small, as in life; the others go up to 1 MiB.
        let align = 1 << if random.below(2) == 0 { random.below(5) } else { random.below(21) };
        let layout = Layout::from_size_align(random.size(18), align).unwrap();
        match random.below(10) {
            0..3 => self.add(unsafe { heap.alloc(layout) }, layout),
            3 => {
                let block = unsafe { heap.alloc_zeroed(layout) };
                assert!(!block.is_null());
                let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
                assert!(bytes.iter().all(|&b| b == 0), "alloc_zeroed of {layout:?} isn't zero");
                self.add(block, layout);
            }
            4..7 => {
                let Some(old) = self.take(random) else { return };
                // Near the old size half of the time: there a block may stay in place.
                let size = match random.below(4) {
                    0 => old.layout.size() + random.below(32),
                    1 => old.layout.size().saturating_sub(random.below(32)).max(1),
                    _ => random.size(19),
                };
                let new = unsafe { heap.realloc(old.pointer(), old.layout, size) };
                assert!(!new.is_null());
                let kept = unsafe { std::slice::from_raw_parts(new, size.min(old.layout.size())) };
                assert!(kept.iter().all(|&b| b == old.stamp), "realloc to {size} lost contents of {old:?}");
                self.add(new, Layout::from_size_align(size, old.layout.align()).unwrap());
            }
            _ => {
                if let Some(old) = self.take(random) {
                    unsafe { heap.dealloc(old.pointer(), old.layout) };
                }
            }
        }
    }
}

#[test]
fn random_layouts_keep_alignment_and_contents() {
    let steps = if cfg!(target_arch = "x86_64") { 20_000 } else { 3_000 };
    for seed in 1..=3 {
        let mut random = Random(seed * 0x9e37_79b9);
        let mut shadow = Shadow::default();
        (0..steps).for_each(|_| shadow.step(&mut random));
        while let Some(old) = shadow.take(&mut random) {
            unsafe { Cairn.dealloc(old.pointer(), old.layout) };
        }
    }
}

/// Each alignment, each way a large block can go: in place, longer in place, and moved because a neighbour is in the way.
#[test]
fn large_blocks_keep_their_alignment_when_they_grow_and_shrink() {
    for align in (3..=21).map(|log2| 1usize << log2) {
        let mut wall = Vec::new();
        let mut layout = Layout::from_size_align(40_000, align).unwrap();
        let mut block = unsafe { Cairn.alloc(layout) };
        unsafe { block.write_bytes(0xa5, layout.size()) };
        for size in [41_000, 70_000, 200_000, 1_000_000, 3_000_000, 2_900_000, 300_000, 33_000, 500, 100_000]
        {
            // Something right behind the block, so that it has to move now and then.
            wall.push(vec![1u8; 70_000]);
            let new = unsafe { Cairn.realloc(block, layout, size) };
            assert!(!new.is_null() && new.addr().is_multiple_of(align), "{size} at {align}: {new:p}");
            let kept = unsafe { std::slice::from_raw_parts(new, size.min(layout.size())) };
            assert!(kept.iter().all(|&b| b == 0xa5), "{size} at {align}");
            unsafe { new.write_bytes(0xa5, size) };
            (block, layout) = (new, Layout::from_size_align(size, align).unwrap());
        }
        unsafe { Cairn.dealloc(block, layout) };
    }
}

/// Also where a slab has blocks of the size that they grow to, but aligned to a page only; and they are freed as what they have become.
#[test]
fn blocks_that_grow_to_medium_size_keep_their_alignment() {
    const OLD: usize = 40_000;
    const NEW: usize = 70_000;
    for align in [1, 4096, 1 << 13, 1 << 16] {
        let [old, new] = [OLD, NEW].map(|size| Layout::from_size_align(size, align).unwrap());
        let blocks: Vec<_> = (0..20).map(|_| unsafe { Cairn.alloc(old) }).collect();
        blocks.iter().for_each(|block| unsafe { block.write_bytes(0xa5, OLD) });
        // Behind most of them another one lies, so that they have to move.
        let grown: Vec<_> = blocks.iter().map(|block| unsafe { Cairn.realloc(*block, old, NEW) }).collect();
        let moved = blocks.iter().zip(&grown).filter(|(before, after)| before != after).count();
        assert!(moved > 10, "{moved} blocks at {align} have moved");
        for block in grown {
            assert!(!block.is_null() && block.addr().is_multiple_of(align), "{block:p} at {align}");
            let kept = unsafe { std::slice::from_raw_parts(block, OLD) };
            assert!(kept.iter().all(|&byte| byte == 0xa5));
            unsafe { Cairn.dealloc(block, new) };
        }
    }
}

/// Shrinking within whole pages stays in place at any alignment.
#[test]
fn a_large_aligned_block_shrinks_in_place() {
    let layout = Layout::from_size_align(1 << 20, 1 << 20).unwrap();
    let block = unsafe { Cairn.alloc(layout) };
    let same = unsafe { Cairn.realloc(block, layout, 300_000) };
    assert_eq!(block, same);
    unsafe { Cairn.dealloc(same, Layout::from_size_align(300_000, 1 << 20).unwrap()) };
}

#[test]
fn the_impossible_is_refused_and_the_block_kept() {
    let greatest =
        |align| Layout::from_size_align(isize::MAX as usize / align * align - align, align).unwrap();
    for align in (0..=40).map(|log2| 1usize << log2) {
        assert!(unsafe { Cairn.alloc(greatest(align)) }.is_null(), "alloc at {align}");
        assert!(unsafe { Cairn.alloc_zeroed(greatest(align)) }.is_null(), "alloc_zeroed at {align}");
    }
    assert!(unsafe { Cairn.alloc(Layout::from_size_align(1, 1 << 62).unwrap()) }.is_null());
    for (size, align) in [(100, 8), (100_000, 16), (100_000, 1 << 17), (1 << 20, 1 << 20)] {
        let layout = Layout::from_size_align(size, align).unwrap();
        let block = unsafe { Cairn.alloc(layout) };
        unsafe { block.write_bytes(7, size) };
        assert!(unsafe { Cairn.realloc(block, layout, greatest(align).size()) }.is_null(), "{layout:?}");
        assert!(unsafe { std::slice::from_raw_parts(block, size) }.iter().all(|&b| b == 7));
        unsafe { Cairn.dealloc(block, layout) };
    }
    let mut bytes: Vec<u8> = vec![1, 2, 3];
    assert!(bytes.try_reserve_exact(isize::MAX as usize - 3).is_err());
    assert_eq!(bytes, [1, 2, 3]);
}

/// A zeroed block must be zero although its pages were used before.
#[test]
fn zeroed_blocks_are_zero_after_use() {
    for size in [24, 1000, 40_000, 100_000, 1 << 20, (4 << 20) + 5] {
        for align in [1, 8, 4096, 1 << 18] {
            let layout = Layout::from_size_align(size, align).unwrap();
            for _ in 0..3 {
                let block = unsafe { Cairn.alloc_zeroed(layout) };
                let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
                assert!(bytes.iter().all(|&b| b == 0), "{layout:?}");
                bytes.fill(0xff);
                unsafe { Cairn.dealloc(block, layout) };
            }
        }
    }
}

/// What a block held before it shrank a little in place is not zero for the next one.
#[test]
fn what_a_block_shrank_from_is_cleared_for_the_next() {
    const SIZE: usize = 64 << 20;
    let layout = Layout::from_size_align(SIZE, 8).unwrap();
    let block = unsafe { Cairn.alloc(layout) };
    unsafe { block.write_bytes(0xff, SIZE) };
    let less = SIZE - (1 << 20);
    assert_eq!(unsafe { Cairn.realloc(block, layout, less) }, block);
    unsafe { Cairn.dealloc(block, Layout::from_size_align(less, 8).unwrap()) };
    let again = unsafe { Cairn.alloc_zeroed(layout) };
    let bytes = unsafe { std::slice::from_raw_parts(again, SIZE) };
    assert_eq!(bytes.iter().position(|&b| b != 0), None);
    unsafe { Cairn.dealloc(again, layout) };
}

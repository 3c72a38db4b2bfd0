//! Writing into a heap's memory, word by word, in the form that the heap itself writes (`src/header.rs`, `src/space.rs`). Shared by the
//! tests that damage heaps.
#![allow(dead_code)]

use std::alloc::Layout;
use std::ptr::{self, NonNull};

use cairn_heap::*;

pub const WORD: usize = size_of::<usize>();
pub const USED: usize = 1;
pub const PREVIOUS_USED: usize = 2;
pub const WAITING: usize = 4;

/// The alignment of [`Standard`], and of every configuration these tests use.
pub const ALIGN: usize = 16;

/// The word at an address of a heap's memory.
pub fn read(address: usize) -> usize {
    // SAFETY: the tests name words of memory that they own and have exposed.
    unsafe { ptr::with_exposed_provenance::<usize>(address).read() }
}

/// Overwrites the word at an address of a heap's memory, and gives what was there.
pub fn write(address: usize, word: usize) -> usize {
    let was = read(address);
    // SAFETY: as for `read`; the heap that lives there keeps no references into it.
    unsafe { ptr::with_exposed_provenance_mut::<usize>(address).write(word) };
    was
}

/// One of a free block's links, 0 to 3.
pub fn link(block: usize, index: usize) -> u32 {
    // SAFETY: as for `read`.
    unsafe { ptr::with_exposed_provenance::<u32>(block).add(index).read() }
}

/// Overwrites one of a free block's links.
pub fn set_link(block: usize, index: usize, to: u32) {
    // SAFETY: as for `write`.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(block).add(index).write(to) };
}

/// A header that passes the check.
pub fn header(address: usize, size: usize, flags: usize) -> usize {
    #[cfg(target_pointer_width = "64")]
    let check = (address ^ (size << 24)).wrapping_mul(0x9E37_79B9_7F4A_7C15) & usize::MAX << 40;
    #[cfg(target_pointer_width = "32")]
    let check = 0 * address;
    check | size | flags
}

/// Rewrites a block's header: its size, its flags, and the check made right.
pub fn set_header(block: usize, size: usize, flags: usize) {
    write(block - WORD, header(block, size, flags));
}

/// The flags of a block's header.
pub fn flags(block: usize) -> usize {
    read(block - WORD) & 7
}

/// Rewrites a block as a free one: header and footer.
pub fn set_free(block: usize, size: usize, flags: usize) {
    set_header(block, size, flags);
    write(block + size - 2 * WORD, size);
}

/// Bytes at the beginning of a segment, in front of its first block.
pub const RECORD: usize = if cfg!(target_pointer_width = "64") { 32 } else { 16 };

/// Memory for a heap, with its provenance exposed, at a multiple of 16.
pub fn memory(bytes: usize) -> Region {
    let memory = vec![0xA5A5_A5A5_u128; bytes.div_ceil(16)].leak();
    memory.as_mut_ptr().expose_provenance();
    // SAFETY: the memory is nobody else's from now on.
    unsafe { Region::from_raw(memory.as_mut_ptr().cast(), bytes) }
}

/// A heap on a region, and how to name its blocks and links.
pub struct Garden<P: Placement, C: Config> {
    pub heap: Heap<Region, P, C>,
    /// The record of the only segment: its `next`, `stop` and `end`.
    pub record: usize,
}

impl<P: Placement, C: Config> Garden<P, C> {
    /// One used block of each of these sizes, in bytes of whole blocks, in the order of their addresses; and a top.
    pub fn new(sizes: &[usize]) -> Self {
        let region = memory(100_000);
        let mut heap = Heap::new(region);
        for &size in sizes {
            let layout = Layout::from_size_align(size - WORD, 8).unwrap();
            heap.allocate(layout).unwrap();
        }
        let first = heap.blocks().next().unwrap().address;
        let record = first - RECORD;
        let garden = Self { heap, record };
        let found: Vec<_> = garden.heap.blocks().map(|block| block.size).collect();
        assert_eq!(found[..sizes.len()], *sizes, "the blocks lie in the order in which they were asked for");
        assert_eq!(found.len(), sizes.len() + 1, "and behind them the top");
        garden
    }

    /// Where the block of this number begins.
    pub fn block(&self, number: usize) -> usize {
        self.heap.blocks().nth(number).unwrap().address
    }

    /// Frees the blocks of these numbers, no two of which are neighbours.
    pub fn free(&mut self, numbers: &[usize]) -> Vec<usize> {
        let blocks: Vec<_> = numbers.iter().map(|&number| self.block(number)).collect();
        for &block in &blocks {
            // SAFETY: the block is live, and nobody uses it.
            unsafe { self.heap.deallocate(pointer(block)) }.unwrap();
        }
        blocks
    }

    /// The link that leads to a block.
    pub fn link_to(&self, block: usize) -> u32 {
        ((block - self.record) / ALIGN) as u32
    }

    /// The block that a link leads to.
    pub fn follow(&self, link: u32) -> usize {
        assert_ne!(link, 0);
        self.record + link as usize * ALIGN
    }

    /// The mark at the end of the segment.
    pub fn mark(&self) -> usize {
        let last = self.heap.blocks().last().unwrap();
        last.address + last.size
    }

    /// What the audit finds. It must be this invariant.
    #[track_caller]
    pub fn violates(&self, invariant: Invariant, address: usize, block: usize) {
        let expected = Violation { invariant, address, block };
        assert_eq!(self.heap.check(), Err(expected), "expected: {expected}");
    }

    /// The audit finds nothing.
    #[track_caller]
    pub fn is_sound(&self) {
        self.heap.check().unwrap();
    }
}

/// The pointer that a program would hold.
pub fn pointer(address: usize) -> NonNull<u8> {
    NonNull::new(ptr::with_exposed_provenance_mut(address)).unwrap()
}

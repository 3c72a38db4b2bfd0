//! Claim: a heap on a source that others use too stays whole when they move it between the heap's look at it and its taking.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

use cairn_heap::{Heap, Region, Segregated, Source, Standard};

/// A program break that another thread moves each time when the heap asks for more, just after it looked.
struct Moved {
    region: Region,
    moved: bool,
}

// SAFETY: as the region's, whose pieces these are; some are given to nobody.
unsafe impl Source for Moved {
    fn lowest(&mut self) -> Option<usize> {
        self.region.lowest()
    }

    fn position(&mut self) -> Option<usize> {
        self.region.position()
    }

    fn grow(&mut self, least: usize, wish: usize) -> Option<Range<usize>> {
        self.moved = !self.moved;
        if self.moved {
            self.region.grow(48, 48)?;
        }
        self.region.grow(least, wish)
    }

    unsafe fn shrink(&mut self, _end: usize, _bytes: usize) -> bool {
        false
    }
}

fn expect(block: NonNull<u8>, bytes: usize, value: u8) {
    // SAFETY: the block is live and has so many bytes, which were written.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), bytes) };
    assert!(bytes.iter().all(|&byte| byte == value));
}

#[test]
fn a_growing_block_does_not_reach_across_what_others_took() {
    let memory = Box::leak(vec![0; 64 << 20].into_boxed_slice());
    let source = Moved { region: Region::new(memory), moved: false };
    let mut heap = Heap::<_, Segregated, Standard>::new(source);
    let mut size = 100;
    let mut kept: Vec<(NonNull<u8>, usize, u8)> = Vec::new();
    for value in 1..20 {
        let mut block = heap.allocate(Layout::from_size_align(size, 16).unwrap()).unwrap();
        // It is the last block of the heap, and grows through several pieces.
        for _ in 0..5 {
            // SAFETY: the block is live and has so many bytes.
            unsafe { block.write_bytes(value, size) };
            let layout = Layout::from_size_align(size, 16).unwrap();
            let larger = size + size / 4 + 1500;
            // SAFETY: the block is live, and nobody refers to it.
            block = unsafe { heap.reallocate(block, layout, larger) }.unwrap();
            expect(block, size, value);
            heap.check().unwrap();
            size = larger;
        }
        // SAFETY: the block is live and has so many bytes.
        unsafe { block.write_bytes(value, size) };
        kept.push((block, size, value));
        size = 100;
    }
    for (block, size, value) in kept {
        expect(block, size, value);
    }
}

//! Claim: the edges of what can be chosen hold: the fewest bins, the largest numbers in a configuration, regions without memory; and a damaged
//! header that is met on a walk leads nowhere.

use core::alloc::Layout;
use core::ptr::NonNull;

use cairn_heap::*;

fn memory(bytes: usize) -> Region {
    Region::new(Box::leak(vec![0; bytes].into_boxed_slice()))
}

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

#[test]
fn with_the_fewest_bins_the_last_one_is_searched() {
    let mut heap = Heap::<_, Segregated<2>, Standard>::new(memory(100_000));
    let small = heap.allocate(bytes(1200)).unwrap();
    let wall = heap.allocate(bytes(24)).unwrap();
    // SAFETY: the block is live, and nobody uses it.
    unsafe { heap.deallocate(small) }.unwrap();
    // Both sizes are too large for any bin but the last.
    let large = heap.allocate(bytes(4000)).unwrap();
    assert!(heap.usable_size(large).unwrap() >= 4000);
    assert_ne!(large, small);
    assert_eq!(heap.check().unwrap().used_blocks, 2);
    // SAFETY: as above.
    unsafe { heap.deallocate(wall) }.unwrap();
}

/// Grows by all there is.
struct All;
impl Config for All {
    const GROW_MIN: usize = usize::MAX;
    type Meter = ();
}

/// Grows by what is missing.
struct Missing;
impl Config for Missing {
    const GROW_MIN: usize = 0;
    const GROW_SHIFT: u32 = u32::MAX;
    type Meter = ();
}

#[test]
fn the_largest_numbers_have_a_meaning() {
    let mut all = Heap::<_, Segregated, All>::new(memory(100_000));
    all.allocate(bytes(10)).unwrap();
    assert_eq!(all.extent(), 100_000);

    let mut missing = Heap::<_, Segregated, Missing>::new(memory(100_000));
    missing.allocate(bytes(5000)).unwrap();
    let before = missing.extent();
    missing.allocate(bytes(5000)).unwrap();
    assert!(missing.extent() - before <= 5000 + 32, "{before} {}", missing.extent());
}

#[test]
fn a_region_without_memory_may_lie_anywhere() {
    let none = || Region::new(&mut []);
    let mut heap = Heap::<_, Segregated, Standard>::new(Regions::new([none(), memory(10_000), none()]));
    heap.allocate(bytes(5000)).unwrap();
    heap.check().unwrap();
    let mut empty = Heap::<_, Segregated, Standard>::new(Regions::new([none(), none()]));
    assert_eq!(empty.allocate(bytes(10)), Err(Error::OutOfMemory));
}

/// Gives everything back at once.
struct Falling;
impl Config for Falling {
    const TRIM_MIN: usize = 0;
    const CARVE: Carve = Carve::Low;
    type Meter = ();
}

/// A region that takes back, with the last of what it gave, the bytes that lie in front of it.
struct Tidy {
    region: Region,
    start: usize,
}

// SAFETY: as the region's; what it takes back beyond what the heap says lies below all of the heap.
unsafe impl Source for Tidy {
    fn lowest(&mut self) -> Option<usize> {
        self.region.lowest()
    }
    fn position(&mut self) -> Option<usize> {
        self.region.position()
    }
    fn grow(&mut self, least: usize, wish: usize) -> Option<core::ops::Range<usize>> {
        self.region.grow(least, wish)
    }
    unsafe fn shrink(&mut self, end: usize, bytes: usize) -> bool {
        let stays = end - bytes - self.start;
        // SAFETY: passed on.
        unsafe { self.region.shrink(end, bytes + if stays < 16 { stays } else { 0 }) }
    }
}

#[test]
fn the_extent_is_nothing_when_all_is_given_back_whatever_lies_in_front() {
    let memory = Box::leak(vec![0; 100_000].into_boxed_slice()).as_mut_ptr();
    // SAFETY: the memory is the test's alone.
    let mut region = unsafe { Region::from_raw(memory.add(5), 90_000) };
    let start = region.lowest().unwrap();
    let mut heap = Heap::<_, Segregated, Falling>::new(Tidy { region, start });
    for _ in 0..100 {
        let block = heap.allocate(bytes(10)).unwrap();
        heap.check().unwrap();
        // SAFETY: the block is live, and nobody uses it.
        unsafe { heap.deallocate(block) }.unwrap();
        assert_eq!(heap.extent(), 0);
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_damaged_record_moves_no_end() {
    // Each word of it: the way to the next segment, where the blocks end, where the memory ends.
    for word in 0..3 {
        let mut heap = Heap::<_, Segregated, Falling>::new(memory(100_000));
        let blocks: Vec<_> = (0..6).map(|_| heap.allocate(bytes(24)).unwrap()).collect();
        // SAFETY: the record is the heap's, which has no reference to it; it begins four words in front of the first block.
        unsafe { blocks[0].cast::<usize>().sub(4).add(word).write(usize::MAX - 15) };
        let extent = heap.extent();
        for block in blocks {
            // SAFETY: the block is live, and nobody uses it.
            unsafe { heap.deallocate(block) }.unwrap();
        }
        assert_eq!(heap.extent(), extent);
        assert_eq!(heap.allocate(bytes(50_000)), Err(Error::OutOfMemory));
        assert_eq!(heap.check().unwrap_err().invariant, Invariant::Segments);
        assert!(heap.allocate(bytes(24)).is_ok());
    }
}

/// Writes beyond the end of a block of 24 bytes: over the header of the next one.
#[cfg(target_pointer_width = "64")]
fn overflow(block: NonNull<u8>, word: usize) {
    // SAFETY: the word behind the block is the heap's, which has no reference to it.
    unsafe { block.add(24).cast::<usize>().write(word) };
}

#[test]
#[cfg(target_pointer_width = "64")]
fn a_waiting_block_with_a_damaged_header_is_left_alone() {
    struct Waits;
    impl Config for Waits {
        const COALESCE: Coalesce = Coalesce::Deferred;
        const CARVE: Carve = Carve::Low;
        type Meter = ();
    }
    for word in [usize::MAX, 0, 0x4141_4141_4141_4141] {
        let mut heap = Heap::<_, Segregated, Waits>::new(memory(100_000));
        let blocks: Vec<_> = (0..4).map(|_| heap.allocate(bytes(24)).unwrap()).collect();
        // SAFETY: the block is live, and nobody uses it.
        unsafe { heap.deallocate(blocks[2]) }.unwrap();
        overflow(blocks[1], word);
        heap.coalesce();
        assert_eq!(heap.check().unwrap_err().invariant, Invariant::HeaderCheck);
        // SAFETY: as above. The damage lies behind the second block, and is no matter of the first and the last one.
        unsafe {
            heap.deallocate(blocks[0]).unwrap();
            heap.deallocate(blocks[3]).unwrap();
        }
        heap.coalesce();
        assert!(heap.allocate(bytes(5000)).is_ok());
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_search_for_a_place_in_the_list_ends_at_a_damaged_header() {
    fn by<P: Placement>() {
        struct Low;
        impl Config for Low {
            const CARVE: Carve = Carve::Low;
            type Meter = ();
        }
        // With the used bit and without it.
        for word in [usize::MAX, usize::MAX - 1, 0] {
            let mut heap = Heap::<_, P, Low>::new(memory(100_000));
            let blocks: Vec<_> = (0..40).map(|_| heap.allocate(bytes(24)).unwrap()).collect();
            // SAFETY: the blocks are live, and nobody uses them.
            let mut free = |block: usize| unsafe { heap.deallocate(blocks[block]) }.unwrap();
            (0..16).step_by(2).for_each(&mut free);
            overflow(blocks[22], word);
            free(20);
            free(18);
            let mut order = vec![];
            heap.index(&mut |entry| order.push(entry.address));
            assert_eq!(order.len(), 8 + 2 + 1, "and the top");
            assert!(order.is_sorted());
        }
    }
    by::<FirstFitAddress>();
    by::<NextFit>();
}

#[test]
#[cfg(target_pointer_width = "32")]
fn a_size_that_leads_out_of_the_heap_is_refused() {
    let mut heap = Heap::<_, Segregated, Standard>::new(memory(10_000));
    let blocks: Vec<NonNull<u8>> = (0..8).map(|_| heap.allocate(bytes(1000)).unwrap()).collect();
    let last = *blocks.iter().max().unwrap();
    // SAFETY: the word in front of a block is its header: size 8000, used, the one before used.
    unsafe { last.cast::<usize>().sub(1).write(8000 | 3) };
    // SAFETY: the block is live, and nobody uses it.
    assert!(matches!(unsafe { heap.deallocate(last) }, Err(Fault::Corrupted { .. })));
}

//! Claim: what a program should not ask for gets an error value or a fault with the right name, and the heap is usable afterwards; a
//! block whose reallocation fails is intact.

mod bytes;

use std::alloc::Layout;
use std::ptr::NonNull;

use bytes::*;
use cairn_heap::*;

/// As [`Standard`], but that all blocks are cut from the low end, and the heap takes no more than it needs.
struct Low;
impl Config for Low {
    const CARVE: Carve = Carve::Low;
    const GROW_MIN: usize = 0;
    const GROW_SHIFT: u32 = 30;
    type Meter = ();
}

/// Every one, or every so many where each takes a thousand times as long.
const STRIDE: usize = if cfg!(miri) { 41 } else { 1 };

type Over<P> = Heap<Region, P, Low>;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn free<S: Source, P: Placement, C: Config>(heap: &mut Heap<S, P, C>, block: usize) -> Result<(), Fault> {
    // SAFETY: the block is live and nobody uses it, or the heap says what is wrong.
    unsafe { heap.deallocate(pointer(block)) }
}

fn allocate<S: Source, P: Placement, C: Config>(heap: &mut Heap<S, P, C>, size: usize) -> usize {
    heap.allocate(layout(size, 8)).unwrap().addr().get()
}

/// Fills a block with what `is_filled` expects.
fn fill(block: usize, size: usize) {
    // SAFETY: the tests name live blocks of so many bytes.
    (0..size).for_each(|i| unsafe { pointer(block).add(i).write((i % 251) as u8) });
}

fn is_filled(block: usize, size: usize) -> bool {
    // SAFETY: as for `fill`.
    (0..size).all(|i| unsafe { pointer(block).add(i).read() } == (i % 251) as u8)
}

fn zero_size<P: Placement>() {
    let mut heap = Over::<P>::new(memory(10_000));
    let none = layout(0, 1);
    let blocks: Vec<_> = (0..10).map(|_| heap.allocate(none).unwrap().addr().get()).collect();
    assert!(
        blocks.windows(2).all(|pair| pair[0] != pair[1]) && blocks.iter().all(|b| b.is_multiple_of(ALIGN))
    );
    assert_eq!(heap.allocate_zeroed(layout(0, 512)).unwrap().addr().get() % 512, 0);
    // SAFETY: the blocks are live, and each is given up for what comes back.
    unsafe {
        let grown = heap.reallocate(pointer(blocks[0]), none, 300).unwrap();
        let shrunk = heap.reallocate(grown, layout(300, 1), 0).unwrap();
        heap.deallocate(shrunk).unwrap();
    }
    blocks[1..].iter().for_each(|&block| free(&mut heap, block).unwrap());
    assert_eq!(heap.check().unwrap().used_blocks, 1);
}

fn sizes_that_no_heap_has<P: Placement>() {
    let mut heap = Over::<P>::new(memory(10_000));
    let (before, kept, behind) = (allocate(&mut heap, 50), allocate(&mut heap, 50), allocate(&mut heap, 50));
    fill(kept, 50);
    let largest = isize::MAX as usize;
    for size in
        (0..200).step_by(STRIDE).map(|less| largest - less).chain([largest / 2, 1 << 30, 10_001, 9_900])
    {
        for align in [1, 16, 32, 4096] {
            let Ok(layout) = Layout::from_size_align(size, align) else { continue };
            let error = heap.allocate(layout).unwrap_err();
            assert!(matches!(error, Error::TooLarge | Error::OutOfMemory), "{size} {align}: {error:?}");
            assert_eq!(heap.allocate_zeroed(layout), Err(error));
        }
    }
    let impossible =
        (0..200).step_by(STRIDE).flat_map(|less| [usize::MAX - less, largest - less, largest + less]);
    for size in impossible.chain([10_001, 9_900]) {
        for block in [before, kept, behind] {
            // SAFETY: the block is live with this layout.
            let error = unsafe { heap.reallocate(pointer(block), layout(50, 8), size) }.unwrap_err();
            assert!(matches!(error, Error::TooLarge | Error::OutOfMemory), "{size}: {error:?}");
        }
    }
    assert!(is_filled(kept, 50));
    assert_eq!(heap.check().unwrap().used_blocks, 3);
    [before, kept, behind].iter().for_each(|&block| free(&mut heap, block).unwrap());
    // All of it is one block again: nearly all of it can be had.
    allocate(&mut heap, 9_800);
}

fn alignments_up_to_the_heap_and_beyond<P: Placement>() {
    let mut heap = Over::<P>::new(memory(1 << 20));
    for log2 in (0..usize::BITS - 1).step_by(STRIDE.min(9)) {
        for size in [0, 1, 100] {
            match heap.allocate(layout(size, 1 << log2)) {
                Ok(block) => {
                    assert!(log2 < 20 && block.addr().get().is_multiple_of(1 << log2));
                    heap.check().unwrap();
                    free(&mut heap, block.addr().get()).unwrap();
                }
                Err(error) => assert!(log2 > 17, "2^{log2}: {error}"),
            }
        }
    }
    assert_eq!(heap.check().unwrap().used_blocks, 0);
}

fn exhausted_and_usable_again<P: Placement>() {
    let mut heap = Over::<P>::new(memory(20_000));
    let mut blocks = Vec::new();
    let error = loop {
        match heap.allocate(layout(100, 8)) {
            Ok(block) => blocks.push(block.addr().get()),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::OutOfMemory);
    assert!(blocks.len() >= 20_000 / 112 - 1, "{}", blocks.len());
    let totals = heap.check().unwrap();
    assert_eq!(heap.allocate(layout(100, 8)), Err(Error::OutOfMemory));
    assert_eq!(heap.check().unwrap(), totals);
    let middle = blocks.swap_remove(blocks.len() / 2);
    free(&mut heap, middle).unwrap();
    assert_eq!(allocate(&mut heap, 100), middle);
    free(&mut heap, middle).unwrap();
    blocks.into_iter().for_each(|block| free(&mut heap, block).unwrap());
    let whole = heap.check().unwrap();
    assert_eq!((whole.used_blocks, whole.free_blocks), (0, 1));
    allocate(&mut heap, 19_900);
}

fn tiny_and_crooked_regions<P: Placement>() {
    let most = if cfg!(miri) { 101 } else { 300 };
    for offset in (0..17).step_by(STRIDE.min(8)) {
        for bytes in (0..100).step_by(STRIDE).chain((100..most).step_by(7)) {
            let buffer = vec![0xEE_u8; bytes + 40].leak();
            let start = buffer.as_mut_ptr().expose_provenance() + offset;
            // SAFETY: the range lies in the buffer, which is nobody else's.
            let region = unsafe { Region::from_raw(pointer(start).as_ptr(), bytes) };
            let mut heap = Over::<P>::new(region);
            let mut blocks = Vec::new();
            while let Ok(block) = heap.allocate(layout(1, 1)) {
                let block = block.addr().get();
                let usable = heap.usable_size(pointer(block)).unwrap();
                assert!(block >= start && block + usable <= start + bytes);
                fill(block, usable);
                blocks.push((block, usable));
                heap.check().unwrap();
            }
            assert!(blocks.is_empty() == (heap.check().unwrap().used_blocks == 0));
            assert!(bytes < 128 || !blocks.is_empty(), "{bytes} bytes are enough for a block");
            for (block, usable) in blocks {
                assert!(is_filled(block, usable));
                free(&mut heap, block).unwrap();
                heap.check().unwrap();
            }
            assert!(buffer[..offset].iter().chain(&buffer[offset + bytes..]).all(|&byte| byte == 0xEE));
        }
    }
    // No memory at all, at no address.
    // SAFETY: an empty range is nobody's.
    let mut heap = Over::<P>::new(unsafe { Region::from_raw(std::ptr::null_mut(), 0) });
    assert_eq!(heap.allocate(layout(1, 1)), Err(Error::OutOfMemory));
    assert_eq!(free(&mut heap, 16), Err(Fault::Foreign { address: 16 }));
    assert_eq!(heap.check().unwrap(), Totals::default());
}

fn faults_by_name<P: Placement>() {
    let mut heap = Over::<P>::new(memory(10_000));
    let blocks: Vec<_> = (0..8).map(|_| allocate(&mut heap, 100)).collect();
    let sound = |heap: &Over<P>| heap.check().unwrap();
    let size = 112;
    let totals = sound(&heap);
    // Interior, at the alignment and off it; on 32 bits what lies within a block can't be told from a block there.
    for inside in [1, 4, 8, 15, 16, 32, 100, 111] {
        if cfg!(target_pointer_width = "32") && inside % ALIGN == 0 {
            continue;
        }
        let address = blocks[3] + inside;
        let fault = Fault::Interior { address, block: blocks[3], size };
        assert_eq!(free(&mut heap, address), Err(fault));
        assert_eq!(heap.usable_size(pointer(address)), Err(fault));
        // SAFETY: not a block, so there is nothing to promise.
        let error = unsafe { heap.reallocate(pointer(address), layout(8, 8), 16) };
        assert_eq!(error, Err(Error::Fault(fault)));
        assert_eq!(fault.address(), address);
    }
    // Foreign: in front, behind, the heap's own structure, what the source has not given yet, elsewhere.
    let local = 0u64;
    let end = heap.blocks().last().map(|block| block.address + block.size).unwrap();
    let elsewhere = (&raw const local).expose_provenance();
    for address in
        [1, 16, blocks[0] - 1, blocks[0] - 16, end, end + 16, elsewhere, usize::MAX, usize::MAX - 15]
    {
        assert_eq!(free(&mut heap, address), Err(Fault::Foreign { address }), "{address:#x}");
        assert_eq!(heap.usable_size(pointer(address)), Err(Fault::Foreign { address }));
    }
    assert_eq!(sound(&heap), totals);
    // Twice, at once, and after others in between.
    let twice = |heap: &mut Over<P>, address| {
        assert_eq!(free(heap, address), Err(Fault::DoubleFree { address }));
        assert_eq!(heap.usable_size(pointer(address)), Err(Fault::DoubleFree { address }));
        heap.check().unwrap();
    };
    free(&mut heap, blocks[3]).unwrap();
    twice(&mut heap, blocks[3]);
    // Off the alignment, in a block that is free.
    for inside in [1, 8, 104] {
        let address = blocks[3] + inside;
        assert_eq!(free(&mut heap, address), Err(Fault::Misaligned { address, align: ALIGN }));
    }
    free(&mut heap, blocks[6]).unwrap();
    free(&mut heap, blocks[1]).unwrap();
    twice(&mut heap, blocks[3]);
    // Joined with the free one in front, with the one behind, with both.
    free(&mut heap, blocks[4]).unwrap();
    free(&mut heap, blocks[5]).unwrap();
    free(&mut heap, blocks[2]).unwrap();
    (1..7).for_each(|number| twice(&mut heap, blocks[number]));
    // Joined with the top.
    free(&mut heap, blocks[7]).unwrap();
    (1..8).for_each(|number| twice(&mut heap, blocks[number]));
    assert_eq!(sound(&heap).used_blocks, 1);
    free(&mut heap, blocks[0]).unwrap();
    (0..8).for_each(|number| twice(&mut heap, blocks[number]));
    // The sentences name the address.
    let sentence = free(&mut heap, blocks[2]).unwrap_err().to_string();
    assert!(
        sentence.contains(&format!("{:#x}", blocks[2])) && sentence.contains("double free"),
        "{sentence}"
    );
}

fn double_free_of_what_waits<P: Placement>() {
    let mut heap = Heap::<Region, P, Deferred>::new(memory(50_000));
    let blocks: Vec<_> = (0..300).map(|_| allocate(&mut heap, 100)).collect();
    for &block in &blocks {
        free(&mut heap, block).unwrap();
        assert_eq!(free(&mut heap, block), Err(Fault::DoubleFree { address: block }));
    }
    for &block in &blocks {
        assert_eq!(free(&mut heap, block), Err(Fault::DoubleFree { address: block }));
    }
    heap.check().unwrap();
}

/// Resizes a block that holds `has` bytes, and looks where it is afterwards.
fn resize<P: Placement>(heap: &mut Over<P>, block: usize, has: usize, size: usize) -> Result<usize, Error> {
    fill(block, has);
    // SAFETY: the block is live with this layout.
    let moved = unsafe { heap.reallocate(pointer(block), layout(has, 8), size) };
    heap.check().unwrap();
    let at = moved.map_or(block, |moved: NonNull<u8>| moved.addr().get());
    assert!(is_filled(at, has.min(size)), "contents are kept, moved or not");
    moved.map(|_| at)
}

fn each_way_of_reallocation<P: Placement>() {
    // Ten blocks of 112 bytes, and nothing behind them, not in the source either.
    let full = || {
        let mut heap = Over::<P>::new(memory(RECORD + 10 * 112));
        let mut blocks = Vec::new();
        while let Ok(block) = heap.allocate(layout(100, 8)) {
            blocks.push(block.addr().get());
        }
        assert!(blocks.len() == 10 && blocks.is_sorted());
        (heap, blocks)
    };
    // What fits into two of the blocks, and into three.
    let (two, three) = (2 * 112 - WORD, 3 * 112 - WORD);
    // No way: the old block is intact.
    let (mut heap, blocks) = full();
    let totals = heap.check().unwrap();
    for &block in &blocks {
        assert_eq!(resize(&mut heap, block, 100, 150), Err(Error::OutOfMemory));
    }
    assert_eq!(heap.check().unwrap().used_bytes, totals.used_bytes);
    // Within the block; and by giving up what is left over, which can be had then.
    assert_eq!(resize(&mut heap, blocks[4], 100, 112 - WORD), Ok(blocks[4]));
    assert_eq!(resize(&mut heap, blocks[4], 100, 20), Ok(blocks[4]));
    assert_eq!(allocate(&mut heap, 60), blocks[4] + 32);
    // The next one is free: with all of it, and with a part.
    let (mut heap, blocks) = full();
    free(&mut heap, blocks[5]).unwrap();
    assert_eq!(resize(&mut heap, blocks[4], 100, two + 1), Err(Error::OutOfMemory));
    assert_eq!(resize(&mut heap, blocks[4], 100, two), Ok(blocks[4]));
    let (mut heap, blocks) = full();
    free(&mut heap, blocks[5]).unwrap();
    assert_eq!(resize(&mut heap, blocks[4], 100, 150), Ok(blocks[4]));
    assert_eq!(allocate(&mut heap, 40), blocks[4] + 160);
    // The one before is free: the contents move down, over each other.
    let (mut heap, blocks) = full();
    free(&mut heap, blocks[3]).unwrap();
    assert_eq!(resize(&mut heap, blocks[4], 100, two + 1), Err(Error::OutOfMemory));
    assert_eq!(resize(&mut heap, blocks[4], 100, 176), Ok(blocks[3]));
    assert_eq!(allocate(&mut heap, 20), blocks[3] + 192);
    assert!(matches!(free(&mut heap, blocks[4]), Err(Fault::Interior { .. })) || usize::BITS == 32);
    // Both are.
    let (mut heap, blocks) = full();
    free(&mut heap, blocks[3]).unwrap();
    free(&mut heap, blocks[5]).unwrap();
    assert_eq!(resize(&mut heap, blocks[4], 100, three + 1), Err(Error::OutOfMemory));
    assert_eq!(resize(&mut heap, blocks[4], 100, three), Ok(blocks[3]));
    // Neither is enough, but there is room elsewhere.
    let (mut heap, blocks) = full();
    [3, 7, 8].iter().for_each(|&number| free(&mut heap, blocks[number]).unwrap());
    assert_eq!(resize(&mut heap, blocks[5], 100, 200), Ok(blocks[7]));
    assert_eq!(free(&mut heap, blocks[5]), Err(Fault::DoubleFree { address: blocks[5] }));
    // An alignment above the heap's own: it can't move down, where it would lose it; but it can grow in place.
    let mut heap = Over::<P>::new(memory(8000));
    let before = allocate(&mut heap, 600);
    let block = heap.allocate(layout(100, 512)).unwrap();
    while allocate(&mut heap, 10) < block.addr().get() {}
    free(&mut heap, before).unwrap();
    // SAFETY: the block is live with this layout.
    let moved = unsafe { heap.reallocate(block, layout(100, 512), 300) }.unwrap();
    assert!(moved.addr().get().is_multiple_of(512) && moved != block);
    // SAFETY: as above.
    let stayed = unsafe { heap.reallocate(moved, layout(300, 512), 500) }.unwrap();
    assert_eq!(stayed, moved);
    heap.check().unwrap();
}

/// The block is the last one: the heap grows by what is missing, and the block stays where it is.
fn the_last_block_grows<P: Placement>() {
    let mut heap = Over::<P>::new(memory(100_000));
    let blocks = [allocate(&mut heap, 100), allocate(&mut heap, 100)];
    let extent = heap.extent();
    assert_eq!(resize(&mut heap, blocks[1], 100, 50_000), Ok(blocks[1]));
    assert!((49_900..50_100).contains(&(heap.extent() - extent)), "{} {extent}", heap.extent());
    // It is not the last one: it moves; but then it is.
    let moved = resize(&mut heap, blocks[0], 100, 10_000).unwrap();
    assert!(moved > blocks[1]);
    assert_eq!(resize(&mut heap, moved, 10_000, 20_000), Ok(moved));
    // More than there is.
    assert_eq!(resize(&mut heap, moved, 20_000, 60_000), Err(Error::OutOfMemory));
    assert_eq!(resize(&mut heap, moved, 20_000, 30_000), Ok(moved));
}

/// Where a block began that became part of another one, the program's bytes stand now. Whatever it writes over a byte of the old
/// header, nothing there looks like a block.
fn no_block_where_one_was<P: Placement>() {
    if cfg!(target_pointer_width = "32") {
        return; // no check
    }
    let free_both = |heap: &mut Over<P>, first: usize, second: usize| {
        free(heap, first).unwrap();
        free(heap, second).unwrap();
    };
    type Join<'a, P> = &'a dyn Fn(&mut Over<P>, usize, usize) -> usize;
    let ways: [(&str, Join<'_, P>); 4] = [
        ("freed upwards", &|heap, first, second| {
            free_both(heap, first, second);
            allocate(heap, 216)
        }),
        ("freed downwards", &|heap, first, second| {
            free_both(heap, second, first);
            allocate(heap, 216)
        }),
        ("grown upwards", &|heap, first, second| {
            free(heap, second).unwrap();
            resize(heap, first, 100, 216).unwrap()
        }),
        ("moved down", &|heap, first, second| {
            free(heap, first).unwrap();
            resize(heap, second, 100, 216).unwrap()
        }),
    ];
    for (way, join) in ways {
        let mut heap = Over::<P>::new(memory(RECORD + 4 * 112));
        let [_, first, second, _] = [(); 4].map(|()| allocate(&mut heap, 100));
        assert_eq!(join(&mut heap, first, second), first, "{way}");
        for byte in (0..=255).step_by(STRIDE) {
            let inside = pointer(second - WORD);
            // SAFETY: the byte lies in a live block, far from its ends.
            unsafe { inside.write(byte) };
            let expected = Fault::Interior { address: second, block: first, size: 224 };
            assert_eq!(heap.usable_size(pointer(second)), Err(expected), "{way}, {byte:#x}");
        }
    }
}

macro_rules! for_each_policy {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test] fn first_fit() { super::$name::<super::FirstFit>() }
            #[test] fn first_fit_address() { super::$name::<super::FirstFitAddress>() }
            #[test] fn next_fit() { super::$name::<super::NextFit>() }
            #[test] fn best_fit() { super::$name::<super::BestFit>() }
            #[test] fn worst_fit() { super::$name::<super::WorstFit>() }
            #[test] fn best_fit_tree() { super::$name::<super::BestFitTree>() }
            #[test] fn segregated() { super::$name::<super::Segregated>() }
            #[test] fn two_level() { super::$name::<super::TwoLevel<6>>() }
        }
    )*};
}

for_each_policy! {
    zero_size,
    sizes_that_no_heap_has,
    alignments_up_to_the_heap_and_beyond,
    exhausted_and_usable_again,
    tiny_and_crooked_regions,
    faults_by_name,
    double_free_of_what_waits,
    each_way_of_reallocation,
    the_last_block_grows,
    no_block_where_one_was,
}

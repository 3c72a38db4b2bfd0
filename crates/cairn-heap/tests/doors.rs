//! Claim: behind a lock, a heap is an `Allocator` in both versions of `allocator-api2`, alone and under the collections that take it.
#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

use std::alloc::Layout;
use std::ptr::NonNull;

use cairn_heap::*;

type Lock = spin::Mutex<()>;

fn locked<P: Placement>(bytes: usize) -> Locked<Lock, Region, P> {
    Locked::new(Heap::new(Region::new(vec![0xA5; bytes].leak())))
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

unsafe fn all(block: NonNull<[u8]>, range: std::ops::Range<usize>, byte: u8) -> bool {
    unsafe { &block.as_ref()[range] }.iter().all(|&b| b == byte)
}

/// Blocks in use, after an audit.
fn used<P: Placement>(heap: &Locked<Lock, Region, P>) -> usize {
    heap.inspect(|heap| heap.check()).unwrap().used_blocks
}

/// The same tests and collections for each version of the trait.
macro_rules! suite {
    ($module:ident, $krate:ident) => {
        mod $module {
            use super::*;
            use $krate::alloc::Allocator;
            use $krate::boxed::Box;
            use $krate::vec::Vec;

            #[test]
            fn blocks_of_size_0_take_no_memory() {
                let heap = &locked::<Segregated>(1 << 16);
                for align in (0..=20).map(|log2| 1 << log2) {
                    let none = layout(0, align);
                    let block = heap.allocate(none).unwrap();
                    assert_eq!((block.len(), block.cast::<u8>().addr().get()), (0, align));
                    let same = heap.allocate_zeroed(none).unwrap();
                    assert_eq!(same.cast::<u8>(), block.cast());
                    assert_eq!(used(heap), 0);
                    if align > 4096 {
                        continue;
                    }
                    unsafe {
                        let grown = heap.grow_zeroed(block.cast(), none, layout(100, align)).unwrap();
                        assert!(all(grown, 0..100, 0));
                        assert_eq!(used(heap), 1);
                        let shrunk = heap.shrink(grown.cast(), layout(100, align), none).unwrap();
                        assert_eq!((shrunk.len(), used(heap)), (0, 0));
                        let grown = heap.grow(shrunk.cast(), none, layout(9, align)).unwrap();
                        heap.deallocate(grown.cast(), layout(9, align));
                        heap.deallocate(same.cast(), none);
                    }
                }
                assert_eq!(used(heap), 0);
            }

            #[test]
            fn growing_and_shrinking_keep_contents_and_change_alignment() {
                let heap = &locked::<BestFitTree>(1 << 20);
                let sizes = [1, 24, 25, 100, 4000, 70_000];
                let aligns = [1, 8, 16, 32, 64, 4096];
                // Something in front, so that addresses are not round by accident.
                let _front = Box::new_in([0u8; 40], heap);
                for (small, large) in sizes.iter().flat_map(|s| sizes.iter().map(move |l| (*s, *l))) {
                    for (first, second) in aligns.iter().flat_map(|a| aligns.iter().map(move |b| (*a, *b))) {
                        if small > large {
                            continue;
                        }
                        let (old, new) = (layout(small, first), layout(large, second));
                        let message = format!("{old:?} to {new:?}");
                        unsafe {
                            let block = heap.allocate(old).unwrap();
                            assert_eq!(block.len(), small);
                            block.cast::<u8>().write_bytes(0xaa, small);
                            let grown = heap.grow_zeroed(block.cast(), old, new).unwrap();
                            assert!(grown.len() == large && all(grown, 0..small, 0xaa), "{message}");
                            assert!(all(grown, small..large, 0), "{message}");
                            assert!(grown.cast::<u8>().addr().get().is_multiple_of(second), "{message}");
                            grown.cast::<u8>().write_bytes(0xbb, large);
                            let shrunk = heap.shrink(grown.cast(), new, old).unwrap();
                            assert!(shrunk.len() == small && all(shrunk, 0..small, 0xbb), "{message}, back");
                            assert!(
                                shrunk.cast::<u8>().addr().get().is_multiple_of(first),
                                "{message}, back"
                            );
                            heap.deallocate(shrunk.cast(), old);
                        }
                        assert_eq!(used(heap), 1, "{message}");
                    }
                }
            }

            #[test]
            fn the_impossible_is_an_error_and_the_block_kept() {
                let heap = &locked::<TwoLevel>(10_000);
                for greatest in [layout(isize::MAX as usize - 4096, 8), layout(10_000, 8), layout(9, 1 << 30)]
                {
                    assert!(heap.allocate(greatest).is_err() && heap.allocate_zeroed(greatest).is_err());
                    let old = layout(8, 8);
                    let block = heap.allocate(old).unwrap();
                    unsafe {
                        block.cast::<u8>().write_bytes(5, 8);
                        assert!(heap.grow(block.cast(), old, greatest).is_err());
                        assert!(heap.grow_zeroed(block.cast(), old, greatest).is_err());
                        assert!(all(block, 0..8, 5));
                        heap.deallocate(block.cast(), old);
                    }
                    assert_eq!(used(heap), 0);
                }
            }

            #[test]
            fn its_vectors_and_boxes_live_in_the_heap() {
                let heap = &locked::<Segregated>(4 << 20);
                let mut numbers = Vec::new_in(heap);
                (0..50_000u64).for_each(|i| numbers.push(i));
                assert_eq!(used(heap), 1);
                numbers.truncate(1000);
                numbers.shrink_to_fit();
                assert!(numbers.iter().copied().eq(0..1000));
                let totals = heap.inspect(|heap| heap.check()).unwrap();
                assert!((8000..8064).contains(&totals.used_bytes), "{totals:?}");
                let mut nested = Vec::with_capacity_in(10, heap);
                nested.extend((0..5000).map(|i| Box::new_in([i; 3], heap)));
                assert!(nested.iter().enumerate().all(|(i, b)| **b == [i as u64; 3]));
                assert_eq!(used(heap), 5002);
                drop(nested);
                drop(numbers);
                assert_eq!(used(heap), 0);
            }
        }
    };
}

suite!(version_0_2, allocator_api2);
suite!(version_0_4, allocator_api2_04);

#[test]
fn a_hash_map_lives_in_the_heap_of_each_policy() {
    fn on<P: Placement>() {
        let heap = &locked::<P>(1 << 20);
        let mut map = hashbrown::HashMap::new_in(heap);
        for i in 0..3000u32 {
            map.insert(i, Box::new(i));
            if i % 3 == 0 {
                map.remove(&(i / 2));
            }
        }
        assert!(map.iter().all(|(key, value)| *key == **value));
        assert_eq!(used(heap), 1);
        drop(map);
        assert_eq!(used(heap), 0);
    }
    on::<FirstFit>();
    on::<FirstFitAddress>();
    on::<NextFit>();
    on::<BestFit>();
    on::<WorstFit>();
    on::<BestFitTree>();
    on::<Segregated>();
    on::<TwoLevel>();
}

#[test]
fn threads_share_a_heap() {
    use allocator_api2::vec::Vec;
    let rounds = if cfg!(miri) { 10 } else { 400 };
    let heap = locked::<TwoLevel>(4 << 20);
    std::thread::scope(|scope| {
        for thread in 0..4u32 {
            let heap = &heap;
            scope.spawn(move || {
                for round in 0..rounds {
                    let mut numbers = Vec::new_in(heap);
                    (0..200 + round).for_each(|i| numbers.push(i ^ thread));
                    assert!(numbers.iter().enumerate().all(|(i, &n)| n == i as u32 ^ thread));
                }
            });
        }
    });
    assert_eq!(used(&heap), 0);
}

#[test]
fn the_lock_is_a_way_to_the_whole_heap() {
    let heap = locked::<NextFit>(1 << 16);
    // SAFETY: the heap is used and not replaced.
    let block = unsafe { heap.lock() }.allocate(layout(64, 64)).unwrap();
    assert_eq!(used(&heap), 1);
    // SAFETY: as above; the block is live.
    let freed = unsafe { heap.lock().deallocate(block) };
    assert_eq!((freed, used(&heap)), (Ok(()), 0));
}

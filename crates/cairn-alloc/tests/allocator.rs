//! The `Allocator` trait, in both versions of `allocator-api2`, alone and under the collections that take it. The
//! program's own heap is another one here, so whatever comes from Cairn was asked of it by the collection.

#![cfg(all(feature = "allocator-api2", feature = "allocator-api2-04"))]
#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

use std::alloc::Layout;
use std::ptr::NonNull;

use cairn_alloc::{Cairn, engine};

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

unsafe fn all(block: NonNull<[u8]>, upto: usize, byte: u8) -> bool {
    unsafe { &block.as_ref()[..upto] }.iter().all(|&b| b == byte)
}

/// The size of the block that begins here. Ends the process if it isn't Cairn's.
fn usable<T>(block: *const T) -> usize {
    unsafe { engine::usable_size(block.cast_mut().cast()) }
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
                for align in (0..=20).map(|log2| 1 << log2) {
                    let none = layout(0, align);
                    let block = Cairn.allocate(none).unwrap();
                    assert_eq!(block.len(), 0);
                    assert_eq!(block.cast::<u8>().addr().get(), align, "not an address in the heap");
                    let same = Cairn.allocate_zeroed(none).unwrap();
                    assert_eq!(same.cast::<u8>(), block.cast());
                    unsafe {
                        let grown = Cairn.grow_zeroed(block.cast(), none, layout(100, align)).unwrap();
                        assert!(all(grown, 100, 0));
                        let shrunk = Cairn.shrink(grown.cast(), layout(100, align), none).unwrap();
                        assert_eq!(shrunk.len(), 0);
                        let grown = Cairn.grow(shrunk.cast(), none, layout(9, align)).unwrap();
                        Cairn.deallocate(grown.cast(), layout(9, align));
                        Cairn.deallocate(same.cast(), none);
                    }
                }
            }

            /// A medium block that shrinks far moves, and may have lain where a stricter alignment holds by chance.
            #[test]
            fn a_block_that_shrinks_is_aligned_as_its_new_layout_asks() {
                let old = layout(200_000, 8);
                for new in [layout(50_000, 1 << 17), layout(40_000, 8192), layout(100, 1 << 17)] {
                    for _ in 0..50 {
                        let mut others = std::vec::Vec::new();
                        let block = loop {
                            let block = Cairn.allocate(old).unwrap();
                            if block.cast::<u8>().addr().get().is_multiple_of(1 << 17) {
                                break block;
                            }
                            others.push(block);
                        };
                        unsafe {
                            let shrunk = Cairn.shrink(block.cast(), old, new).unwrap();
                            let at = shrunk.cast::<u8>().addr().get();
                            assert!(at.is_multiple_of(new.align()), "{at:#x} for {new:?}");
                            Cairn.deallocate(shrunk.cast(), new);
                            others.into_iter().for_each(|block| Cairn.deallocate(block.cast(), old));
                        }
                    }
                }
            }

            #[test]
            fn growing_and_shrinking_keep_contents_and_change_alignment() {
                let sizes = [1, 24, 25, 100, 4000, 32_768, 32_769, 70_000, 1 << 20];
                let aligns = [1, 8, 16, 64, 4096, 1 << 16, 1 << 18];
                for (small, large) in sizes.iter().flat_map(|s| sizes.iter().map(move |l| (*s, *l))) {
                    for (first, second) in aligns.iter().flat_map(|a| aligns.iter().map(move |b| (*a, *b))) {
                        if small > large {
                            continue;
                        }
                        let (old, new) = (layout(small, first), layout(large, second));
                        unsafe {
                            let block = Cairn.allocate(old).unwrap();
                            assert_eq!(block.len(), small);
                            block.cast::<u8>().write_bytes(0xaa, small);
                            let grown = Cairn.grow_zeroed(block.cast(), old, new).unwrap();
                            let message = format!("{old:?} to {new:?}");
                            assert!(grown.len() == large && all(grown, small, 0xaa), "{message}");
                            assert!(grown.as_ref()[small..].iter().all(|&b| b == 0), "{message}");
                            assert!(grown.cast::<u8>().addr().get().is_multiple_of(second), "{message}");
                            grown.cast::<u8>().write_bytes(0xbb, large);
                            let shrunk = Cairn.shrink(grown.cast(), new, old).unwrap();
                            assert!(shrunk.len() == small && all(shrunk, small, 0xbb), "{message} and back");
                            assert!(
                                shrunk.cast::<u8>().addr().get().is_multiple_of(first),
                                "{message} and back"
                            );
                            Cairn.deallocate(shrunk.cast(), old);
                        }
                    }
                }
            }

            #[test]
            fn the_impossible_is_an_error_and_the_block_kept() {
                let greatest = layout(isize::MAX as usize - 4096, 8);
                assert!(Cairn.allocate(greatest).is_err() && Cairn.allocate_zeroed(greatest).is_err());
                let block = Cairn.allocate(layout(50, 8)).unwrap();
                unsafe {
                    block.cast::<u8>().write_bytes(5, 50);
                    assert!(Cairn.grow(block.cast(), layout(50, 8), greatest).is_err());
                    assert!(Cairn.grow_zeroed(block.cast(), layout(50, 8), greatest).is_err());
                    assert!(all(block, 50, 5));
                    Cairn.deallocate(block.cast(), layout(50, 8));
                }
            }

            #[test]
            fn its_vectors_and_boxes_live_in_the_heap() {
                let mut numbers = Vec::new_in(Cairn);
                (0..200_000u64).for_each(|i| numbers.push(i));
                numbers.truncate(1000);
                numbers.shrink_to_fit();
                assert!(usable(&raw const numbers[0]) >= 8000);
                assert!(numbers.iter().copied().eq(0..1000));
                let nested: Vec<Box<[u64; 3], Cairn>, Cairn> = {
                    let mut nested = Vec::with_capacity_in(10, Cairn);
                    nested.extend((0..5000).map(|i| Box::new_in([i; 3], Cairn)));
                    nested
                };
                assert!(nested.iter().enumerate().all(|(i, b)| **b == [i as u64; 3]));
                assert_eq!(usable(&raw const *nested[77]), 24);
                assert_eq!(Box::new_in((), Cairn), Box::new_in((), Cairn));
            }
        }
    };
}

suite!(version_0_2, allocator_api2);
suite!(version_0_4, allocator_api2_04);

#[test]
fn hash_tables_live_in_the_heap() {
    let mut map = hashbrown::HashMap::new_in(Cairn);
    for i in 0..50_000u64 {
        map.insert(i, [i; 4]);
        if i % 3 == 0 {
            map.remove(&(i / 2));
        }
    }
    map.shrink_to_fit();
    assert!(map.iter().all(|(k, v)| *v == [*k; 4]));
    let set: hashbrown::HashSet<String, hashbrown::DefaultHashBuilder, Cairn> = {
        let mut set = hashbrown::HashSet::new_in(Cairn);
        set.extend((0..1000).map(|i| i.to_string()));
        set
    };
    assert!(set.contains("999") && set.len() == 1000);
}

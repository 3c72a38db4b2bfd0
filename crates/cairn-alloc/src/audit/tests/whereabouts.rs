//! A block with the mark of a free one: wherever it may wait it is found there, and one that is nowhere is its owner's.

use std::sync::mpsc::channel;
use std::vec::Vec;

use core::alloc::{GlobalAlloc, Layout};

use super::{allocate, alone, ends_a_process_of_its_own, free, half_free, is_whole, slab_of};
use crate::audit::fault_of_marked;
use crate::class::SHAPES;
use crate::fault::Call;
use crate::inside::Inside;
use crate::slab::Fault;
use crate::{Cairn, center, engine, mark, shelf, thread};

const DOUBLE: Option<Fault> = Some(Fault::DoubleFree);

/// What is said of a block whose fast free found the mark.
fn said(block: *mut u8, class: usize) -> Option<Fault> {
    fault_of_marked(block.addr(), class, Call::Reallocate)
}

#[test]
fn a_free_block_is_found_wherever_it_waits() {
    alone(|| {
        let (kept, class) = half_free(176);
        let (block, freed) = (kept[7], kept[7].wrapping_add(176));
        assert_eq!(said(block, class), None, "it is live");
        assert_eq!(said(freed, class), DOUBLE, "it is in its slab");

        free(block);
        assert_eq!(said(block, class), DOUBLE, "it is in this thread's bin");
        assert_eq!(allocate(176), block);
        assert_eq!(said(block, class), None, "it was there");

        shelf::damage::put(class, block);
        assert_eq!(said(block, class), DOUBLE, "it lies on a shelf");
        assert_eq!(shelf::damage::take(class), block);

        center::damage::stack(class, &[kept[3], block]);
        assert_eq!(said(block, class), DOUBLE, "it lies in the transfer stack");
        center::damage::unstack(class);

        thread::damage::in_hands(class, block, || assert_eq!(said(block, class), DOUBLE));
        assert_eq!(said(block, class), None);

        // In a handler that interrupted its thread inside the heap no lock may be asked for.
        let inside = Inside::enter();
        assert_eq!(said(block, class), DOUBLE);
        assert_eq!(fault_of_marked(block.addr(), class, Call::Free), None);
        drop(inside);
        is_whole();
        kept.into_iter().for_each(free);
    });
}

#[test]
fn a_free_block_is_found_in_another_threads_bin() {
    alone(|| {
        let (kept, class) = half_free(208);
        let (block, address) = (kept[7], kept[7].expose_provenance());
        let ((freed, is_free), (done, is_done)) = (channel(), channel::<()>());
        let other = std::thread::spawn(move || {
            // The first one may go to its slab.
            free(allocate(208));
            free(core::ptr::with_exposed_provenance_mut(address));
            freed.send(()).expect("a listener");
            is_done.recv().expect("a word");
            assert_eq!(allocate(208).addr(), address);
            free(core::ptr::with_exposed_provenance_mut(address));
        });
        is_free.recv().expect("a word");
        assert_eq!(said(block, class), DOUBLE);
        done.send(()).expect("a listener");
        other.join().expect("see above");
        // The thread has ended, and its bins are empty; the block is in its slab.
        assert_eq!(said(block, class), DOUBLE);
        kept.into_iter().filter(|other| *other != block).for_each(free);
        is_whole();
    });
}

/// Has the bytes of a freed block of this layout brought back to where they were, by a program that never wrote them; gives the block, which is live.
fn with_its_mark_back(layout: Layout) -> *mut u8 {
    let class = crate::class::of_layout(layout.size(), layout.align());
    // SAFETY: a block of this test, which is handed out again as the newest of its bin; in between its memory is read as a
    // program can that gets it as part of a larger block.
    unsafe {
        // The first block of all goes to its slab when it is freed.
        Cairn.dealloc(Cairn.alloc(layout), layout);
        let block = Cairn.alloc(layout);
        Cairn.dealloc(block, layout);
        assert!(mark::is_set(block, class));
        let bytes: Vec<u8> = (0..layout.size()).map(|at| block.add(at).read_volatile()).collect();
        assert_eq!(Cairn.alloc(layout), block);
        block.copy_from(bytes.as_ptr(), bytes.len());
        assert!(mark::is_set(block, class));
        block
    }
}

#[test]
fn a_mark_that_came_back_is_no_double_free() {
    alone(|| {
        for size in [8, 16, 48, 176, 5120, 32_768] {
            let layout = Layout::from_size_align(size, 8).expect("a layout");
            let class = crate::class::of_layout(size, 8);
            // SAFETY: each block is freed once.
            unsafe {
                let block = with_its_mark_back(layout);
                assert_eq!(engine::usable_size(block), size);
                assert_eq!(engine::reallocate(block, size), block);
                free(block);
                is_whole();
                assert_eq!(said(block, class), DOUBLE, "{size}");

                let block = with_its_mark_back(layout);
                Cairn.dealloc(block, layout);
                assert_eq!(said(block, class), DOUBLE, "{size}, Rust");

                let moved = engine::reallocate(with_its_mark_back(layout), 70_000);
                is_whole();
                free(moved);

                let block = with_its_mark_back(layout);
                if !engine::free_sized_fast(block, size) {
                    engine::free_sized_slow(block, size, 8);
                }
                is_whole();
            }
        }
    });
}

/// The same where other threads could be carrying it.
#[test]
fn a_mark_that_came_back_is_no_double_free_among_others() {
    alone(|| {
        let (done, is_done) = channel::<()>();
        let other = std::thread::spawn(move || is_done.recv());
        free(with_its_mark_back(Layout::new::<[u64; 27]>()));
        assert!(crate::audit::check_by_helper().is_ok());
        done.send(()).expect("a listener");
        other.join().expect("see above").expect("a word");
    });
}

/// A second slab of the class has come to lie where the first one was, and has not handed out the block yet.
#[test]
fn a_block_whose_slab_was_made_anew_was_freed_before() {
    alone(|| {
        let class = crate::class::of_size(7168);
        let blocks: Vec<_> = (0..SHAPES[class].blocks).map(|_| allocate(7168)).collect();
        let last = *blocks.iter().max().expect("blocks");
        blocks.into_iter().for_each(free);
        thread::flush_own();
        center::settle_all();
        let again = allocate(7168);
        let fault = slab_of(last).fault_of(last.addr(), class);
        assert_eq!(fault, Some(Fault::NeverAllocated), "another slab lies there");
        // SAFETY: the slab's memory.
        assert!(unsafe { mark::is_set(last, class) });
        assert_eq!(said(last, class), DOUBLE);
        free(again);
    });
}

/// Who interrupted its thread inside the heap can't ask for locks.
#[test]
fn the_mark_alone_decides_inside_the_heap() {
    let name = "audit::tests::whereabouts::the_mark_alone_decides_inside_the_heap";
    ends_a_process_of_its_own(name, "cairn: malloc_usable_size of a block that was freed before", || {
        let block = with_its_mark_back(Layout::new::<[u64; 6]>());
        let _inside = Inside::enter();
        // SAFETY: the block is live.
        unsafe { engine::usable_size(block) };
    });
}

//! A block with the mark of a free one: wherever it may wait it is found there, and one that is nowhere is its owner's.

use std::sync::mpsc::channel;

use super::{allocate, alone, free, half_free, is_whole};
use crate::audit::fault_of_marked;
use crate::class::SHAPES;
use crate::inside::Inside;
use crate::slab::Fault;
use crate::{center, engine, mark, shelf, thread};

const DOUBLE: Option<Fault> = Some(Fault::DoubleFree);

/// What is said of a block whose fast free found the mark.
fn said(block: *mut u8, class: usize) -> Option<Fault> {
    fault_of_marked(block.addr(), class, 0)
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
        assert_eq!(fault_of_marked(block.addr(), class, 1), None);
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

/// The bytes of a freed block, brought back to where they were by a program that never wrote them.
#[test]
fn a_mark_that_came_back_is_no_double_free() {
    alone(|| {
        for size in [8, 16, 48, 176, 5000, 32_768] {
            let class = crate::class::of_size(size);
            // SAFETY: a block of this test, which is handed out again as the newest of its bin; in between its memory is read as a
            // program can that gets it as part of a larger block.
            unsafe {
                let kept = allocate(size);
                let block = allocate(size);
                free(block);
                let bytes: std::vec::Vec<u8> =
                    (0..SHAPES[class].size as usize).map(|at| block.add(at).read_volatile()).collect();
                assert!(mark::is_set(block, class));
                let again = allocate(size);
                assert_eq!(again, block);
                again.copy_from(bytes.as_ptr(), bytes.len());
                assert!(mark::is_set(again, class), "{size}");
                assert_eq!(engine::usable_size(again), bytes.len());
                assert_eq!(engine::reallocate(again, size), again);
                free(again);
                is_whole();
                assert_eq!(said(again, class), DOUBLE, "{size}");
                free(kept);
            }
        }
        is_whole();
    });
}

//! Shelves and transfer stacks: their blocks, bounds, chains.

use super::{allocate, alone, free, half_free, is_whole, says_among_others, slab_of, wrong_among_others};
use crate::class::{of_medium, of_size};
use crate::{center, shelf};

#[test]
fn shelves_and_stacks() {
    alone(|| {
        let (kept, class) = half_free(144);
        let (live, next) = (kept[10], kept[11]);
        assert_eq!(shelf::damage::put(class, live), 1);
        is_whole();
        let (bytes, len, least, slots) = shelf::damage::fields(class);
        // SAFETY: fields of the first shelf.
        unsafe {
            wrong_among_others(bytes, *bytes + 1, "bytes of its blocks");
            wrong_among_others(len, 255, "more than a row may");
            wrong_among_others(least, *len + 1, "never held as little");
            wrong_among_others(slots, live.add(16), "a shelf holds an address inside a block");
            wrong_among_others(slots, live.add(144), "a shelf holds a block that is free in its slab, too");
        }
        assert_eq!(shelf::damage::put(class, live), 1);
        says_among_others("a shelf a second time");
        assert_eq!(shelf::damage::take(class), live);

        // On the shelf, and in a bin.
        free(live);
        says_among_others("lies on a shelf, too");
        assert_eq!(allocate(144), live);
        is_whole();

        // In a stack: whole, twice, and on the shelf as well.
        center::damage::stack(class, &[next]);
        is_whole();
        center::damage::stack(class, &[next]);
        says_among_others("a transfer stack holds a block twice");
        center::damage::unstack(class);
        center::damage::stack(class, &[live]);
        says_among_others("lies on a shelf, too");
        center::damage::unstack(class);
        for (block, words) in [
            (live.wrapping_add(8), "a transfer stack holds an address inside a block"),
            (live.wrapping_add(144), "a transfer stack holds a block that is free in its slab, too"),
            (core::ptr::null_mut(), "a transfer stack holds an address that lies in no slab"),
        ] {
            center::damage::stack(class, &[block]);
            says_among_others(words);
            center::damage::unstack(class);
            is_whole();
        }
        // In the stack, and in a bin.
        free(next);
        says_among_others("lies in the transfer stack, too");
        assert_eq!(allocate(144), next);
        let batch = center::damage::top_batch(class).cast::<u32>();
        wrong_among_others(batch, 5, "longer than its depth");
        wrong_among_others(batch.wrapping_add(1), 1000, "more than it can");
        is_whole();
        center::damage::unstack(class);
        assert_eq!(shelf::damage::take(class), live);
        is_whole();
        kept.into_iter().for_each(free);
    });
}

#[test]
fn medium_blocks_on_shelves() {
    alone(|| {
        const SIZE: usize = 40_000;
        let class = of_medium(SIZE).expect("one");
        let [block, other] = [(); 2].map(|()| allocate(SIZE));
        let slab = slab_of(block);
        assert_eq!(shelf::damage::put(class, block), 1);
        says_among_others("a shelf holds a block that the program holds, too");
        // As if it had been freed.
        assert!(slab.take_back(block.addr(), class));
        is_whole();
        let (bytes, ..) = shelf::damage::fields(class);
        // SAFETY: a field of the first shelf.
        wrong_among_others(bytes, unsafe { *bytes } - 1, "bytes of its blocks");
        assert_eq!(shelf::damage::take(class), block);
        slab.hand_out(block.addr(), class);
        [block, other].into_iter().for_each(free);
        is_whole();
    });
}

#[test]
fn all_rows_of_a_shelf_are_settled() {
    alone(|| {
        let classes = [1000, 1100, 1200].map(|size| {
            let class = of_size(size);
            assert_eq!(shelf::damage::put(class, allocate(size)), 1);
            class
        });
        assert!(classes.is_sorted_by(|one, next| one + 1 == *next));
        shelf::settle(false);
        assert_eq!(classes.map(shelf::blocks), [0; 3]);
        is_whole();
    });
}

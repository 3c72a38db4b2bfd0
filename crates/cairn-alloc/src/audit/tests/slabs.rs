//! Slabs: bitmap, counts, first word, lists, sums.

use std::vec::Vec;

use super::{allocate, alone, free, half_free, is_whole, says_among_others, slab_of, wrong_among_others};
use crate::center;
use crate::class::SHAPES;
use crate::descriptor::NO_LIST;

#[test]
fn slabs() {
    alone(|| {
        for size in [32, 2000] {
            let (kept, class) = half_free(size);
            is_whole();
            let slab = slab_of(kept[kept.len() / 2]);
            let body = slab.body();
            let (free_count, carved) = (body.free, body.carved);
            assert!(free_count > 1 && body.list != NO_LIST);
            wrong_among_others(
                &mut body.free,
                free_count + 1,
                "counts another number of free blocks than its bitmap",
            );
            wrong_among_others(&mut body.free, carved + 1, "more free blocks than it ever handed out");
            wrong_among_others(
                &mut body.carved,
                SHAPES[class].blocks + 1,
                "handed out more blocks than it has",
            );
            wrong_among_others(&mut body.carved, free_count, "no live block and was not given back");
            // SAFETY: the bitmap has a word for the first 64 blocks.
            let first = unsafe { *body.bitmap };
            wrong_among_others(body.bitmap, first ^ 1 << first.trailing_zeros(), "than its bitmap has");
            wrong_among_others(
                &mut body.first_word,
                1 << 20,
                "before the word where its bitmap is said to begin",
            );
            wrong_among_others(&mut body.list, (body.list + 1) % 4, "list");
            wrong_among_others(&mut body.list, NO_LIST, "list");
            wrong_among_others(&mut body.leave_at, body.leave_at + 1, "would leave its list");
            wrong_among_others(&mut body.next, body.previous.or(Some(slab.descriptor())), "list");
            let elsewhere = core::ptr::without_provenance_mut(kept[0].addr());
            wrong_among_others(&mut body.bitmap, elsewhere, "bitmap");
            center::damage::unlist(slab, class, false);
            says_among_others("slabs with room that are in none of its lists");
            center::damage::unlist(slab, class, true);
            is_whole();
            for (sum, words) in
                center::damage::sums(class).into_iter().zip(["slabs", "handed out", "free blocks"])
            {
                // SAFETY: a field of the class.
                wrong_among_others(sum, unsafe { *sum } + 1, words);
            }
            wrong_among_others(center::damage::holes(class), false, "would never look for holes");
            kept.into_iter().for_each(free);
        }
    });
}

#[test]
fn medium_blocks_that_the_program_holds() {
    alone(|| {
        let [block, other] = [(); 2].map(|()| allocate(40_000));
        let slab = slab_of(block);
        assert_eq!(slab.descriptor(), slab_of(other).descriptor());
        free(other);
        assert_eq!((slab.body().carved, slab.body().free), (2, 1));
        let held = slab.held().as_ptr();
        wrong_among_others(held, 0b11, "has free blocks that the program holds");
        wrong_among_others(held, 0b101, "never handed out what the program holds of it");
        free(block);
        is_whole();
    });
}

#[test]
fn bits_of_blocks_that_were_never_handed_out() {
    alone(|| {
        let block = allocate(2000);
        let body = slab_of(block).body();
        assert!(!body.carved.is_multiple_of(64));
        // SAFETY: the word of the last block that was handed out.
        let word = unsafe { body.bitmap.add(body.carved as usize / 64) };
        // SAFETY: the same.
        wrong_among_others(
            word,
            unsafe { *word } | 1 << 63,
            "marks blocks as free that were never handed out",
        );
        free(block);
    });
}

#[test]
fn a_first_word_behind_the_last() {
    alone(|| {
        // Where no bit is set, none can lie before the first word.
        let blocks: Vec<_> = (0..5000).map(|_| allocate(16)).collect();
        let body = blocks
            .iter()
            .map(|block| slab_of(*block).body())
            .find(|body| body.free == 0)
            .expect("a full slab");
        let words = body.carved.div_ceil(64);
        wrong_among_others(&mut body.first_word, words, "behind all that it handed out");
        blocks.into_iter().for_each(free);
    });
}

//! Records of Cairn's own: free pieces, arrays and bitmaps share no byte.

use super::{allocate, alone, filled_bin, free, is_whole, says_among_others, wrong_among_others};
use crate::{bin, records, thread};

#[test]
fn records_of_cairns_own() {
    alone(|| {
        let pieces = [(); 3].map(|()| records::take(1024));
        // SAFETY: taken just now.
        pieces.iter().for_each(|piece| unsafe { records::give(*piece, 1024) });
        is_whole();
        let block = allocate(64);
        let (first, total) = records::damage::fields(1024);
        // SAFETY: the list has three pieces, each beginning with the link to the next.
        let link = unsafe { (*first).cast::<*mut u8>() };
        wrong_among_others(link, pieces[2], "shares its memory");
        wrong_among_others(link, block, "outside of Cairn's records");
        wrong_among_others(link, pieces[0].wrapping_add(1), "is not aligned");
        wrong_among_others(total, usize::MAX / 2, "larger than their spans");
        // The piece that a bin's array is, given back while it is in use.
        let class = filled_bin(1500);
        let (bin, cold) = thread::damage::own_bin(class);
        let [_, _, base] = bin::audit::damage::fields(bin, cold);
        // SAFETY: the array begins one slot before the base, and its first word is the null below the oldest block.
        let array = unsafe { (*base).sub(1) };
        let (list, _) = records::damage::fields(64);
        assert_eq!(array.addr() % 64, 0);
        // SAFETY: the head of a list, which ends with the array's null.
        unsafe {
            let old = list.replace(array.cast());
            says_among_others("shares its memory");
            list.write(old);
        }
        is_whole();
        free(block);
    });
}

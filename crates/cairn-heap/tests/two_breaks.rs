//! Claim: a heap on the program break that gave back all it had may find the break lower than ever when it comes again, because somebody
//! below it gave memory back too.

use core::alloc::Layout;

use cairn_heap::{Break, Config, Heap, Segregated};

struct Falling;
impl Config for Falling {
    const TRIM_MIN: usize = 0;
    type Meter = ();
}

type OnBreak = Heap<Break, Segregated, Falling>;

fn bytes(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

#[test]
#[cfg_attr(miri, ignore = "there is no program break")]
fn a_heap_comes_back_below_where_it_was() {
    for size in [100, 5000, 200_000] {
        let mut below = OnBreak::new(Break::new(1 << 30));
        let mut above = OnBreak::new(Break::new(1 << 30));
        let first = below.allocate(bytes(100_000)).unwrap();
        let second = above.allocate(bytes(100)).unwrap();
        // SAFETY: the blocks are live, each in its heap, and nobody uses them.
        unsafe {
            above.deallocate(second).unwrap();
            below.deallocate(first).unwrap();
        }
        assert_eq!((below.extent(), above.extent()), (0, 0));
        let blocks: Vec<_> = (0..5).map(|_| above.allocate(bytes(size)).unwrap()).collect();
        assert!(blocks.iter().any(|&block| block < second), "or nothing is tested");
        above.check().unwrap();
        for block in blocks.into_iter().step_by(2) {
            // SAFETY: as above.
            unsafe { above.deallocate(block) }.unwrap();
            above.check().unwrap();
        }
    }
}

//! The statistics add up: they move exactly by what the program takes and gives back, in the class where it belongs.
//!
//! One test, alone in its process and without the test harness, whose own thread would allocate meanwhile now and then.

use std::hint::black_box;

use cairn_alloc::class::{self, CLASS_COUNT};
use cairn_alloc::statistics::Statistics;
use cairn_alloc::{Cairn, engine};

#[global_allocator]
static HEAP: Cairn = Cairn;

/// The change in live blocks by class, and of live bytes.
fn change(before: &Statistics, after: &Statistics) -> ([isize; CLASS_COUNT], isize) {
    let blocks =
        |s: &Statistics, class: usize| if class == 0 { s.large_blocks } else { s.classes[class].live_blocks };
    let by_class = std::array::from_fn(|c| blocks(after, c) as isize - blocks(before, c) as isize);
    (by_class, after.live_bytes() as isize - before.live_bytes() as isize)
}

/// Runs `make`, then drops what it made; expects the change to be `blocks` in the class of `block_size` (0: large), by
/// `bytes`, and nowhere else, and back again.
fn expect<T>(what: &str, block_size: usize, blocks: usize, bytes: usize, make: impl FnOnce() -> T) {
    let before = engine::statistics();
    let made = black_box(make());
    let held = engine::statistics();
    drop(made);
    let after = engine::statistics();
    let class = (0..CLASS_COUNT).find(|&c| class::block_size(c) == block_size).expect("a class's block size");
    let mut expected = [0; CLASS_COUNT];
    expected[class] = blocks as isize;
    assert_eq!(change(&before, &held), (expected, bytes as isize), "{what}: while held");
    assert_eq!(change(&before, &after), ([0; CLASS_COUNT], 0), "{what}: afterwards");
}

/// An array of boxes on the stack, so that nothing but the boxes is counted.
fn boxes<T, const COUNT: usize>(value: impl Fn() -> T) -> [Box<T>; COUNT] {
    std::array::from_fn(|_| Box::new(value()))
}

#[repr(align(32))]
struct Aligned(#[allow(dead_code)] [u8; 40]);

fn main() {
    // Sizes that are odd multiples of 8 have classes of their own: 24, 40, 56 are not 32, 48, 64.
    expect("24 bytes", 24, 500, 500 * 24, || boxes::<[u64; 3], 500>(|| [1; 3]));
    expect("40 bytes", 40, 500, 500 * 40, || boxes::<[u64; 5], 500>(|| [1; 5]));
    expect("56 bytes", 56, 500, 500 * 56, || boxes::<[u64; 7], 500>(|| [1; 7]));
    expect("48 bytes", 48, 1, 48, || Box::new([0u64; 6]));
    expect("1 byte", 8, 100, 800, || boxes::<u8, 100>(|| 7));
    // Alignment 16 and more rounds up to a multiple of itself.
    expect("24 bytes at 16", 32, 100, 3200, || boxes::<(u128, u8), 100>(|| (1, 1)));
    expect("40 bytes at 32", 64, 100, 6400, || boxes::<Aligned, 100>(|| Aligned([0; 40])));
    expect("a growing vector", 8192, 1, 8192, || (0..1024u64).collect::<Vec<_>>());
    expect("a string that shrinks", 104, 1, 104, || {
        let mut text = "x".repeat(3000);
        text.truncate(100);
        text.shrink_to_fit();
        text
    });
    // Large blocks are whole pages.
    let page = cairn_core::os::page_size();
    expect("large", 0, 3, 3 * 300_001usize.next_multiple_of(page), || [(); 3].map(|()| vec![1u8; 300_001]));
    expect("medium", 104 << 10, 3, 3 * (104 << 10), || [(); 3].map(|()| vec![1u8; 100_001]));
    expect("of medium size, zeroed", 0, 1, 100_001usize.next_multiple_of(page), || vec![0u8; 100_001]);
    expect("large, zeroed", 0, 1, 10 << 20, || vec![0u8; 10 << 20]);
    expect("large, grown", 0, 1, 3_000_000usize.next_multiple_of(page), || {
        let mut bytes = Vec::<u8>::with_capacity(40_000);
        bytes.push(1);
        bytes.reserve_exact(2_999_999);
        bytes
    });
    // Blocks that another thread frees are counted too: they are in no thread's bins any more when it has ended.
    expect("freed elsewhere", 32768, 0, 0, || {
        let made = boxes::<[u64; 3], 300>(|| [2; 3]);
        let before = engine::statistics();
        std::thread::scope(|scope| drop(scope.spawn(move || drop(made)).join()));
        let (by_class, _) = change(&before, &engine::statistics());
        assert_eq!(by_class[3], -300);
    });
}

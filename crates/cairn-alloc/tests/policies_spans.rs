//! As policies.rs, for spans, and for medium blocks, which lie in slabs for what spans would waste: which memory is used first, what has
//! pages, what moves, what goes back.
//!
//! Each test looks at the whole process, so they run one at a time. Not under an emulator, which answers for the kernel in its own way.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

mod process;

use cairn_alloc::class::{GRANULE, SMALL_COUNT};
use cairn_alloc::engine;
use cairn_alloc::statistics::Statistics;
use cairn_core::os::page_size;
use process::{MIB, allocate, alone, blocks, free, free_all, resident, written};

#[test]
fn memory_that_was_used_is_used_first() {
    let _alone = alone();
    let block = written(3 * MIB);
    unsafe { free(block) };
    let again = written(3 * MIB);
    assert_eq!(again, block);
    unsafe { free(again) };
}

/// At a new peak, free memory that does not serve goes back, so that resident memory does not grow by both.
#[test]
fn a_new_peak_gives_back_what_does_not_serve() {
    let _alone = alone();
    // More than any other test had.
    let space = allocate(400 * MIB);
    let old: Vec<_> = (0..320).map(|_| written(MIB)).collect();
    let (gone, kept): (Vec<_>, Vec<_>) = old.into_iter().enumerate().partition(|(at, _)| at % 2 == 0);
    free_all(gone.into_iter().map(|(_, block)| block));
    let before = engine::statistics();
    assert!(before.free_dirty_bytes >= 156 * MIB, "{} bytes are free", before.free_dirty_bytes);
    let larger: Vec<_> = (0..12).map(|_| written(3 * MIB)).collect();
    let given = engine::statistics().purged_bytes - before.purged_bytes;
    assert!(given >= 16 * MIB, "{given} bytes were given back for 36 MiB that were taken");
    free_all([space]);
    free_all(larger.into_iter().chain(kept.into_iter().map(|(_, block)| block)));
}

#[test]
fn trim_keeps_what_it_is_told_to() {
    let _alone = alone();
    free_all((0..16).map(|_| written(MIB)).collect::<Vec<_>>());
    engine::trim(4 * MIB);
    let kept = engine::statistics().free_dirty_bytes;
    assert!((3 * MIB..=4 * MIB).contains(&kept), "{kept} bytes kept");
    engine::trim(0);
    assert_eq!(engine::statistics().free_dirty_bytes, 0);
}

/// A zeroed block that was hardly touched costs the next one no page.
#[test]
fn zeroes_that_nobody_touched_stay_untouched() {
    let _alone = alone();
    const SIZE: usize = 64 * MIB;
    for _ in 0..2 {
        let block = engine::allocate_zeroed(SIZE);
        let before = resident(block, SIZE);
        assert!(before < SIZE / page_size() / 4, "{before} pages of a fresh zeroed block are in memory");
        assert!((0..SIZE).step_by(10 * MIB).all(|at| unsafe { block.add(at).read() } == 0));
        (0..SIZE).step_by(10 * MIB).for_each(|at| unsafe { block.add(at).write(1) });
        unsafe { free(block) };
    }
}

/// Live blocks, free spans and records are all there is: what is left of a span that is cut is not lost, not even one granule.
#[test]
fn nothing_is_lost_of_a_span_that_is_cut() {
    let _alone = alone();
    let missing = || {
        engine::trim(0);
        let statistics = engine::statistics();
        statistics.committed_bytes - statistics.free_clean_bytes - statistics.free_dirty_bytes
    };
    let cut = || {
        for rest in 1..4 {
            let (hole, wall) = (written(10 * GRANULE), written(GRANULE));
            free_all([hole]);
            let part = written((10 - rest) * GRANULE);
            free_all([part, wall]);
        }
    };
    cut();
    let before = missing();
    (0..20).for_each(|_| cut());
    assert_eq!(missing(), before);
}

/// A block that has grown once gets room to grow again, so that it stays where it is then, whatever comes to stand behind it.
#[test]
fn a_block_that_moved_has_room_to_grow() {
    let _alone = alone();
    const SIZE: usize = 24 * MIB;
    let mut all: Vec<_> = (0..8).map(|_| allocate(SIZE)).collect();
    let at =
        (0..8).find(|&at| all.contains(&all[at].wrapping_add(SIZE))).expect("fresh blocks lie side by side");
    let block = all.swap_remove(at);
    let moved = unsafe { engine::reallocate(block, SIZE + MIB) };
    assert_ne!(moved, block, "another block is in the way");
    // Whatever is free behind it, is no longer.
    all.extend((0..8).map(|_| allocate(SIZE)));
    let again = unsafe { engine::reallocate(moved, SIZE + SIZE / 2) };
    let roomy = engine::statistics().reserved_bytes >= 64 << 30;
    assert!(again == moved || !roomy, "room to grow is missing");
    free_all(all.into_iter().chain([again]));
}

/// To learn how quickly huge pages come, some are filled that nobody asked for: an eighth at most of what is allocated, and a few at first.
#[test]
fn large_blocks_that_nobody_touches_have_few_pages() {
    let _alone = alone();
    const SIZE: usize = 2 * MIB;
    const COUNT: usize = 300;
    engine::trim(0);
    let all: Vec<_> = (0..COUNT).map(|_| allocate(SIZE)).collect();
    let pages: usize = all.iter().map(|block| resident(*block, SIZE)).sum();
    let bytes = pages * page_size();
    assert!(bytes <= COUNT * SIZE / 8 + 8 * MIB, "{bytes} bytes in memory of {COUNT} blocks of 2 MiB");
    free_all(all);
}

/// Blocks below 2 MiB may have all of their pages at once if those before them were written to, but not for long if they are not.
#[test]
fn middle_blocks_that_nobody_touches_have_few_pages() {
    let _alone = alone();
    const COUNT: usize = 100;
    engine::trim(0);
    let used: Vec<_> = (0..COUNT).map(|_| written(MIB)).collect();
    let idle: Vec<_> = (0..COUNT).map(|_| allocate(MIB)).collect();
    let pages: usize = idle.iter().map(|block| resident(*block, MIB)).sum();
    let bytes = pages * page_size();
    assert!(bytes <= 18 * MIB, "{bytes} bytes in memory of {COUNT} blocks of 1 MiB that nobody touched");
    free_all(used.into_iter().chain(idle));
}

/// Also where the memory that they are cut from has pages before they are used: spans of their own would take up to twice as much.
#[test]
fn medium_blocks_take_little_more_than_they_hold() {
    let _alone = alone();
    for size in [33 << 10, 40_000, 65_600, 100_000, 131_200, 200_000] {
        take_little_more_than_they_hold(size, |count| blocks(count, size));
    }
}

/// Also those that have grown to that size, by a half each time.
#[test]
fn medium_blocks_that_grew_take_little_more_than_they_hold() {
    let _alone = alone();
    for size in [65_600, 72_000, 90_000, 100_000, 131_072, 135_000, 180_000, 200_000, 262_144] {
        take_little_more_than_they_hold(size, |count| {
            let mut all = blocks(count, 40_000);
            let sizes = std::iter::successors(Some(60_000), |size| Some(size + size / 2));
            for size in sizes.take_while(|next| *next < size).chain([size]) {
                all.iter_mut().for_each(|block| *block = unsafe { engine::reallocate(*block, size) });
            }
            assert!(all.iter().all(|block| (0..40_000).all(|at| unsafe { block.add(at).read() } == 0xff)));
            all
        });
    }
}

/// Has some 64 MiB of blocks of one size made, and sees what they take.
fn take_little_more_than_they_hold(size: usize, make: impl FnOnce(usize) -> Vec<*mut u8>) {
    engine::trim(0);
    let before = engine::statistics();
    let held = make((64 * MIB) / size);
    let after = engine::statistics();
    let in_use = |s: &Statistics| s.committed_bytes - s.free_dirty_bytes - s.free_clean_bytes;
    let (taken, live) = (in_use(&after) - in_use(&before), held.len() * size);
    assert!(taken <= live + live / 4, "{taken} bytes for {live} in blocks of {size}");
    free_all(held);
    engine::trim(0);
}

/// What is aligned to a granule has one of its own, of which it may need little. (Where huge pages are slow nothing would have more; large/filled.rs
/// has the rule itself.)
#[test]
fn aligned_blocks_have_no_pages_behind_them() {
    let _alone = alone();
    const COUNT: usize = 400;
    // From the first chunk on, huge pages are forbidden elsewhere, where the system would give them to whoever touches a page.
    use_and_give_back();
    for size in [0, 5000] {
        engine::trim(0);
        let all: Vec<_> = (0..COUNT).map(|_| engine::allocate_aligned(GRANULE, size)).collect();
        all.iter().for_each(|block| unsafe { block.write_bytes(1, size) });
        let pages: usize = all.iter().map(|block| resident(*block, GRANULE)).sum();
        let written = COUNT * size.div_ceil(page_size());
        assert_eq!(pages, written, "pages in memory of {COUNT} blocks of {size} bytes");
        free_all(all);
    }
}

/// Leaves 15 MB free that were used. Twice: the first purge of a process reads from one page what became of it.
fn use_and_give_back() {
    for _ in 0..2 {
        free_all(blocks(150, 100_000));
        engine::trim(0);
    }
}

/// A slab's memory may have been used before, and calloc would have to clear, and so touch, all of it.
#[test]
fn zeroed_blocks_of_medium_size_are_not_touched() {
    let _alone = alone();
    use_and_give_back();
    let held: Vec<_> = (0..100).map(|_| engine::allocate_zeroed(100_000)).collect();
    let pages: usize = held.iter().map(|block| resident(*block, 100_000)).sum();
    assert_eq!(pages, 0);
    free_all(held);
}

/// What has grown once will mostly grow again, and pages move from spans only; but 70,000 bytes would have two granules there.
#[test]
fn a_medium_block_that_grows_becomes_a_span_if_it_fits_one() {
    let _alone = alone();
    let block = written(40_000);
    let medium =
        |s: Statistics| s.classes[SMALL_COUNT..].iter().map(|class| class.live_blocks).sum::<usize>();
    assert_eq!(medium(engine::statistics()), 1);
    let same = unsafe { engine::reallocate(block, 36_000) };
    assert_eq!(same, block, "it shrinks where it is");
    let grown = unsafe { engine::reallocate(block, 60_000) };
    let statistics = engine::statistics();
    assert_eq!((medium(statistics), statistics.large_blocks), (0, 1));
    assert!((0..36_000).all(|at| unsafe { grown.add(at).read() } == 0xff));
    let other = written(40_000);
    let in_slab = unsafe { engine::reallocate(other, 70_000) };
    let statistics = engine::statistics();
    assert_eq!((medium(statistics), statistics.large_blocks), (1, 1));
    assert!((0..40_000).all(|at| unsafe { in_slab.add(at).read() } == 0xff));
    free_all([grown, in_slab]);
}

/// The pages of a large block come along when it moves; those that it never touched stay untouched.
#[test]
fn a_large_block_moves_without_being_copied() {
    moves_without_being_copied(|_| ());
}

/// The same where the kernel has the block as several mappings, which it moves one at a time.
#[test]
fn a_large_block_in_parts_moves_without_being_copied() {
    let advise = |block: *mut u8, advice| {
        for part in [3, 14, 19] {
            let at = block.wrapping_add(part * MIB).cast();
            assert_eq!(unsafe { libc::madvise(at, MIB, advice) }, 0);
        }
    };
    let moved = moves_without_being_copied(|block| advise(block, libc::MADV_DONTDUMP));
    // For those who come after.
    assert_eq!(unsafe { libc::madvise(moved.cast(), MOVED, libc::MADV_DODUMP) }, 0);
}

/// More than twice what is filled by samples of huge pages, an eighth and 8 MiB, and by three touches where huge pages come quickly.
const MOVED: usize = 40 * MIB;

/// Where the block went; it is freed.
fn moves_without_being_copied(before: impl Fn(*mut u8)) -> *mut u8 {
    let _alone = alone();
    // One that has another right behind it can't grow where it is.
    let mut all: Vec<_> = (0..8).map(|_| allocate(MOVED)).collect();
    let next = |block: &*mut u8| block.wrapping_add(MOVED);
    let at = (0..8).find(|&at| all.contains(&next(&all[at]))).expect("fresh blocks lie side by side");
    let block = all.swap_remove(at);
    before(block);
    let marks = [0, MOVED / 2, MOVED - 1];
    marks.iter().zip(7..).for_each(|(&mark, byte)| unsafe { block.wrapping_add(mark).write(byte) });
    let moved = unsafe { engine::reallocate(block, 4 * MOVED) };
    assert_ne!(moved, block);
    let pages = resident(moved, MOVED);
    assert!(
        pages < MOVED / page_size() / 2,
        "{pages} pages of a block of which three were touched are in memory"
    );
    marks
        .iter()
        .zip(7..)
        .for_each(|(&mark, byte)| assert_eq!(unsafe { moved.wrapping_add(mark).read() }, byte));
    free_all(all.into_iter().chain([moved]));
    moved
}

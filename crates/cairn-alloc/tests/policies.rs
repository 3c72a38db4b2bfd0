//! What costs memory or time when it goes wrong, and never a byte: which free block is used first, what goes back and to whom. A
//! program runs without all this, so nothing else would notice; the engine's counts and the kernel's do.
//!
//! Each test looks at the whole process, so they run one at a time. Not under an emulator, which answers for the kernel in its own way.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

mod shadow;

use std::sync::{MutexGuard, mpsc};
use std::thread;

use cairn_alloc::class::{GRANULE, SMALL_COUNT, of_size};
use cairn_alloc::statistics::{ClassStatistics, Statistics};
use cairn_alloc::{engine, settings};
use cairn_core::os::page_size;
use shadow::{allocate, free};

const MIB: usize = 1 << 20;

/// Alone: no other thread has bins (the harness doesn't wait for the end of a test's thread), and nothing decays by time.
fn alone() -> MutexGuard<'static, ()> {
    let guard = shadow::alone();
    settings::DECAY_MS.set(settings::DECAY_MS.max);
    while engine::statistics().threads > 0 {
        thread::yield_now();
    }
    guard
}

fn blocks(count: usize, size: usize) -> Vec<*mut u8> {
    (0..count).map(|_| written(size)).collect()
}

fn written(size: usize) -> *mut u8 {
    let block = allocate(size);
    assert!(!block.is_null());
    unsafe { block.write_bytes(0xff, size) };
    block
}

fn free_all(blocks: impl IntoIterator<Item = *mut u8>) {
    blocks.into_iter().for_each(|block| unsafe { free(block) });
}

fn class(size: usize) -> ClassStatistics {
    engine::statistics().classes[of_size(size)]
}

fn bin_bytes(statistics: &Statistics) -> usize {
    statistics.classes.iter().map(|class| class.bin_blocks * class.block_size).sum()
}

/// How many pages of a range are in memory.
fn resident(block: *mut u8, bytes: usize) -> usize {
    let page = page_size();
    let first = block.addr().next_multiple_of(page);
    let mut pages = vec![0u8; (block.addr() + bytes - first) / page];
    let at = block.with_addr(first);
    assert_eq!(unsafe { libc::mincore(at.cast(), pages.len() * page, pages.as_mut_ptr()) }, 0);
    pages.iter().filter(|page| **page & 1 == 1).count()
}

/// Fills and empties bins of several sizes, twice, so that they grow as far as they may.
fn swing() {
    for size in [64, 128, 256, 512, 1024] {
        for _ in 0..3 {
            free_all(blocks(300_000 / size, size));
        }
    }
}

/// What the bin for 64 bytes holds after it swung last.
fn swing_at_64() -> usize {
    swing();
    for _ in 0..3 {
        free_all(blocks(4687, 64));
    }
    class(64).bin_blocks
}

fn in_a_thread<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(run).join().expect("the thread ends")
}

#[test]
fn fresh_blocks_go_out_lowest_address_first() {
    let _alone = alone();
    let addresses = blocks(60, 944);
    assert!(addresses.is_sorted(), "{addresses:?}");
    free_all(addresses);
}

/// Of two slabs that differ by one block at the border of a quarter, the fuller one serves.
#[test]
fn the_fuller_slab_serves() {
    let _alone = alone();
    const SIZE: usize = 1024;
    const PER_SLAB: usize = GRANULE / SIZE;
    let slab = |block: &*mut u8| block.addr() / GRANULE;
    // Without bins each block goes to its slab at once, and comes from there.
    settings::THREAD_KIB.set(0);
    in_a_thread(move || {
        let mut all = blocks(10 * PER_SLAB, SIZE);
        all.sort_unstable();
        let whole = all.chunk_by(|a, b| slab(a) == slab(b)).filter(|part| part.len() == PER_SLAB);
        let whole: Vec<Vec<_>> = whole.map(<[_]>::to_vec).collect();
        for (pair, frees) in whole.chunks_exact(2).zip([(16, 17), (4, 60), (32, 33), (48, 49)]) {
            // Whatever else has room would serve as well: fill it up.
            let room = class(SIZE).slab_free_blocks + class(SIZE).uncarved_blocks;
            all.extend(blocks(room, SIZE));
            free_all(pair[0][..frees.0].iter().copied());
            free_all(pair[1][..frees.1].iter().copied());
            let next = written(SIZE);
            assert_eq!(slab(&next), slab(&pair[0][0]), "{frees:?} blocks are free");
            // All as it was: the slabs are full, of blocks that are listed.
            blocks(frees.0 + frees.1 - 1, SIZE);
            assert_eq!(class(SIZE).slab_free_blocks, 0, "no slab is made while others have room");
        }
        free_all(all);
    });
    settings::THREAD_KIB.set(settings::THREAD_KIB.default);
    assert_eq!(class(SIZE).slab_bytes, 0);
}

#[test]
fn a_slab_without_live_blocks_goes_back() {
    let _alone = alone();
    free_all(blocks(3000, 720));
    engine::trim(0);
    assert_eq!(class(720).slab_bytes, 0);
    assert_eq!(class(720).bin_blocks, 0);
}

/// Of slabs that are half used, the pages that hold only free blocks go back; those beside them keep what they hold.
#[test]
fn trim_gives_back_the_free_pages_inside_slabs() {
    let _alone = alone();
    const SIZE: usize = 16 << 10;
    let all = blocks(64, SIZE);
    let (gone, kept): (Vec<_>, Vec<_>) = all.iter().copied().enumerate().partition(|(at, _)| at % 2 == 0);
    free_all(gone.iter().map(|(_, block)| *block));
    assert!(engine::trim(0));
    let left: usize = gone.iter().map(|(_, block)| resident(*block, SIZE)).sum();
    assert!(left <= 64, "{left} pages of free blocks are still in memory");
    for (_, block) in &kept {
        assert!(unsafe { std::slice::from_raw_parts(*block, SIZE) }.iter().all(|&b| b == 0xff));
    }
    free_all(kept.into_iter().map(|(_, block)| block));
}

/// Blocks that one thread frees wait for another, a few on a shelf and many in a stack, and trim gives all of them back.
#[test]
fn what_waits_for_another_thread_is_seen_and_settled() {
    let _alone = alone();
    let (end, wait) = mpsc::channel::<()>();
    let (ready, begun) = mpsc::channel();
    let other = thread::spawn(move || {
        free_all(blocks(3, 336));
        ready.send(()).expect("the test waits");
        let _ = wait.recv();
    });
    begun.recv().expect("the thread begins");
    in_a_thread(|| {
        free_all(blocks(2, 560));
        assert!(
            class(560).stack_blocks > 0,
            "a small bin fetches more than it needs for the shelf of its CPU"
        );
        free_all(blocks(5000, 64));
        assert!(class(64).stack_blocks > 128, "full bins hand batches over");
    });
    engine::trim(0);
    let statistics = engine::statistics();
    assert!(
        statistics.classes.iter().all(|class| class.stack_blocks == 0),
        "trim settles stacks and shelves"
    );
    drop(end);
    other.join().expect("the thread ends");
}

#[test]
fn bins_grow_with_use_and_are_bounded() {
    let _alone = alone();
    let swings = || {
        in_a_thread(|| {
            let before = bin_bytes(&engine::statistics());
            (swing_at_64(), bin_bytes(&engine::statistics()) - before)
        })
    };
    // On a busy machine a thread may be stopped for so long that it rests meanwhile, and its bins are closed.
    let held = (0..20).map(|_| swings()).find(|held| held.0 > 1000).unwrap_or_else(swings);
    assert!(held.0 > 1000, "{} blocks of 64 bytes after 4,687 were freed three times", held.0);
    assert!(held.1 <= 2 * MIB, "{} bytes", held.1);
    settings::THREAD_KIB.set(64);
    let held = in_a_thread(|| {
        let before = bin_bytes(&engine::statistics());
        swing();
        bin_bytes(&engine::statistics()) - before
    });
    settings::THREAD_KIB.set(settings::THREAD_KIB.default);
    assert!(held <= 64 << 10, "{held} bytes are held where 64 KiB are allowed");
}

/// A thread that may not have more asks again later, also if all it does is to allocate.
#[test]
fn what_was_refused_may_be_had_later() {
    let _alone = alone();
    settings::THREAD_KIB.set(64);
    let held = in_a_thread(|| {
        swing();
        let early = blocks(20, 2000);
        settings::THREAD_KIB.set(settings::THREAD_KIB.default);
        let mut late = blocks(60, 2000);
        free_all(late.pop());
        let held = class(2000).bin_blocks;
        free_all(early.into_iter().chain(late));
        held
    });
    assert!(held > 0, "the bin never grew");
}

/// That a large bin may not grow does not keep a small one from it.
#[test]
fn a_small_bin_grows_beside_a_large_one_that_may_not() {
    let _alone = alone();
    settings::THREAD_KIB.set(64);
    let most = in_a_thread(|| {
        let mut used = blocks(3, 30_000);
        let mut most = 0;
        for _ in 0..40 {
            used.push(written(30_000));
            used.push(written(64));
            most = most.max(class(64).bin_blocks);
        }
        free_all(used);
        most
    });
    settings::THREAD_KIB.set(settings::THREAD_KIB.default);
    assert!(most > 3, "{most} blocks in the small bin at most");
}

/// What threads held when they ended is in nobody's bins, what they were allowed goes to later ones, and their records are used again.
#[test]
fn ended_threads_leave_nothing() {
    let _alone = alone();
    in_a_thread(swing);
    engine::trim(0);
    let before = engine::statistics();
    (0..80).for_each(|_| in_a_thread(swing));
    let after = engine::statistics();
    assert!(bin_bytes(&after) <= bin_bytes(&before), "dead threads hold {} bytes", bin_bytes(&after));
    assert_eq!(after.threads, before.threads);
    let grown = after.metadata_bytes - before.metadata_bytes;
    assert!(grown <= 64 << 10, "80 threads one after the other left {grown} bytes of records");
    let held = in_a_thread(swing_at_64);
    assert!(held > 1000, "the 82nd thread may hold {held} blocks of 64 bytes");
}

#[test]
fn slabs_that_come_and_go_leave_no_records() {
    let _alone = alone();
    let build_and_drop = || {
        free_all(blocks(20_000, 48));
        engine::trim(0);
    };
    build_and_drop();
    let before = engine::statistics().metadata_bytes;
    (0..50).for_each(|_| build_and_drop());
    let grown = engine::statistics().metadata_bytes - before;
    assert!(grown <= 64 << 10, "{grown} bytes of records for slabs that are gone");
}

/// A bin that a thread no longer uses is emptied while the thread goes on; one that it uses now and then is not.
#[test]
fn an_idle_bin_is_closed() {
    let _alone = alone();
    settings::THREAD_KIB.set(64);
    in_a_thread(|| {
        // Every 128 blocks are a miss, as long as the bin can't hold them all, and every 64 misses a look.
        let look = || blocks(100 * 128, 16);
        // So that the heap does not grow later, which makes it impatient.
        free_all((0..3).flat_map(|_| look()).collect::<Vec<_>>());
        free_all(blocks(200, 208));
        let before = class(208).bin_blocks;
        assert!(before > 60, "{before} blocks in the bin");
        let mut used = Vec::new();
        for _ in 0..30 {
            free_all(look());
            used.push(written(208));
        }
        assert_eq!(class(208).bin_blocks, before - 30, "the busy bin was closed");
        (0..30).for_each(|_| free_all(look()));
        assert_eq!(class(208).bin_blocks, 0, "the idle bin still holds its blocks");
        free_all(used);
    });
    settings::THREAD_KIB.set(settings::THREAD_KIB.default);
}

#[test]
fn memory_that_was_used_is_used_first() {
    let _alone = alone();
    // What other tests have left was used too.
    engine::trim(0);
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

#[test]
fn a_block_that_shrank_far_gives_its_room_up() {
    let _alone = alone();
    let block = unsafe { engine::reallocate(written(10_000), 100) };
    assert!(unsafe { engine::usable_size(block) } <= 200);
    unsafe { free(block) };
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
    engine::trim(0);
    for size in [33 << 10, 40_000, 65_600, 100_000, 131_200, 200_000] {
        let before = engine::statistics();
        let held = blocks((64 * MIB) / size, size);
        let after = engine::statistics();
        let in_use = |s: &Statistics| s.committed_bytes - s.free_dirty_bytes - s.free_clean_bytes;
        let (taken, live) = (in_use(&after) - in_use(&before), held.len() * size);
        assert!(taken <= live + live / 4, "{taken} bytes for {live} in blocks of {size}");
        free_all(held);
    }
    engine::trim(0);
}

/// A slab's memory may have been used before, and calloc would have to clear, and so touch, all of it.
#[test]
fn zeroed_blocks_of_medium_size_are_not_touched() {
    let _alone = alone();
    free_all(blocks(100, 100_000));
    engine::trim(0);
    let held: Vec<_> = (0..100).map(|_| engine::allocate_zeroed(100_000)).collect();
    let pages: usize = held.iter().map(|block| resident(*block, 100_000)).sum();
    assert_eq!(pages, 0);
    free_all(held);
}

/// What has grown once will mostly grow again, and pages move from spans only.
#[test]
fn a_medium_block_that_grows_becomes_a_span() {
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
    free_all([grown]);
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

/// More than twice what is filled by samples of huge pages.
const MOVED: usize = 24 * MIB;

/// Where the block went; it is freed.
fn moves_without_being_copied(before: impl Fn(*mut u8)) -> *mut u8 {
    let _alone = alone();
    // What other tests have left is in memory already.
    engine::trim(0);
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

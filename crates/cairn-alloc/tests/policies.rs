//! What costs memory or time when it goes wrong, and never a byte: which free block is used first, what bins hold, what goes back and
//! to whom. A program runs without all this, so nothing else would notice; the engine's counts and the kernel's do. For spans see
//! policies_spans.rs.
//!
//! Each test looks at the whole process, so they run one at a time. Not under an emulator, which answers for the kernel in its own way.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

mod process;

use std::sync::mpsc;
use std::thread;

use cairn_alloc::class::{GRANULE, of_size};
use cairn_alloc::statistics::{ClassStatistics, Statistics};
use cairn_alloc::{engine, settings};
use process::{MIB, alone, blocks, free, free_all, resident, written};

fn class(size: usize) -> ClassStatistics {
    engine::statistics().classes[of_size(size)]
}

fn bin_bytes(statistics: &Statistics) -> usize {
    statistics.classes.iter().map(|class| class.bin_blocks * class.block_size).sum()
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
fn a_block_that_shrank_far_gives_its_room_up() {
    let _alone = alone();
    let block = unsafe { engine::reallocate(written(10_000), 100) };
    assert!(unsafe { engine::usable_size(block) } <= 200);
    unsafe { free(block) };
}

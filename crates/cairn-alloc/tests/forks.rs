//! Claim: the child of a fork has what lay in the bins of threads that it doesn't have, and the heap is its own.
//!
//! One test: the counts are those of the process. The test harness itself doesn't use Cairn.

#![allow(clippy::undocumented_unsafe_blocks)] // each block is freed once, by its layout

use std::alloc::{GlobalAlloc, Layout};
use std::sync::mpsc;
use std::thread;

use cairn_alloc::statistics::{ClassStatistics, Statistics};
use cairn_alloc::{Cairn, audit, class, engine};

const THREADS: usize = 3;
const SIZE: usize = 48;

/// Fills a bin of the calling thread, and others. Some blocks stay live: a slab that is all free would go, and what it has with it.
fn fill_bins() {
    for size in [SIZE, 100, 3000] {
        let layout = Layout::from_size_align(size, 16).unwrap();
        let blocks: Vec<*mut u8> = (0..1000).map(|_| unsafe { Cairn.alloc(layout) }).collect();
        let freed = blocks.into_iter().enumerate().filter(|(n, _)| n % 10 > 0);
        freed.for_each(|(_, block)| unsafe { Cairn.dealloc(block, layout) });
    }
}

fn counts() -> (Statistics, ClassStatistics) {
    let all = engine::statistics();
    let class = all.classes[class::of_size(SIZE)];
    (all, class)
}

/// In the child, which may not fail as a test does: 0, or the number of what is wrong.
fn look(before: &ClassStatistics) -> i32 {
    let (all, now) = counts();
    let free = |class: &ClassStatistics| class.bin_blocks + class.stack_blocks + class.slab_free_blocks;
    if all.threads != 1 {
        return 1;
    }
    if now.bin_blocks >= before.bin_blocks / 2 {
        return 2;
    }
    if now.live_blocks != before.live_blocks || free(&now) != free(before) {
        return 3;
    }
    if audit::check().is_err() {
        return 4;
    }
    // It can be had, without a further slab. (A bin fetches some blocks more than it is asked for.)
    let layout = Layout::from_size_align(SIZE, 16).unwrap();
    for _ in 0..free(before) - free(before) / 8 {
        if unsafe { Cairn.alloc(layout) }.is_null() {
            return 5;
        }
    }
    if counts().1.slab_bytes > before.slab_bytes {
        return 6;
    }
    i32::from(audit::check().is_err()) * 7
}

#[test]
fn the_child_has_what_the_others_held() {
    fill_bins();
    let (ready, all_ready) = mpsc::channel();
    let others: Vec<_> = (0..THREADS)
        .map(|_| {
            let (end, until) = mpsc::channel::<()>();
            let ready = ready.clone();
            let other = thread::spawn(move || {
                fill_bins();
                ready.send(()).unwrap();
                let _ = until.recv();
            });
            (end, other)
        })
        .collect();
    (0..THREADS).for_each(|_| all_ready.recv().unwrap());
    let (all, before) = counts();
    assert_eq!(all.threads, THREADS + 1);
    assert!(before.bin_blocks > 100, "{before:?}");

    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = look(&before);
        unsafe { libc::_exit(code) };
    }
    let mut status = 0;
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status:#x}, {before:?}");

    for (end, other) in others {
        drop(end);
        other.join().unwrap();
    }
    assert!(audit::check().is_ok());
}

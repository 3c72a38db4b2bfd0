//! As policies.rs, for blocks that grow in turn: what was added may have pages before it is used, if those that grew before were written to.
//!
//! Where huge pages are slow nothing is filled, and only the bytes are looked at. Not under an emulator, as policies.rs.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::undocumented_unsafe_blocks)] // each test owns the blocks that it names, and frees each once

mod process;

use cairn_alloc::engine;
use cairn_core::os::page_size;
use process::{MIB, allocate, alone, free_all};

/// Bytes of this process that are in memory. (What /proc/self/statm says is off by some pages for each CPU.)
fn in_memory() -> usize {
    let sums = std::fs::read_to_string("/proc/self/smaps_rollup").expect("/proc is there");
    let kib = sums.lines().find_map(|line| line.strip_prefix("Rss:")?.trim().strip_suffix("kB"));
    kib.and_then(|kib| kib.trim().parse::<usize>().ok()).expect("a sum in KiB") << 10
}

/// A vector, as far as an allocator sees it.
struct Vector {
    block: *mut u8,
    size: usize,
}

impl Vector {
    fn new(size: usize) -> Self {
        let mut vector = Vector { block: allocate(size), size: 0 };
        vector.write_to(size);
        vector
    }

    /// What stands at the begin of the page of this byte.
    fn stamp(at: usize) -> u8 {
        (at / page_size()) as u8 | 1
    }

    /// Writes to each page behind the bytes that were written so far.
    fn write_to(&mut self, size: usize) {
        for at in (self.size.next_multiple_of(page_size())..size).step_by(page_size()) {
            unsafe { self.block.add(at).write(Self::stamp(at)) };
        }
        self.size = size;
    }

    /// Makes room for so many bytes, none of which is written to.
    fn grow(&mut self, size: usize) {
        self.block = unsafe { engine::reallocate(self.block, size) };
        assert!(!self.block.is_null());
    }

    fn is_kept(&self) -> bool {
        (0..self.size).step_by(page_size()).all(|at| unsafe { self.block.add(at).read() } == Self::stamp(at))
    }
}

/// Sizes from the first on, each a half larger, up to the last.
fn by_halves(first: usize, last: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(first), |size| Some(size + size / 2)).take_while(move |size| *size <= last)
}

/// Through copies, moves, and growth in place; and with the last huge page of some behind their ends.
#[test]
fn vectors_that_grow_in_turn_keep_their_bytes_and_leave_none() {
    let _alone = alone();
    const FIRST: usize = 94_572;
    for _ in 0..2 {
        engine::trim(0);
        let mut all: Vec<_> = (0..12).map(|_| Vector::new(FIRST)).collect();
        for size in by_halves(FIRST, 19 * MIB) {
            for vector in &mut all {
                vector.grow(size);
                assert!(vector.is_kept(), "grown to {size} bytes");
                vector.write_to(size);
            }
        }
        assert!(all.iter().all(Vector::is_kept));
        free_all(all.into_iter().map(|vector| vector.block));
        let zeroed = engine::allocate_zeroed(300 * MIB);
        assert!((0..300 * MIB).step_by(page_size()).all(|at| unsafe { zeroed.add(at).read() } == 0));
        free_all([zeroed]);
    }
}

/// Not even of the last huge page of some, which ends behind them.
#[test]
fn vectors_that_grew_in_turn_leave_no_pages() {
    let _alone = alone();
    const FIRST: usize = 94_572;
    engine::trim(0);
    let before = in_memory();
    let mut all: Vec<_> = (0..24).map(|_| Vector::new(FIRST)).collect();
    for size in by_halves(FIRST, 13 * MIB) {
        for vector in &mut all {
            vector.grow(size);
            vector.write_to(size);
        }
    }
    free_all(all.into_iter().map(|vector| vector.block));
    engine::trim(0);
    let left = in_memory().saturating_sub(before);
    assert!(left < MIB, "{left} bytes are left in memory of vectors that were freed");
}

/// All are written to at first, and then no more: what is added without being used is in memory for a while only.
#[test]
fn vectors_that_are_no_longer_written_to_have_few_pages() {
    let _alone = alone();
    const FIRST: usize = 100_000;
    for last in [700_000, 6 * MIB] {
        engine::trim(0);
        let mut all: Vec<_> = (0..300 * MIB / last).map(|_| Vector::new(FIRST)).collect();
        let sizes: Vec<_> = by_halves(FIRST, last).collect();
        for &size in &sizes {
            for vector in &mut all {
                vector.grow(size);
                vector.write_to(size);
            }
        }
        let size = sizes.last().unwrap();
        let before = in_memory();
        all.iter_mut().for_each(|vector| vector.grow(size + size / 2));
        let (more, added) = (in_memory().saturating_sub(before), all.len() * size / 2);
        assert!(
            more <= 30 * MIB,
            "{more} bytes more in memory, of {added} that were added and not written to"
        );
        free_all(all.into_iter().map(|vector| vector.block));
    }
}

/// Where less than a whole granule of 64 KiB is added at a time there is nothing to be watched, and so nothing is expected.
#[test]
fn vectors_that_grow_by_little_have_no_more_pages() {
    let _alone = alone();
    engine::trim(0);
    let mut all: Vec<_> = (0..400).map(|_| Vector::new(320 << 10)).collect();
    let before = in_memory();
    for kib in [360, 380] {
        all.iter_mut().for_each(|vector| vector.grow(kib << 10));
    }
    let (more, added) = (in_memory().saturating_sub(before), all.len() * (60 << 10));
    assert!(more <= added / 4, "{more} bytes more in memory, of {added} that were added and not written to");
    free_all(all.into_iter().map(|vector| vector.block));
}

/// Who asked for zeros may well leave most of them alone, also when there are to be more.
#[test]
fn zeroed_blocks_that_grow_have_few_pages() {
    let _alone = alone();
    const COUNT: usize = 300;
    engine::trim(0);
    let mut all: Vec<_> = (0..COUNT).map(|_| Vector::new(300_000)).collect();
    for vector in &mut all {
        vector.grow(450_000);
        vector.write_to(450_000);
    }
    let before = in_memory();
    let tables: Vec<_> = (0..COUNT).map(|_| engine::allocate_zeroed(500_000)).collect();
    let tables: Vec<_> = tables.iter().map(|table| unsafe { engine::reallocate(*table, 750_000) }).collect();
    let more = in_memory().saturating_sub(before);
    assert!(
        more < 4 * MIB,
        "{more} bytes more in memory, for {COUNT} tables of 750,000 that nobody wrote to"
    );
    free_all(all.into_iter().map(|vector| vector.block).chain(tables));
}

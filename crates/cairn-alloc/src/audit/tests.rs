//! Claim: each invariant that an audit knows, broken on purpose in a heap that is otherwise whole, is named; and the same heap,
//! mended, is found whole.
//!
//! The rooms' tests are in the directory `tests`, and beside the room where it has a mode of its own (hardened/tests.rs, guarded/tests.rs).
//! Each test has the heap for itself: a test of this crate's library that uses the heap of the process does so by [`alone`].

#[path = "../../tests/child/again.rs"]
mod again;
mod bins;
mod records;
mod regions;
mod shelves;
mod slabs;
mod spans;
mod whereabouts;

use core::sync::atomic::Ordering::Relaxed;
use std::process::Output;
use std::string::String;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use super::{Failure, check_as};
use crate::class::{self, SHAPES};
use crate::descriptor::{Descriptor, Kind};
use crate::region::{self, Place};
use crate::slab::Slab;
use crate::{center, engine, pages, thread};

/// Runs a test that uses the heap of the process in a thread of its own, which has ended, with its bins empty, before the next one
/// begins.
pub(crate) fn alone(test: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::spawn(test).join().expect("see above");
}

/// Runs the test of this name again in a process of its own, which does what the test is for: a mode is entered once and for good.
#[track_caller]
pub(crate) fn in_a_process_of_its_own(name: &str, test: fn()) {
    let Some(again) = again(name, test) else { return };
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert!(String::from_utf8_lossy(&again.stdout).contains("1 passed"));
}

/// The same for a test that ends its process with a message that begins with these words.
pub(crate) fn ends_a_process_of_its_own(name: &str, words: &str, test: fn()) {
    let Some(again) = again(name, test) else { return };
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.lines().any(|line| line.starts_with(words)), "{said}");
}

/// Runs a test in another process, or, if this is that one, here: then None.
fn again(name: &str, test: fn()) -> Option<Output> {
    if std::env::var_os("CAIRN_TEST_AGAIN").is_some() {
        test();
        return None;
    }
    let mut again = again::again();
    let again = again.args(["--exact", name, "--nocapture"]).env("CAIRN_TEST_AGAIN", "1");
    Some(again.output().expect("it runs"))
}

/// What the audit says; nothing if the heap is whole.
fn verdict(alone: bool) -> String {
    match check_as(alone) {
        Ok(seen) => {
            assert!(seen.spans > 0 && seen.alone == alone);
            String::new()
        }
        Err(Failure::Broken(violation)) => {
            String::from_utf8(violation.line().as_bytes().to_vec()).expect("words")
        }
        Err(failure) => panic!("{failure:?}"),
    }
}

#[track_caller]
pub(crate) fn is_whole() {
    assert_eq!(verdict(true), "");
    assert_eq!(verdict(false), "");
    live_medium_blocks_are_held();
}

/// The program holds as many medium blocks as are live. (An audit can't say so: a fork or a `longjmp` may have lost some on their way.)
#[track_caller]
fn live_medium_blocks_are_held() {
    let mut held = 0;
    for region in region::regions() {
        let granules = 0..region.committed();
        let slabs = granules.filter(|&granule| pages::kind_at(region, granule) == Some(Kind::Slab));
        let slabs = slabs.map(|granule| Place { region, granule });
        held += slabs
            .filter(|place| class::is_medium(place.class()))
            .map(|place| Slab::at(place).held().load(Relaxed).count_ones() as usize)
            .sum::<usize>();
    }
    let statistics = engine::statistics();
    let live = statistics.classes.iter().enumerate().filter(|(class, _)| class::is_medium(*class));
    assert_eq!(held, live.map(|(_, class)| class.live_blocks).sum::<usize>(), "held, live");
}

/// The audit says these words, while nobody else runs.
#[track_caller]
fn says(words: &str) {
    let said = verdict(true);
    assert!(said.contains(words), "said: {said:?}, expected: {words:?}");
}

/// The same although others may run.
#[track_caller]
fn says_among_others(words: &str) {
    let said = verdict(false);
    assert!(said.contains(words), "said: {said:?}, expected: {words:?}");
    says(words);
}

/// Writes a wrong value somewhere and back again; between, the audit says these words.
#[track_caller]
pub(crate) fn wrong<T: Copy>(at: *mut T, value: T, words: &str) {
    // SAFETY: the tests name fields of a heap that nobody else uses.
    let right = unsafe { at.replace(value) };
    let said = (verdict(true), verdict(false));
    // SAFETY: the same.
    unsafe { at.write(right) };
    assert!(said.0.contains(words), "said: {:?}, expected: {words:?}", said.0);
    // What others may be changing is left out, but nothing else is said.
    assert!(said.1.contains(words) || said.1.is_empty(), "among others: {:?}", said.1);
    is_whole();
}

/// The same, and the audit says it although others may run. (If nobody does it may see something else first.)
#[track_caller]
fn wrong_among_others<T: Copy>(at: *mut T, value: T, words: &str) {
    // SAFETY: as in `wrong`.
    let right = unsafe { at.replace(value) };
    let said = (verdict(true), verdict(false));
    // SAFETY: the same.
    unsafe { at.write(right) };
    assert!(said.1.contains(words) && !said.1.is_empty(), "said: {:?}, expected: {words:?}", said.1);
    assert!(!said.0.is_empty(), "only said among others: {}", said.1);
    is_whole();
}

pub(crate) fn allocate(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    let block = if block.is_null() { engine::allocate_slow(size) } else { block };
    assert!(!block.is_null());
    block
}

pub(crate) fn free(block: *mut u8) {
    // SAFETY: the tests free what they allocated, once.
    unsafe {
        if !engine::free_fast(block) {
            engine::free_slow(block);
        }
    }
}

fn slab_of(block: *mut u8) -> Slab {
    Slab::at(region::locate(block.addr()).expect("ours"))
}

fn descriptor_of(address: *mut u8) -> *mut Descriptor {
    let Place { region, granule } = region::locate(address.addr()).expect("ours");
    region.descriptor(granule)
}

/// Blocks of one size, of which every second one is free in its slab again; gives the live ones and their class.
fn half_free(size: usize) -> (Vec<*mut u8>, usize) {
    let class = class::of_size(size);
    let count = 2 * SHAPES[class].blocks as usize;
    let blocks: Vec<_> = (0..count).map(|_| allocate(size)).collect();
    let (kept, freed): (Vec<_>, Vec<_>) = blocks.iter().enumerate().partition(|(at, _)| at % 2 == 0);
    freed.into_iter().for_each(|(_, block)| free(*block));
    thread::flush_own();
    center::settle_all();
    (kept.into_iter().map(|(_, block)| *block).collect(), class)
}

/// A bin with some blocks in it, of the calling thread; gives the class.
fn filled_bin(size: usize) -> usize {
    let blocks: Vec<_> = (0..40).map(|_| allocate(size)).collect();
    blocks.into_iter().for_each(free);
    let class = class::of_size(size);
    let (bin, cold) = thread::damage::own_bin(class);
    assert!(bin.len(cold) > 5);
    class
}

#[test]
fn a_heap_in_use_is_whole() {
    alone(|| {
        let mut blocks = Vec::new();
        for size in [0, 1, 24, 100, 1000, 5000, 32_768, 32_769, 100_000, 262_145, 3 << 20] {
            for number in 0..300 {
                blocks.push(allocate(size));
                if number % 3 == 0 {
                    free(blocks.swap_remove(blocks.len() / 2));
                }
            }
            is_whole();
        }
        let seen = check_as(true).expect("whole");
        assert!(seen.large >= 400 && seen.slabs >= 10 && seen.threads == 1 && seen.blocks > 100, "{seen:?}");
        blocks.into_iter().for_each(free);
        is_whole();
        engine::trim(0);
        is_whole();
    });
}

//! Claim: a pool that is given back leaves nothing, and what an audit knows of guarded blocks, broken on purpose, is named; and the same pool,
//! mended, is found whole.
//!
//! A mode is entered once and for good, so the tests run themselves again in processes of their own.

use std::vec::Vec;

use crate::audit::tests::{allocate, alone, free, in_a_process_of_its_own, is_whole, wrong};
use crate::guarded::audit::damage::{books, run};
use crate::guarded::record::State;
use crate::guarded::space::Way;
use crate::guarded::{self, space};
use crate::mode::{Mode, enter};
use crate::refuse::{Refused, refuse};
use crate::settings;
use cairn_core::os::page_size;

/// Pages of address space that this process has.
fn pages_of_process() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").expect("there is one");
    text.split(' ').next().and_then(|pages| pages.parse().ok()).expect("a number")
}

#[test]
fn a_pool_that_is_given_back_leaves_nothing() {
    in_a_process_of_its_own("guarded::tests::a_pool_that_is_given_back_leaves_nothing", || {
        let before = pages_of_process();
        for _ in 0..20 {
            assert!(guarded::prepare_debug());
            // SAFETY: the pool's books, in a process with one thread.
            let begin = unsafe { (*books()).space.address_of(0) };
            assert!(guarded::owns(begin) && pages_of_process() > before + 1000);
            guarded::give_back();
            assert!(!guarded::owns(begin));
        }
        // The first time installs the handler and its stack.
        assert!(pages_of_process() < before + 1000, "{before} pages, now {}", pages_of_process());
        assert_eq!(enter(Mode::Debug), Ok(()));
        free(allocate(100));
        is_whole();
    });
}

/// A fault of another thread may come as soon as the kernel has the handler: who handled it before must be known by then.
#[test]
fn the_handler_is_not_installed_before_the_one_it_replaces_is_known() {
    let name = "guarded::tests::the_handler_is_not_installed_before_the_one_it_replaces_is_known";
    in_a_process_of_its_own(name, || {
        let now = || {
            let mut action = core::mem::MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: the record is writable, and zeroes are a valid one.
            unsafe {
                assert_eq!(libc::sigaction(libc::SIGSEGV, core::ptr::null(), action.as_mut_ptr()), 0);
                action.assume_init().sa_sigaction
            }
        };
        let before = now();
        let refused = std::thread::spawn(|| {
            // With no new action the call only asks.
            let can = refuse([Refused(libc::SYS_rt_sigaction, 1, 0)]);
            assert!(guarded::prepare_debug());
            can
        });
        if refused.join().expect("no failure") {
            assert_eq!(now(), before);
        } else {
            std::println!("skipped: no filter of system calls here");
        }
    });
}

#[test]
fn what_is_broken_in_debug_mode_is_named() {
    in_a_process_of_its_own("guarded::tests::what_is_broken_in_debug_mode_is_named", || {
        assert!(settings::GUARD_QUARANTINE.set(50));
        assert_eq!(enter(Mode::Debug), Ok(()));
        alone(broken);
    });
}

#[test]
fn what_is_broken_in_sampled_mode_is_named() {
    in_a_process_of_its_own("guarded::tests::what_is_broken_in_sampled_mode_is_named", || {
        assert!(settings::SAMPLE_RATE.set(100));
        assert_eq!(enter(Mode::Sampled), Ok(()));
        alone(sampled);
    });
}

fn broken() {
    is_whole();
    let sizes = [1, 0, 100, 5000, 40_000, 200_000, 3 << 20];
    let blocks: Vec<*mut u8> = (0..210).map(|number| allocate(sizes[number % 7])).collect();
    is_whole();
    for number in [16, 23, 30, 37, 25, 44, 58] {
        free(blocks[number]);
    }
    is_whole();
    runs(blocks[9], blocks[10], blocks[16]);
    counts();
    lists(blocks[16], blocks[9]);
    for (number, block) in blocks.iter().enumerate() {
        if ![16, 23, 30, 37, 25, 44, 58].contains(&number) {
            free(*block);
        }
    }
    is_whole();
}

/// Records: of a small block of 100 bytes, one of 5,000, and one that was freed.
fn runs(small: *mut u8, middle: *mut u8, freed: *mut u8) {
    let (number, record, owner) = run(small);
    let (other, theirs, _) = run(middle);
    let page = page_size();
    // SAFETY: fields of records, and an entry of the table of owners, in a process with one thread.
    unsafe {
        assert!((*record).state == State::Live && (*theirs).state == State::Live && number != other);
        wrong((&raw mut (*record).state).cast(), 3u8, "a state that does not exist");
        wrong((&raw mut (*record).way).cast(), 2u8, "a way that does not exist");
        wrong(&raw mut (*record).state, State::Freed, "were never freed");
        wrong(&raw mut (*record).state, State::Vacant, "counts its live blocks wrongly");
        wrong(&raw mut (*record).class, 200, "a class that the pool does not have");
        wrong(&raw mut (*record).class, (*record).class + 1, "another block's");
        wrong(&raw mut (*record).first, (*theirs).first, "another block's");
        wrong(&raw mut (*record).first, (*books()).space.low as u32, "where nothing was cut yet");
        wrong(&raw mut (*record).first, 0, "where nothing was cut yet");
        wrong(owner, other, "another block's");
        wrong(owner, 0, "another block's");
        let begin = (*record).begin;
        wrong(&raw mut (*record).begin, begin - page, "outside of its pages");
        wrong(&raw mut (*record).begin, (*theirs).begin, "outside of its pages");
        wrong(&raw mut (*record).size, 100 + page, "outside of its pages");
        wrong(&raw mut (*record).size, usize::MAX, "outside of its pages");
        wrong(&raw mut (*record).size, 0, "another number of open pages");
        wrong(&raw mut (*record).size, 99, "counts the bytes of its live blocks wrongly");
        wrong(&raw mut (*record).open_pages, 2, "another number of open pages");
        wrong(&raw mut (*theirs).open_first, (*theirs).open_first - 1, "has other pages open");
        let way = if (*record).way == Way::Marks { Way::Protection } else { Way::Marks };
        wrong(&raw mut (*record).way, way, "in another way than it was opened");
        wrong(&raw mut (*record).allocated.thread, 0, "never allocated");
        wrong(&raw mut (*record).freed.thread, 1, "was freed");
        let (_, record, _) = run(freed);
        assert!((*record).state == State::Freed);
        wrong(&raw mut (*record).freed.thread, 0, "were never freed");
        wrong(&raw mut (*record).state, State::Live, "is live, and was freed");
        wrong(&raw mut (*record).state, State::Vacant, "quarantine");
        wrong((*books()).owners, 1, "gave its border away");
        wrong(&raw mut (*books()).used, (*books()).used - 1, "pages of runs that do not exist");
    }
}

fn counts() {
    // SAFETY: fields of the pool, in a process with one thread.
    unsafe {
        let books = books();
        let off = |count: *mut usize, words: &str| wrong(count, *count + 1, words);
        off(&raw mut (*books).live, "counts its live blocks wrongly");
        off(&raw mut (*books).live_pages, "counts the pages of its live blocks wrongly");
        off(&raw mut (*books).live_bytes, "counts the bytes of its live blocks wrongly");
        off(&raw mut (*books).space.pages, "another number of pages than its tables");
        wrong(&raw mut (*books).waiting, 1 << 20, "counts its quarantine wrongly");
        wrong(&raw mut (*books).limits.quarantine, 2, "holds more than it may");
        wrong(&raw mut (*books).limits.blocks, 5, "more live blocks than it may");
        wrong(&raw mut (*books).limits.pages, 5, "more open pages than it may");
        wrong(&raw mut (*books).limits.runs, 5, "more runs than it may");
        wrong(&raw mut (*books).limits.size, 5, "larger than it may be");
        wrong(&raw mut (*books).space.low, (*books).space.high + 1, "small runs where large ones are");
        wrong(&raw mut (*books).space.ready, (*books).space.high + 1, "that large runs have");
        wrong(&raw mut (*books).space.protected, 0, "counts what it protects wrongly");
        wrong(
            &raw mut (*books).space.protected,
            (*books).space.protected + 20,
            "counts what it protects wrongly",
        );
        wrong(&raw mut (*books).space.protected_max, 0, "protects more than it may");
    }
}

/// The quarantine, and then, when it is empty, the vacant runs.
fn lists(freed: *mut u8, live: *mut u8) {
    let (_, record, _) = run(freed);
    let (alive, _, _) = run(live);
    // SAFETY: fields of the pool, in a process with one thread.
    unsafe {
        let books = books();
        assert!((*books).oldest == run(freed).0 && (*books).waiting == 7);
        wrong(&raw mut (*books).oldest, 0, "a quarantine that leads to no block");
        wrong(&raw mut (*books).oldest, u32::MAX, "a quarantine that leads to no block");
        wrong(&raw mut (*books).oldest, alive, "a block that was not freed");
        wrong(&raw mut (*books).newest, alive, "does not end with its newest block");
        wrong(&raw mut (*books).waiting, 6, "a block behind its newest one");
        wrong(&raw mut (*record).next, run(freed).0, "a block behind its newest one");
        wrong(&raw mut (*record).next, alive, "a block that was not freed");
        wrong(&raw mut (*record).next, 0, "a quarantine that leads to no block");
        // So much is freed that the first ones leave the quarantine.
        let quarantine = (*books).limits.quarantine;
        let blocks: Vec<*mut u8> = (0..quarantine).map(|_| allocate(10)).collect();
        blocks.into_iter().for_each(free);
        is_whole();
        assert!((*record).state == State::Vacant);
        let class = usize::from((*record).class);
        let head = &raw mut (*books).vacant[class];
        assert_ne!(*head, 0);
        wrong(head, 0, "in no list");
        wrong(head, alive, "in the list of those that are vacant, and are not");
        wrong(head, u32::MAX, "a list of vacant pages that leads to none");
        wrong(&raw mut (*books).vacant[space::CLASSES - 1], *head, "in the list of another class");
        let first = (*books).records.add(*head as usize);
        wrong(&raw mut (*first).next, *head, "in a list of vacant ones twice");
        wrong(&raw mut (*first).state, State::Live, "is live, and was freed");
    }
}

fn sampled() {
    // Until some are drawn.
    let blocks: Vec<*mut u8> = (0..5000).map(|_| allocate(100)).collect();
    let guarded: Vec<*mut u8> = blocks.iter().copied().filter(|&block| guarded::owns(block)).collect();
    assert!(guarded.len() > 2, "{} of {}", guarded.len(), blocks.len());
    is_whole();
    let (_, record, _) = run(guarded[0]);
    // SAFETY: a field of a record, in a process with one thread.
    unsafe { wrong(&raw mut (*record).class, 1, "a class that the pool does not have") };
    blocks.into_iter().for_each(free);
    is_whole();
}

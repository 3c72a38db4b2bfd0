//! Claim: each invariant that an audit knows, broken on purpose in a heap that is otherwise whole, is named; and the same heap,
//! mended, is found whole.
//!
//! Each test has the heap for itself: a test of this crate's library that uses the heap of the process does so by [`alone`].

use std::string::String;
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};
use std::vec::Vec;

use super::{Failure, check_as};
use crate::class::{self, SHAPES};
use crate::descriptor::{Descriptor, Kind, NO_LIST};
use crate::region::{self, Place};
use crate::slab::Slab;
use crate::{bin, bits, center, engine, pages, records, region::damage as region_damage, shelf, thread};

/// Runs a test that uses the heap of the process in a thread of its own, which has ended, with its bins empty, before the next one
/// begins.
pub(crate) fn alone(test: impl FnOnce() + Send + 'static) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    std::thread::spawn(test).join().expect("see above");
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

#[test]
fn a_heap_in_use_is_whole() {
    alone(|| {
        let mut blocks = Vec::new();
        for size in [0, 1, 24, 100, 1000, 5000, 32_768, 32_769, 100_000, 3 << 20] {
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

#[test]
fn slabs() {
    alone(|| {
        for size in [32, 2000] {
            let (kept, class) = half_free(size);
            is_whole();
            let slab = slab_of(kept[kept.len() / 2]);
            let body = slab.body();
            let (free_count, carved) = (body.free, body.carved);
            assert!(free_count > 1 && body.list != NO_LIST);
            wrong_among_others(
                &mut body.free,
                free_count + 1,
                "counts another number of free blocks than its bitmap",
            );
            wrong_among_others(&mut body.free, carved + 1, "more free blocks than it ever handed out");
            wrong_among_others(
                &mut body.carved,
                SHAPES[class].blocks + 1,
                "handed out more blocks than it has",
            );
            wrong_among_others(&mut body.carved, free_count, "no live block and was not given back");
            // SAFETY: the bitmap has a word for the first 64 blocks.
            let first = unsafe { *body.bitmap };
            wrong_among_others(body.bitmap, first ^ 1 << first.trailing_zeros(), "than its bitmap has");
            wrong_among_others(
                &mut body.first_word,
                1 << 20,
                "before the word where its bitmap is said to begin",
            );
            wrong_among_others(&mut body.list, (body.list + 1) % 4, "list");
            wrong_among_others(&mut body.list, NO_LIST, "list");
            wrong_among_others(&mut body.leave_at, body.leave_at + 1, "would leave its list");
            wrong_among_others(&mut body.next, body.previous.or(Some(slab.descriptor())), "list");
            let elsewhere = core::ptr::without_provenance_mut(kept[0].addr());
            wrong_among_others(&mut body.bitmap, elsewhere, "bitmap");
            center::damage::unlist(slab, class, false);
            says_among_others("slabs with room that are in none of its lists");
            center::damage::unlist(slab, class, true);
            is_whole();
            for (sum, words) in
                center::damage::sums(class).into_iter().zip(["slabs", "handed out", "free blocks"])
            {
                // SAFETY: a field of the class.
                wrong_among_others(sum, unsafe { *sum } + 1, words);
            }
            kept.into_iter().for_each(free);
        }
    });
}

#[test]
fn bits_of_blocks_that_were_never_handed_out() {
    alone(|| {
        let block = allocate(16);
        let body = slab_of(block).body();
        assert!(!body.carved.is_multiple_of(64));
        // SAFETY: the word of the last block that was handed out.
        let word = unsafe { body.bitmap.add(body.carved as usize / 64) };
        // SAFETY: the same.
        wrong_among_others(
            word,
            unsafe { *word } | 1 << 63,
            "marks blocks as free that were never handed out",
        );
        free(block);
    });
}

#[test]
fn spans() {
    alone(|| {
        let (kept, class) = half_free(64);
        let slab = descriptor_of(kept[0]);
        let large = allocate(500_000);
        let gap = [allocate(300_000), allocate(300_000), allocate(300_000)];
        // SAFETY: live and large.
        unsafe { gap[1].write_bytes(1, 300_000) };
        free(gap[1]);
        is_whole();
        // SAFETY: descriptors of spans that exist.
        unsafe {
            let (free_span, tail) = (descriptor_of(gap[1]), descriptor_of(gap[1].add(299_999)));
            assert!((*free_span).kind == Kind::Free && (*tail).free_tail);
            wrong_among_others(&raw mut (*slab).kind, Kind::Inner, "is missing here");
            wrong_among_others((&raw mut (*slab).kind).cast(), 77u8, "kind that does not exist");
            wrong_among_others(&raw mut (*slab).class, class as u8 + 1, "class map");
            wrong_among_others(&raw mut (*slab).class, 255, "class that does not exist");
            wrong_among_others(&raw mut (*slab).head, 12345, "does not lead to the first one");
            wrong_among_others(&raw mut (*slab).len, 0, "no length");
            wrong_among_others(&raw mut (*slab).len, u32::MAX, "reaches beyond what is committed");
            wrong_among_others(&raw mut (*slab).len, 2, "");
            wrong_among_others(&raw mut (*descriptor_of(large)).len, 7, "is missing here");
            wrong_among_others(
                &raw mut (*descriptor_of(large.add(70_000))).kind,
                Kind::Large,
                "is said to begin one",
            );
            wrong_among_others(&raw mut (*tail).free_tail, false, "last of a free span");
            wrong_among_others(&raw mut (*tail).head, 3, "does not lead to the first one");
            wrong_among_others(&raw mut (*descriptor_of(large)).free_tail, true, "last of a free span");
            wrong_among_others(&raw mut (*free_span).body.free.dirty, 1, "may have pages wrongly");
            wrong_among_others(&raw mut (*free_span).body.free.height, 40, "tree");
            wrong_among_others(&raw mut (*free_span).body.free.left, 1 << 30, "tree");
            wrong_among_others(&raw mut (*free_span).body.free.parent, 3, "tree");
            wrong_among_others(&raw mut (*free_span).kind, Kind::Records, "last of a free span");
        }
        let Place { region, granule } = region::locate(kept[0].addr()).expect("ours");
        let map = region.code_of(granule).as_ptr();
        wrong_among_others(map, 0, "class map");
        wrong_among_others(map, class::code(class + 1, 0), "class map");
        // A slab of several granules, of which one says that its blocks may have lost their marks.
        let several = allocate(30_000);
        let place = region::locate(several.addr() + 70_000).expect("ours");
        let further = place.region.code_of(place.granule).as_ptr();
        // SAFETY: an entry of the class map.
        let code = unsafe { *further };
        assert!(place.class() == class::of_size(30_000) && class::row(code) > class::CLASS_COUNT);
        wrong_among_others(further, code | class::UNMARKED, "class map");
        wrong_among_others(further, code + 1, "class map");
        free(several);
        let Place { granule, .. } = region::locate(large.addr()).expect("ours");
        wrong_among_others(region.code_of(granule).as_ptr(), 4, "class map");
        for total in pages::damage::totals() {
            // SAFETY: a field of the page heap.
            wrong_among_others(total, unsafe { *total } + 1, "the page heap counts");
        }
        for block in [large, gap[0], gap[2]].into_iter().chain(kept) {
            free(block);
        }
    });
}

#[test]
fn neighbours_that_were_not_joined() {
    alone(|| {
        let blocks = [(); 3].map(|()| allocate(200_000));
        free(blocks[1]);
        is_whole();
        let span = descriptor_of(blocks[1]);
        // SAFETY: descriptors of a free span, which is cut in two as if it had never been joined.
        unsafe {
            let whole = (*span).len;
            assert!((*span).kind == Kind::Free && whole > 1);
            let second = descriptor_of(blocks[1].add(65_536));
            (*span).len = 1;
            (*span).free_tail = true;
            let head = (*span).head;
            (*span).head = region::locate(blocks[1].addr()).unwrap().granule as u32;
            (*span).body.free.dirty = 1;
            (*second).kind = Kind::Free;
            (*second).len = whole - 1;
            let tail = descriptor_of(blocks[1].add((whole as usize - 1) * 65_536));
            let tails_head = (*tail).head;
            (*tail).head = (*span).head + 1;
            (*second).body.free.dirty = whole - 1;
            says_among_others("they were not joined");
            (*tail).head = tails_head;
            (*second).kind = Kind::Inner;
            (*span).len = whole;
            (*span).free_tail = false;
            (*span).head = head;
            (*span).body.free.dirty = whole;
        }
        is_whole();
        free(blocks[0]);
        free(blocks[2]);
    });
}

#[test]
fn free_memory_that_should_read_as_zero() {
    alone(|| {
        let block = allocate(1 << 20);
        // SAFETY: live.
        unsafe { block.write_bytes(1, 1 << 20) };
        free(block);
        engine::trim(0);
        is_whole();
        let words = "should read as zero and does not";
        // A write after free, into memory whose pages are gone: it would be handed out as zeroed memory.
        wrong_among_others(block.wrapping_add(300_000), 1, words);
        let Place { region, granule } = region::locate(block.addr() + 300_000).expect("ours");
        // SAFETY: a bit of a committed granule.
        unsafe {
            bits::set(region.dirty_words(), granule, granule + 1);
            says_among_others("may have pages wrongly");
            bits::clear(region.dirty_words(), granule, granule + 1);
        }
        is_whole();
    });
}

#[test]
fn large_blocks() {
    alone(|| {
        let block = allocate(400_000);
        let descriptor = descriptor_of(block);
        // SAFETY: the descriptor of a large block.
        unsafe {
            let bytes = &raw mut (*descriptor).body.large.bytes;
            wrong(bytes, *bytes + 1, "not a number of pages");
            wrong(bytes, *bytes + (1 << 20), "larger than its span");
            wrong(bytes, *bytes - 4096, "not the sum of their bytes");
            (*descriptor).kind = Kind::Records;
            says("not the number of their spans");
            (*descriptor).kind = Kind::Large;
        }
        is_whole();
        free(block);
    });
}

#[test]
fn regions() {
    alone(|| {
        free(allocate(100));
        let [committed, base, descriptors] = region_damage::fields();
        let off = |field: &'static AtomicUsize, value: usize, words: &str| {
            wrong_among_others(field.as_ptr(), value, words);
        };
        let granules = region::regions()[0].granules();
        off(committed, granules + 1, "beyond its end");
        off(descriptors, 0, "without descriptors");
        off(descriptors, descriptors.load(std::sync::atomic::Ordering::Relaxed) + 1, "inside a page");
        off(base, base.load(std::sync::atomic::Ordering::Relaxed) + 16, "does not begin at a granule");
        off(base, base.load(std::sync::atomic::Ordering::Relaxed) + 65_536, "region of address space");
    });
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
fn bins() {
    alone(|| {
        let class = filled_bin(48);
        is_whole();
        let (bin, cold) = thread::damage::own_bin(class);
        let [top, limit, base] = bin::audit::damage::fields(bin, cold);
        // SAFETY: the array of the bin, which has more than five blocks and is this thread's.
        let (top_now, limit_now, first, second) = unsafe { (*top, *limit, (*base).add(1), (*base).add(2)) };
        // SAFETY: the same.
        let (one, null) = unsafe { (*first, (*base).sub(1)) };
        wrong_among_others(second, one, "is in a bin a second time");
        wrong_among_others(second, one.wrapping_add(8), "an address inside a block");
        wrong_among_others(second, core::ptr::without_provenance_mut(4096), "lies in no slab of its class");
        wrong_among_others(second, core::ptr::null_mut(), "lies in no slab of its class");
        let other = allocate(100);
        wrong_among_others(second, other, "lies in no slab of its class");
        let body = slab_of(one).body();
        assert!(body.carved < SHAPES[class].blocks);
        let uncarved = one.with_addr(one.addr() & !0xffff).wrapping_add(body.carved as usize * 48);
        wrong_among_others(second, uncarved, "never handed out");
        wrong_among_others(null, one, "something else than null below");
        wrong_among_others(limit, limit_now.wrapping_add(10_000), "may hold more than its class allows");
        wrong_among_others(limit, limit_now.wrapping_sub(1), "holds more than it may");
        wrong_among_others(top, limit_now.wrapping_add(1), "ends elsewhere than in its array");
        wrong_among_others(top, top_now.wrapping_add(50_000), "ends elsewhere than in its array");
        wrong_among_others(top, top_now.wrapping_byte_add(1), "ends elsewhere than in its array");
        wrong_among_others(base, core::ptr::without_provenance_mut(0x1000), "");
        let [mine, all, threads] = thread::damage::counts();
        let now = |count: &AtomicUsize| count.load(std::sync::atomic::Ordering::Relaxed);
        wrong_among_others(mine.as_ptr(), now(mine) + 16, "not the sum over its bins");
        wrong(all.as_ptr(), now(all) + 16, "not the sum over the threads");
        wrong_among_others(threads.as_ptr(), now(threads) + 1, "not the number of heaps in use");
        wrong(threads.as_ptr(), now(threads) - 1, "not the number of heaps in use");
        // A block that is free in its slab as well.
        let (kept, class) = half_free(80);
        let freed = kept[4].wrapping_add(80);
        free(kept[5]);
        let (bin, cold) = thread::damage::own_bin(class);
        let [top, ..] = bin::audit::damage::fields(bin, cold);
        // SAFETY: the newest block of the bin.
        let newest = unsafe { (*top).sub(1) };
        wrong_among_others(newest, freed, "free in its slab, too");
        kept.into_iter().enumerate().filter(|(at, _)| *at != 5).for_each(|(_, block)| free(block));
        free(other);
    });
}

#[test]
fn two_threads_bins_with_one_block() {
    alone(|| {
        let class = filled_bin(112);
        let (bin, cold) = thread::damage::own_bin(class);
        let [_, _, base] = bin::audit::damage::fields(bin, cold);
        // SAFETY: the bin has more than five blocks.
        let mine = unsafe { **base }.addr();
        let other = std::thread::spawn(move || {
            filled_bin(112);
            let (bin, cold) = thread::damage::own_bin(class);
            let [_, _, base] = bin::audit::damage::fields(bin, cold);
            // SAFETY: the same of this thread's bin, which is mended before anyone uses it.
            unsafe {
                let right = (*base).replace(core::ptr::with_exposed_provenance_mut(mine));
                says_among_others("is in a bin a second time");
                (*base).write(right);
            }
            is_whole();
        });
        other.join().expect("see above");
        is_whole();
    });
}

#[test]
fn shelves_and_stacks() {
    alone(|| {
        let (kept, class) = half_free(144);
        let (live, next) = (kept[10], kept[11]);
        assert_eq!(shelf::damage::put(class, live), 1);
        is_whole();
        let (bytes, len, least, slots) = shelf::damage::fields(class);
        // SAFETY: fields of the first shelf.
        unsafe {
            wrong_among_others(bytes, *bytes + 1, "bytes of its blocks");
            wrong_among_others(len, 255, "more than a row may");
            wrong_among_others(least, *len + 1, "never held as little");
            wrong_among_others(slots, live.add(16), "a shelf holds an address inside a block");
            wrong_among_others(slots, live.add(144), "a shelf holds a block that is free in its slab, too");
        }
        assert_eq!(shelf::damage::put(class, live), 1);
        says_among_others("a shelf a second time");
        assert_eq!(shelf::damage::take(class), live);

        // On the shelf, and in a bin.
        free(live);
        says_among_others("lies on a shelf, too");
        assert_eq!(allocate(144), live);
        is_whole();

        // In a stack: whole, twice, and on the shelf as well.
        center::damage::stack(class, &[next]);
        is_whole();
        center::damage::stack(class, &[next]);
        says_among_others("a transfer stack holds a block twice");
        center::damage::unstack(class);
        center::damage::stack(class, &[live]);
        says_among_others("lies on a shelf, too");
        center::damage::unstack(class);
        for (block, words) in [
            (live.wrapping_add(8), "a transfer stack holds an address inside a block"),
            (live.wrapping_add(144), "a transfer stack holds a block that is free in its slab, too"),
            (core::ptr::null_mut(), "a transfer stack holds an address that lies in no slab"),
        ] {
            center::damage::stack(class, &[block]);
            says_among_others(words);
            center::damage::unstack(class);
            is_whole();
        }
        // In the stack, and in a bin.
        free(next);
        says_among_others("lies in the transfer stack, too");
        assert_eq!(allocate(144), next);
        let batch = center::damage::top_batch(class).cast::<u32>();
        wrong_among_others(batch, 5, "longer than its depth");
        wrong_among_others(batch.wrapping_add(1), 1000, "more than it can");
        is_whole();
        center::damage::unstack(class);
        assert_eq!(shelf::damage::take(class), live);
        is_whole();
        kept.into_iter().for_each(free);
    });
}

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

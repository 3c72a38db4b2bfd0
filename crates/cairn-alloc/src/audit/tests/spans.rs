//! Spans: tiling, neighbours, class map, dirty bits, trees; and large blocks.

use std::vec::Vec;

use super::{
    allocate, alone, descriptor_of, free, half_free, is_whole, says, says_among_others, wrong,
    wrong_among_others,
};
use crate::class;
use crate::descriptor::Kind;
use crate::region::{self, Place};
use crate::{bits, engine, pages};

/// Three large blocks of so many bytes, each behind the one before: other tests may have left holes.
fn three_in_a_row(bytes: usize) -> [*mut u8; 3] {
    let step = bytes.next_multiple_of(class::GRANULE);
    let mut all = Vec::new();
    loop {
        all.push(allocate(bytes));
        all.sort();
        let found = all
            .windows(3)
            .position(|row| row[0].addr() + step == row[1].addr() && row[1].addr() + step == row[2].addr());
        if let Some(at) = found {
            let row = all.drain(at..at + 3).collect::<Vec<_>>();
            all.into_iter().for_each(free);
            return [row[0], row[1], row[2]];
        }
    }
}

#[test]
fn spans() {
    alone(|| {
        let (kept, class) = half_free(64);
        let slab = descriptor_of(kept[0]);
        let large = allocate(500_000);
        let gap = three_in_a_row(300_000);
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
        assert!(place.class() == class::of_size(30_000) && code > class::code(place.class(), 0));
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
        let blocks = three_in_a_row(300_000);
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

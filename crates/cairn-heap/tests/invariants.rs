//! Claim: each invariant is checked. For each there is a test that breaks it, by writing the bytes, and only it where that is possible;
//! the audit names it, the word and the block. Where the bytes are put back, the audit is content again.

mod bytes;

use bytes::*;
use cairn_heap::*;

type Listed = Garden<FirstFit, Low>;
type Sorted = Garden<FirstFitAddress, Low>;
type Binned = Garden<Segregated, Low>;
type Tree = Garden<BestFitTree, Low>;

/// As [`Standard`], but that all blocks are cut from the low end: they lie in the order in which they were asked for.
struct Low;
impl Config for Low {
    const CARVE: Carve = Carve::Low;
    type Meter = ();
}

/// The same with deferred coalescing.
struct Late;
impl Config for Late {
    const CARVE: Carve = Carve::Low;
    const COALESCE: Coalesce = Coalesce::Deferred;
    type Meter = ();
}

/// Eleven used blocks of 112 bytes.
const ROW: [usize; 11] = [112; 11];

/// Overwrites a word, expects the violation, and puts the word back.
#[track_caller]
fn overwritten<P: Placement, C: Config>(
    garden: &Garden<P, C>,
    (address, word): (usize, usize),
    invariant: Invariant,
    block: usize,
) {
    let was = write(address, word);
    garden.violates(invariant, address, block);
    write(address, was);
    garden.is_sound();
}

#[test]
fn segments() {
    let garden = Listed::new(&ROW);
    for (number, xor) in (0..3).flat_map(|number| [1, 8, 1 << 12, 1 << 20].map(|bit| (number, bit))) {
        if number == 0 && (xor == 1 || cfg!(target_pointer_width = "32")) {
            continue;
        }
        let word = garden.record + number * WORD;
        let was = write(word, read(word) ^ xor);
        let violation = garden.heap.check().unwrap_err();
        // Without a check (32 bits), the invariant that is found may be what follows from it: the blocks don't fill the segment.
        if cfg!(target_pointer_width = "64") {
            garden.violates(Invariant::Segments, garden.record, 0);
            assert_eq!(garden.heap.blocks().count(), 0);
        }
        assert!(violation.block == 0 || cfg!(target_pointer_width = "32"));
        write(word, was);
        garden.is_sound();
    }
}

#[test]
fn segments_in_several_regions() {
    let mut heap: Heap<_, FirstFit, Low> =
        Heap::new(Regions::new([memory(2000), memory(2000), memory(2000)]));
    let layout = std::alloc::Layout::new::<[u64; 30]>();
    while heap.allocate(layout).is_ok() {}
    assert!(heap.check().unwrap().used_blocks > 3 * 5);
    let blocks: Vec<_> = heap.blocks().collect();
    let starts: Vec<_> =
        blocks.windows(2).filter(|pair| pair[0].address + pair[0].size != pair[1].address).collect();
    assert_eq!(starts.len(), 2);
    // The record of the second segment, then the way to it in that of the first.
    let second = starts[0][1].address - RECORD;
    let first = blocks[0].address - RECORD;
    let was = write(second + WORD, read(second + WORD) ^ 1);
    let violation = Violation { invariant: Invariant::Segments, address: second, block: 0 };
    assert_eq!(heap.check(), Err(violation));
    write(second + WORD, was);
    assert_eq!(heap.blocks().count(), blocks.len());
    if cfg!(target_pointer_width = "64") {
        // Somewhere in between, where no memory may be.
        for distance in [16, 4096, 1 << 35] {
            let was = write(first, read(first) ^ distance);
            assert_eq!(heap.check(), Err(Violation { address: first, ..violation }));
            assert_eq!(heap.blocks().count(), 0);
            write(first, was);
        }
    }
    heap.check().unwrap();
}

#[test]
#[cfg(target_pointer_width = "64")] // 32 bits have no check
fn header_check() {
    let mut garden = Listed::new(&ROW);
    let free = garden.free(&[4])[0];
    for block in [garden.block(0), garden.block(3), free] {
        for wrong in [0, usize::MAX, read(block - WORD) ^ 1 << 45, read(block - WORD) ^ 1 << 63, 0x4141] {
            overwritten(&garden, (block - WORD, wrong), Invariant::HeaderCheck, block);
        }
    }
}

#[test]
fn size() {
    let garden = Listed::new(&ROW);
    let block = garden.block(5);
    for wrong in [0, 8, 16, 40, 104, 120] {
        // Half an alignment is not the only wrong size: the smallest block has 32 bytes on 64 bits, 16 on 32.
        if cfg!(target_pointer_width = "32") && wrong == 16 {
            continue;
        }
        let word = header(block, wrong, USED | PREVIOUS_USED);
        overwritten(&garden, (block - WORD, word), Invariant::Size, block);
    }
}

#[test]
fn tiling() {
    let garden = Listed::new(&ROW);
    for number in [0, 7, 10] {
        let block = garden.block(number);
        for wrong in [garden.mark() - block + 16, 1 << 20, 1 << 30] {
            let word = header(block, wrong, USED | PREVIOUS_USED);
            overwritten(&garden, (block - WORD, word), Invariant::Tiling, block);
        }
    }
}

#[test]
fn end_mark() {
    let garden = Listed::new(&ROW);
    let mark = garden.mark();
    // The block before is the top, which is free, so USED alone is right.
    assert_eq!(read(mark - WORD), header(mark, 0, USED));
    for wrong in [header(mark, 0, 0), header(mark, 0, USED | WAITING), header(mark, 64, USED)] {
        overwritten(&garden, (mark - WORD, wrong), Invariant::EndMark, mark);
    }
}

#[test]
fn previous_used() {
    let mut garden = Listed::new(&ROW);
    garden.free(&[4]);
    // Behind a used block, behind the free one, and the mark behind the top.
    for block in [garden.block(2), garden.block(5), garden.mark()] {
        let wrong = read(block - WORD) ^ PREVIOUS_USED;
        overwritten(&garden, (block - WORD, wrong), Invariant::PreviousUsed, block);
    }
}

#[test]
fn footer() {
    let mut garden = Listed::new(&ROW);
    let free = garden.free(&[4])[0];
    for wrong in [0, 96, 128, usize::MAX] {
        overwritten(&garden, (free + 112 - 2 * WORD, wrong), Invariant::Footer, free);
    }
}

#[test]
fn free_neighbours() {
    // No other invariant is violated before the index is looked at: sizes, footers and flags are all right.
    let mut garden = Listed::new(&ROW);
    let free = garden.free(&[4])[0];
    let half = free + 48;
    set_free(free, 48, PREVIOUS_USED);
    set_free(half, 64, 0);
    garden.violates(Invariant::FreeNeighbours, half - WORD, half);
    set_free(free, 112, PREVIOUS_USED);
    garden.is_sound();
}

#[test]
fn index_link() {
    fn breaks<P: Placement>(mut garden: Garden<P, Low>) {
        garden.free(&[2, 5, 8]);
        let used = garden.block(3);
        let mut members = Vec::new();
        garden.heap.index(&mut |entry| members.push(entry.address));
        // A link that is there, of a member of the index: to a used block, between two blocks, far outside.
        for wrong in [garden.link_to(used), garden.link_to(used) + 1, 1, u32::MAX] {
            let from = members[if P::NODE == 16 { 1 } else { 0 }];
            let was = link(from, 0);
            assert_ne!(was, 0, "{}", P::NAME);
            set_link(from, 0, wrong);
            garden.violates(Invariant::IndexLink, from, from);
            set_link(from, 0, was);
            garden.is_sound();
        }
    }
    breaks(Listed::new(&ROW));
    breaks(Sorted::new(&ROW));
    breaks(Garden::<NextFit, _>::new(&ROW));
    breaks(Garden::<BestFit, _>::new(&ROW));
    breaks(Garden::<WorstFit, _>::new(&ROW));
    breaks(Tree::new(&ROW));
    breaks(Binned::new(&ROW));
    breaks(Garden::<TwoLevel, _>::new(&ROW));
}

#[test]
fn index_links() {
    fn breaks<P: Placement>(mut garden: Garden<P, Low>) {
        let free = garden.free(&[2, 5, 8]);
        // The second of the list names the first; let it name itself, the third, or none.
        let second = free[1];
        let was = link(second, 1);
        for wrong in [0, garden.link_to(second), link(second, 0)] {
            set_link(second, 1, wrong);
            garden.violates(Invariant::IndexLinks, second, second);
        }
        set_link(second, 1, was);
        garden.is_sound();
    }
    breaks(Listed::new(&ROW));
    breaks(Sorted::new(&ROW));
    breaks(Binned::new(&ROW));
    breaks(Garden::<TwoLevel, _>::new(&ROW));
    // In a tree: a child names another parent.
    let mut garden = Tree::new(&ROW);
    let [low, root, high] = garden.free(&[2, 5, 8])[..] else { unreachable!() };
    let was = link(low, 2);
    assert_eq!(garden.follow(was), root);
    set_link(low, 2, garden.link_to(high));
    garden.violates(Invariant::IndexLinks, low, low);
    set_link(low, 2, was);
    garden.is_sound();
}

#[test]
fn index_order_by_address() {
    let mut garden = Sorted::new(&ROW);
    let [first, second, third, fourth] = garden.free(&[1, 3, 5, 7])[..] else { unreachable!() };
    let chain = |blocks: &[usize]| {
        for pair in blocks.windows(2) {
            set_link(pair[0], 0, garden.link_to(pair[1]));
            set_link(pair[1], 1, garden.link_to(pair[0]));
        }
    };
    chain(&[first, third, second, fourth]);
    garden.violates(Invariant::IndexOrder, second, second);
    chain(&[first, second, third, fourth]);
    garden.is_sound();
}

#[test]
fn index_order_in_a_tree() {
    let mut garden = Tree::new(&ROW);
    let [low, root, high] = garden.free(&[2, 5, 8])[..] else { unreachable!() };
    set_link(root, 0, garden.link_to(high));
    set_link(root, 1, garden.link_to(low));
    garden.violates(Invariant::IndexOrder, root, root);
    set_link(root, 0, garden.link_to(low));
    set_link(root, 1, garden.link_to(high));
    garden.is_sound();
}

#[test]
fn index_bin() {
    // Two free blocks, each with a used one behind it: one gives 64 bytes to it, the other takes 64. All sums are as before.
    let sizes = [112, 256, 256, 112, 256, 256, 112];
    let mut garden = Binned::new(&sizes);
    let [loser, winner] = garden.free(&[1, 4])[..] else { unreachable!() };
    set_free(loser, 192, PREVIOUS_USED);
    set_header(loser + 192, 320, USED);
    set_free(winner, 320, PREVIOUS_USED);
    set_header(winner + 320, 192, USED);
    // The bin is known as that of 256 bytes; its head was freed last.
    garden.violates(Invariant::IndexBin, winner - WORD, winner);
    set_free(loser, 256, PREVIOUS_USED);
    set_header(loser + 256, 256, USED);
    set_free(winner, 256, PREVIOUS_USED);
    set_header(winner + 256, 256, USED);
    garden.is_sound();
}

#[test]
fn index_balance() {
    let mut garden = Tree::new(&ROW);
    let [low, root, _] = garden.free(&[2, 5, 8])[..] else { unreachable!() };
    for (block, height) in [(root, 3), (root, 1), (low, 2), (low, 0)] {
        let was = link(block, 3);
        set_link(block, 3, height);
        let violation = garden.heap.check().unwrap_err();
        assert_eq!(violation.invariant, Invariant::IndexBalance, "height {height}: {violation}");
        assert!([low, root].contains(&violation.block) && violation.address == violation.block);
        set_link(block, 3, was);
    }
    garden.is_sound();
}

#[test]
fn index_complete() {
    fn breaks<P: Placement>(mut garden: Garden<P, Low>) {
        garden.free(&[2, 5, 8]);
        let mut members = Vec::new();
        garden.heap.index(&mut |entry| members.push(entry.address));
        let (first, second, third) = (members[0], members[1], members[2]);
        // The list goes round the second one; both links agree.
        set_link(first, 0, garden.link_to(third));
        set_link(third, 1, garden.link_to(first));
        garden.violates(Invariant::IndexComplete, 0, 0);
        set_link(first, 0, garden.link_to(second));
        set_link(third, 1, garden.link_to(second));
        garden.is_sound();
    }
    breaks(Listed::new(&ROW));
    breaks(Sorted::new(&ROW));
    breaks(Garden::<NextFit, _>::new(&ROW));
    breaks(Garden::<BestFit, _>::new(&ROW));
    breaks(Garden::<WorstFit, _>::new(&ROW));
    breaks(Binned::new(&ROW));
    breaks(Garden::<TwoLevel, _>::new(&ROW));
    // A leaf of a tree is cut off; what is left is balanced, and knows its heights.
    let mut garden = Tree::new(&ROW);
    let [low, root, _] = garden.free(&[2, 5, 8])[..] else { unreachable!() };
    set_link(root, 0, 0);
    garden.violates(Invariant::IndexComplete, 0, 0);
    set_link(root, 0, garden.link_to(low));
    garden.is_sound();
}

#[test]
fn index_complete_with_a_block_that_is_none() {
    // Block 4 grows over the free block 5, which stays whole within it and linked; block 6 becomes free in its stead. The numbers
    // of free blocks and bytes agree with the index, the sets don't.
    let mut garden = Listed::new(&ROW);
    garden.free(&[2, 5, 8]);
    let (fourth, sixth, seventh) = (garden.block(4), garden.block(6), garden.block(7));
    set_header(fourth, 224, USED | PREVIOUS_USED);
    set_free(sixth, 112, PREVIOUS_USED);
    set_header(seventh, 112, USED);
    garden.violates(Invariant::IndexComplete, 0, 0);
}

#[test]
fn top() {
    // The last used block grows into the top: the block at the end of the heap is no longer the one that is known as the top.
    let garden = Listed::new(&ROW);
    let (last, top) = (garden.block(10), garden.block(11));
    let size = garden.mark() - top;
    set_header(last, 112 + 64, USED | PREVIOUS_USED);
    set_free(top + 64, size - 64, PREVIOUS_USED);
    garden.violates(Invariant::Top, top + 64 - WORD, top + 64);
    set_header(last, 112, USED | PREVIOUS_USED);
    set_free(top, size, PREVIOUS_USED);
    garden.is_sound();
    // It becomes used itself.
    set_header(top, size, USED | PREVIOUS_USED);
    set_header(garden.mark(), 0, USED | PREVIOUS_USED);
    garden.violates(Invariant::Top, garden.mark() - WORD, garden.mark());
}

#[test]
fn waiting() {
    // Blocks around them, so that no search has to join the three that wait.
    let mut garden = Garden::<Segregated, Late>::new(&[&ROW[..], &[528; 20]].concat());
    let [first, second, third] = garden.free(&[2, 3, 8])[..] else { unreachable!() };
    assert_eq!(garden.heap.check().unwrap().waiting_blocks, 3);
    // The list: third → second → first. It ends too early,
    let was = link(third, 0);
    set_link(third, 0, 0);
    garden.violates(Invariant::Waiting, 0, 0);
    // leads to a block that does not wait,
    let used = garden.block(5);
    set_link(third, 0, garden.link_to(used));
    garden.violates(Invariant::Waiting, used - WORD, used);
    // out of the heap,
    set_link(third, 0, u32::MAX);
    assert_eq!(garden.heap.check().unwrap_err().invariant, Invariant::Waiting);
    // or round and round.
    set_link(third, 0, garden.link_to(third));
    assert_eq!(garden.heap.check().unwrap_err().invariant, Invariant::Waiting);
    set_link(third, 0, was);
    garden.is_sound();
    // A block in the list does not wait any more, says its header.
    let header = write(second - WORD, read(second - WORD) & !WAITING);
    garden.violates(Invariant::Waiting, second - WORD, second);
    write(second - WORD, header);
    assert_eq!(link(first, 0), 0);
    garden.is_sound();
}

#[test]
fn totals() {
    // A free block takes 16 bytes from the used one behind it: all is well but for the bytes in use. The list does not care.
    let mut garden = Listed::new(&ROW);
    let free = garden.free(&[4])[0];
    set_free(free, 128, PREVIOUS_USED);
    set_header(free + 128, 96, USED);
    garden.violates(Invariant::Totals, 0, 0);
    set_free(free, 112, PREVIOUS_USED);
    set_header(free + 112, 112, USED);
    garden.is_sound();
}

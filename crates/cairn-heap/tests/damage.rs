//! Claim: whatever bytes are written into a heap's memory, the audit and its relatives end without a crash, and a heap that passes the
//! audit can be used. A free or a reallocation that meets a damaged word beside its block says so and changes nothing.
//!
//! On 64 bits: on 32 bits headers and records have no check, so damage can look like a heap.
#![cfg(target_pointer_width = "64")]

mod bytes;

use std::alloc::Layout;

use bytes::*;
use cairn_heap::*;

/// Blocks in the order in which they were asked for.
struct Low;
impl Config for Low {
    const CARVE: Carve = Carve::Low;
    type Meter = ();
}

/// xorshift64*
struct Random(u64);
impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) as usize
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() % end
    }
}

/// Some operations, each of which must succeed or find no memory.
fn operate<S: Source, P: Placement, C: Config>(
    heap: &mut Heap<S, P, C>,
    live: &mut Vec<(usize, Layout)>,
    random: &mut Random,
    count: usize,
) {
    for _ in 0..count {
        let bits = 4 + random.below(7);
        let size = random.below(1 << bits);
        let layout = Layout::from_size_align(size, 1 << random.below(7)).unwrap();
        match random.below(6) {
            0..3 => match heap.allocate(layout) {
                Ok(block) => live.push((block.addr().get(), layout)),
                Err(error) => assert_eq!(error, Error::OutOfMemory),
            },
            3 if !live.is_empty() => {
                let which = random.below(live.len());
                let (block, old) = live[which];
                // SAFETY: the block is live with this layout, and nobody refers to it.
                match unsafe { heap.reallocate(pointer(block), old, size) } {
                    Ok(moved) => {
                        let layout = Layout::from_size_align(size, old.align()).unwrap();
                        live[which] = (moved.addr().get(), layout);
                    }
                    Err(error) => assert_eq!(error, Error::OutOfMemory),
                }
            }
            _ if !live.is_empty() => {
                let (block, _) = live.swap_remove(random.below(live.len()));
                // SAFETY: the block is live, and nobody uses it.
                unsafe { heap.deallocate(pointer(block)) }.unwrap();
            }
            _ => {}
        }
    }
}

/// Damages heaps at random; gives how often the audit saw it, and how often it was content.
fn damage<P: Placement, C: Config>(seeds: u64) -> (usize, usize) {
    let (mut seen, mut unseen) = (0, 0);
    for seed in 1..=seeds {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let memory = [memory(6_000), memory(9_000), memory(20_000)];
        let mut heap = Heap::<_, P, C>::new(Regions::new(memory));
        let mut live = Vec::new();
        operate(&mut heap, &mut live, &mut random, 150);
        heap.check().unwrap();
        // All words between the beginning of the first block's record and the last mark, but not between two segments.
        let blocks: Vec<_> = heap.blocks().collect();
        let words: Vec<usize> = blocks
            .iter()
            .flat_map(|block| (block.address - 4 * WORD..block.address + block.size - WORD).step_by(WORD))
            .collect();
        for _ in 0..=random.below(3) {
            let word = words[random.below(words.len())];
            // Where the structure is, rather than in the middle of a large block.
            let at = blocks[random.below(blocks.len())].address;
            let word =
                [word, at - WORD, at, at + WORD, at - 2 * WORD, words[random.below(4)]][random.below(6)];
            let link = (random.below(40_000) / C::ALIGN) as u32 as usize;
            let wrong = match random.below(6) {
                0 => random.next(),
                1 => read(word) ^ 1 << random.below(usize::BITS as usize),
                2 => read(words[random.below(words.len())]),
                3 => link | read(word) & !0xFFFF_FFFF,
                4 => header(word + WORD, random.below(2000) * 8, random.below(8)),
                _ => 0,
            };
            write(word, wrong);
        }
        let most = 35_000 / C::ALIGN;
        assert!(heap.blocks().take(most + 1).count() <= most, "{} {seed}", P::NAME);
        let mut members = 0;
        heap.index(&mut |_| members += 1);
        assert!(members <= most, "{} {seed}", P::NAME);
        let fine = heap.check();
        if fine.is_err() {
            seen += 1;
            continue;
        }
        unseen += 1;
        for _ in 0..60 {
            operate(&mut heap, &mut live, &mut random, 1);
            if let Err(violation) = heap.check() {
                panic!("{} {seed}: {violation}", P::NAME);
            }
        }
    }
    (seen, unseen)
}

macro_rules! random_words {
    ($($name:ident: $policy:ty),* $(,)?) => {$(
        #[test]
        fn $name() {
            let seeds = if cfg!(miri) { 10 } else { 1200 };
            for (seen, unseen) in [damage::<$policy, Standard>(seeds), damage::<$policy, Deferred>(seeds)] {
                assert!(seen > seeds as usize / 3 && (cfg!(miri) || unseen > 20), "{seen}, {unseen}");
            }
        }
    )*};
}

random_words! {
    first_fit: FirstFit,
    first_fit_address: FirstFitAddress,
    next_fit: NextFit,
    best_fit: BestFit,
    worst_fit: WorstFit,
    best_fit_tree: BestFitTree,
    segregated: Segregated,
    two_level: TwoLevel<5>,
}

/// All words of the heap's memory.
fn contents<P: Placement>(garden: &Garden<P, Low>) -> Vec<usize> {
    (garden.record..garden.mark()).step_by(WORD).map(read).collect()
}

/// Runs `attempt` on a heap in which a word was overwritten: it must report that word for that block, change nothing, and succeed when
/// the word is put back.
#[track_caller]
fn refused<P: Placement>(
    garden: &mut Garden<P, Low>,
    (word, wrong): (usize, usize),
    block: usize,
    attempt: impl Fn(&mut Heap<Region, P, Low>) -> Option<Fault>,
) {
    let mark = garden.mark();
    let before = contents(garden);
    let totals = garden.heap.check();
    let was = write(word, wrong);
    let fault = attempt(&mut garden.heap);
    write(word, was);
    assert_eq!(fault, Some(Fault::Corrupted { address: block, word }), "{}", P::NAME);
    assert!(garden.mark() == mark && contents(garden) == before, "{}: something was changed", P::NAME);
    assert_eq!(garden.heap.check(), totals, "{}", P::NAME);
    assert_eq!(attempt(&mut garden.heap), None, "{}", P::NAME);
    garden.is_sound();
}

fn free(heap: &mut Heap<Region, impl Placement, Low>, block: usize) -> Option<Fault> {
    // SAFETY: the block is live, or the heap says what is wrong.
    unsafe { heap.deallocate(pointer(block)) }.err()
}

fn resize(heap: &mut Heap<Region, impl Placement, Low>, block: usize, size: usize) -> Option<Fault> {
    let layout = Layout::from_size_align(100, 8).unwrap();
    // SAFETY: as for `free`.
    match unsafe { heap.reallocate(pointer(block), layout, size) } {
        Ok(_) => None,
        Err(Error::Fault(fault)) => Some(fault),
        Err(error) => panic!("{error}"),
    }
}

/// Eleven blocks of 112 bytes, of which the third, the sixth and the ninth are free.
fn three_holes<P: Placement>() -> Garden<P, Low> {
    let mut garden = Garden::new(&[112; 11]);
    garden.free(&[2, 5, 8]);
    garden
}

fn damaged_neighbours<P: Placement>() {
    for wrong in [0, 0x4141_4141_4141_4141, usize::MAX] {
        // The header of the used block behind, of the free block behind, the block's own.
        for (number, behind) in [(0, 1), (4, 5), (6, 6)] {
            let mut garden = three_holes::<P>();
            let (block, word) = (garden.block(number), garden.block(behind) - WORD);
            refused(&mut garden, (word, wrong), block, |heap| free(heap, block));
            // Growing looks at the word behind; shrinking frees what is left over beside it.
            for size in [300, 20] {
                let mut garden = three_holes::<P>();
                let (block, word) = (garden.block(number), garden.block(behind) - WORD);
                refused(&mut garden, (word, wrong), block, |heap| resize(heap, block, size));
            }
        }
        // The footer of the free block before: for a free, and for a resize that does not find room behind.
        let mut garden = three_holes::<P>();
        let block = garden.block(6);
        refused(&mut garden, (block - 2 * WORD, wrong), block, |heap| free(heap, block));
        for size in [200, 300] {
            let mut garden = three_holes::<P>();
            let block = garden.block(6);
            refused(&mut garden, (block - 2 * WORD, wrong), block, |heap| resize(heap, block, size));
        }
    }
}

#[test]
fn damage_beside_a_block_is_reported_and_nothing_changed() {
    damaged_neighbours::<FirstFit>();
    damaged_neighbours::<FirstFitAddress>();
    damaged_neighbours::<NextFit>();
    damaged_neighbours::<BestFit>();
    damaged_neighbours::<WorstFit>();
    damaged_neighbours::<BestFitTree>();
    damaged_neighbours::<Segregated>();
    damaged_neighbours::<TwoLevel>();
}

#[test]
fn the_rest_of_a_damaged_heap_stays_usable() {
    let mut garden = Garden::<BestFitTree, Low>::new(&[112; 11]);
    let (damaged, before) = (garden.block(5), garden.block(4));
    write(damaged - WORD, 0);
    assert!(free(&mut garden.heap, damaged).is_some() && free(&mut garden.heap, before).is_some());
    for number in [0, 1, 2] {
        let block = garden.block(number);
        assert_eq!(free(&mut garden.heap, block), None);
    }
    for size in [100, 200, 5000] {
        let block = garden.heap.allocate(Layout::from_size_align(size, 8).unwrap()).unwrap();
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(7, size) };
        assert_eq!(free(&mut garden.heap, block.addr().get()), None);
    }
    garden.violates(Invariant::HeaderCheck, damaged - WORD, damaged);
}

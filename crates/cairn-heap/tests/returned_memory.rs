//! Claim: what is free at the top goes back to the system: the program break falls, pages are given back. And others may move the break
//! in between.
//!
//! A program of one thread without the test harness, which would move the break as well.

#[cfg(all(feature = "os", not(miri), target_os = "linux"))]
fn main() {
    returned::the_break_rises_and_falls();
    returned::a_large_block_takes_the_break_along();
    returned::others_move_the_break();
    returned::the_break_has_a_limit();
    returned::pages_are_given_back();
    println!("test result: ok. The break fell each time, and the pages went back");
}

#[cfg(not(all(feature = "os", not(miri), target_os = "linux")))]
fn main() {}

#[cfg(all(feature = "os", not(miri), target_os = "linux"))]
mod returned {
    use std::alloc::Layout;
    use std::ptr::NonNull;

    use cairn_heap::*;

    /// Gives the top back at once.
    struct Always;
    impl Config for Always {
        const TRIM_MIN: usize = 0;
        type Meter = Tally;
    }

    fn program_break() -> usize {
        // SAFETY: asking moves nothing.
        unsafe { libc::sbrk(0) }.addr()
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 16).unwrap()
    }

    fn free<S: Source, P: Placement, C: Config>(heap: &mut Heap<S, P, C>, block: NonNull<u8>) {
        // SAFETY: the block is live, and nobody uses it.
        unsafe { heap.deallocate(block) }.unwrap();
    }

    pub fn the_break_rises_and_falls() {
        fn run<P: Placement>() {
            let before = program_break();
            let mut heap = Heap::<Break, P, Always>::new(Break::new(1 << 20));
            let mut blocks = [NonNull::dangling(); 100];
            for (number, block) in blocks.iter_mut().enumerate() {
                *block = heap.allocate(layout(500 + number)).unwrap();
                // SAFETY: the block has so many bytes.
                unsafe { block.write_bytes(1, 500) };
            }
            let risen = program_break();
            assert!(risen >= before + 100 * 500 && heap.extent() == risen - before);
            // From the top down the break falls with each block; from the bottom up, with the last.
            let highest = blocks.iter().max().unwrap();
            free(&mut heap, *highest);
            assert!(program_break() < risen && heap.extent() == program_break() - before);
            for block in blocks.iter().filter(|block| *block != highest) {
                free(&mut heap, *block);
            }
            assert_eq!((program_break(), heap.extent()), (before, 0), "{}", P::NAME);
            assert_eq!(heap.check().unwrap(), Totals::default());
            // And again.
            let block = heap.allocate(layout(100)).unwrap();
            assert!(program_break() > before);
            free(&mut heap, block);
            assert_eq!(program_break(), before, "{}", P::NAME);
        }
        let policies: [fn(); 8] = [
            run::<FirstFit>,
            run::<FirstFitAddress>,
            run::<NextFit>,
            run::<BestFit>,
            run::<WorstFit>,
            run::<BestFitTree>,
            run::<Segregated>,
            run::<TwoLevel>,
        ];
        policies.iter().for_each(|run| run());
    }

    pub fn a_large_block_takes_the_break_along() {
        let before = program_break();
        let mut heap = Heap::<Break, Segregated>::new(Break::new(64 << 20));
        let small = heap.allocate(layout(100)).unwrap();
        let large = heap.allocate(layout(16 << 20)).unwrap();
        assert!(program_break() >= before + (16 << 20));
        free(&mut heap, large);
        assert!(program_break() < before + (1 << 20), "the default returns what is large");
        assert_eq!(heap.check().unwrap().used_blocks, 1);
        free(&mut heap, small);
    }

    pub fn others_move_the_break() {
        fn run<P: Placement>() {
            let before = program_break();
            let mut heap = Heap::<Break, P, Always>::new(Break::new(1 << 20));
            let first = heap.allocate(layout(3000)).unwrap();
            let first_end = program_break();
            // SAFETY: raising the break touches nothing; the bytes are given back below.
            let others = unsafe { libc::sbrk(5008) }.cast::<u8>();
            // SAFETY: they are ours.
            unsafe { others.write_bytes(0x77, 5008) };
            let second = heap.allocate(layout(3000)).unwrap();
            assert!(second.addr().get() > others.addr() + 5008, "a new segment, behind what others took");
            let third = heap.allocate(layout(50_000)).unwrap();
            heap.check().unwrap();
            assert_eq!(heap.extent(), program_break() - before - 5008);
            // The last segment goes whole; the break can't fall below what others have.
            free(&mut heap, first);
            free(&mut heap, third);
            free(&mut heap, second);
            assert_eq!(program_break(), first_end + 5008, "{}", P::NAME);
            assert_eq!(heap.check().unwrap().used_blocks, 0);
            // SAFETY: the bytes are ours.
            assert!((0..5008).all(|i| unsafe { others.add(i).read() } == 0x77));
            // SAFETY: as above, and nobody needs them any more.
            unsafe { libc::sbrk(-5008) };
            // The first segment is the last one again, and goes on growing where it ended.
            let block = heap.allocate(layout(20_000)).unwrap();
            assert!(block.addr().get() < first_end, "{}", P::NAME);
            free(&mut heap, block);
            assert_eq!((program_break(), heap.extent()), (before, 0), "{}", P::NAME);
        }
        let policies: [fn(); 4] =
            [run::<FirstFitAddress>, run::<NextFit>, run::<BestFitTree>, run::<TwoLevel>];
        policies.iter().for_each(|run| run());
    }

    pub fn the_break_has_a_limit() {
        let before = program_break();
        let mut heap = Heap::<Break, BestFit, Always>::new(Break::new(100_000));
        let large = heap.allocate(layout(90_000)).unwrap();
        assert_eq!(heap.allocate(layout(20_000)), Err(Error::OutOfMemory));
        free(&mut heap, large);
        let block = heap.allocate(layout(99_000)).unwrap();
        assert!(heap.extent() <= 100_000);
        free(&mut heap, block);
        assert_eq!(program_break(), before);
    }

    pub fn pages_are_given_back() {
        const BYTES: usize = 16 << 20;
        let mut heap = Heap::<Map, TwoLevel>::new(Map::new(1 << 30));
        let small = heap.allocate(layout(100)).unwrap();
        let block = heap.allocate(layout(BYTES)).unwrap();
        // SAFETY: the block has so many bytes.
        unsafe { block.write_bytes(1, BYTES) };
        // Not the first page: when the process gives pages back for the first time, it looks whether the first one reads as zero, and the
        // look brings that page in.
        let page = block.addr().get().next_multiple_of(1 << 16) + 4096;
        let resident = || {
            let mut pages = [0_u8; 3000];
            let at = std::ptr::with_exposed_provenance_mut(page);
            // SAFETY: the range lies in the block or where it was, which stays mapped; one byte for each page is written.
            assert_eq!(unsafe { libc::mincore(at, pages.len() * 4096, pages.as_mut_ptr()) }, 0);
            pages.iter().filter(|&&page| page & 1 == 1).count()
        };
        assert_eq!(resident(), 3000);
        let extent = heap.extent();
        free(&mut heap, block);
        assert!(heap.extent() < extent - BYTES);
        assert_eq!(resident(), 0);
        // What comes again is empty.
        let block = heap.allocate(layout(BYTES)).unwrap();
        // SAFETY: the block has so many bytes, which are fresh from the system.
        assert!((4096..BYTES - 4096).step_by(509).all(|i| unsafe { block.add(i).read() } == 0));
        free(&mut heap, block);
        free(&mut heap, small);
        assert_eq!(heap.check().unwrap().used_blocks, 0);
    }
}

//! Claim: every policy in every configuration can be made by its name, and its blocks have the size that the bounds count with.

use std::alloc::Layout;
use std::collections::HashSet;

use cairn_heap::State;
use cairn_lab::policies::{HEADER, Memory, POLICIES, Policy, SETUPS, Setup};

#[test]
fn every_heap_works_and_its_blocks_have_the_size_of_the_formula() {
    for policy in POLICIES {
        for (_, setup, _) in SETUPS {
            let memory = Memory::new(4 << 20).expect("address space");
            for _ in 0..2 {
                // The second heap finds the memory as the first left it.
                let mut heap = policy.make(*setup, &memory);
                let mut blocks = Vec::new();
                for size in [0, 1, 8, 9, 15, 16, 17, 24, 25, 100, 1000, 4096, 100_000] {
                    let layout = Layout::from_size_align(size, 8).expect("small");
                    let block = heap.allocate(layout).expect("there is room");
                    let whole = heap.usable_size(block).expect("live") + HEADER;
                    let formula = setup.block_size(size);
                    // The last bytes of a piece may stay with a block, if they are too few for one of their own.
                    assert!(
                        (formula..formula + setup.smallest()).contains(&whole),
                        "{} {}: {size} takes {whole}, not {formula}",
                        policy.name,
                        setup.name()
                    );
                    assert!(block.as_ptr().addr().is_multiple_of(setup.align()));
                    assert!(memory.range().contains(&block.as_ptr().addr()));
                    blocks.push((block, layout));
                }
                let mut used = 0;
                heap.blocks(&mut |block| used += usize::from(block.state == State::Used));
                assert_eq!(used, blocks.len());
                assert_eq!(heap.check().expect("sound").used_blocks, blocks.len());
                assert!(heap.counts().searches > 0 && heap.counts().grows > 0);
                for (block, _) in blocks {
                    // SAFETY: nobody uses it.
                    unsafe { heap.free(block) }.expect("live");
                }
                assert_eq!(heap.check().expect("sound").used_blocks, 0);
            }
            assert!(memory.pages_touched() > 0);
        }
    }
}

#[test]
fn a_plain_heap_counts_nothing() {
    let memory = Memory::new(1 << 20).expect("address space");
    let mut heap = POLICIES[0].make_plain(Setup::Standard, &memory);
    heap.allocate(Layout::new::<u64>()).expect("there is room");
    assert_eq!(heap.counts().searches, 0);
}

#[test]
#[should_panic = "has a heap already"]
fn a_memory_has_one_heap_at_a_time() {
    let memory = Memory::new(1 << 20).expect("address space");
    let _first = POLICIES[0].make(Setup::Standard, &memory);
    let _second = POLICIES[0].make(Setup::Standard, &memory);
}

#[test]
fn names_are_unique_and_found() {
    let names: HashSet<&str> = POLICIES.iter().map(|policy| policy.name).collect();
    assert_eq!(names.len(), POLICIES.len());
    for policy in POLICIES {
        assert_eq!(Policy::named(policy.name).expect("known").name, policy.name);
    }
    assert!(Policy::named("fastest").expect_err("unknown").contains("there are: first-fit, "));
    for (name, setup, _) in SETUPS {
        assert_eq!((Setup::named(name).expect("known"), setup.name()), (*setup, *name));
    }
    assert!(Setup::named("").expect_err("unknown").contains("standard, deferred"));
}

//! Claim: a heap over a region is a program's global allocator: collections and threads live in it, and a fault ends the process with
//! its sentence. The program is this test itself; where the process ends, it is a child.

use std::alloc::{GlobalAlloc, Layout};
use std::collections::{BTreeMap, HashMap};
use std::process::Command;

use cairn_heap::*;

const BYTES: usize = 64 << 20;

#[repr(align(4096))]
struct Arena(#[allow(dead_code)] [u8; BYTES]);
static mut ARENA: Arena = Arena([0; BYTES]);

#[global_allocator]
static HEAP: Locked<spin::Mutex<()>, Region, TwoLevel> = Locked::new(Heap::new(
    // SAFETY: nobody else uses ARENA.
    unsafe { Region::from_raw((&raw mut ARENA).cast(), BYTES) },
));

#[test]
fn collections_and_threads_live_in_it() {
    let rounds = if cfg!(miri) { 50 } else { 20_000 };
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut names = HashMap::new();
                let mut order = BTreeMap::new();
                for i in 0..rounds {
                    names.insert(format!("{thread}-{i}"), vec![i; i % 50]);
                    order.insert(i, format!("{i}"));
                    if i % 3 == 0 {
                        names.remove(&format!("{thread}-{}", i / 2));
                    }
                }
                assert!(order.iter().all(|(key, value)| value == &key.to_string()));
                assert!(names.values().all(|list| list.iter().all(|&i| list.len() == i % 50)));
                names.len()
            })
        })
        .collect();
    let sizes: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert!(sizes.iter().all(|&size| size > rounds / 2));
    let totals = HEAP.inspect(|heap| heap.check()).unwrap();
    assert!(totals.used_blocks > 0);
}

#[test]
fn blocks_are_the_heaps() {
    let layout = Layout::from_size_align(1000, 4096).unwrap();
    // SAFETY: the layout has a size.
    let block = unsafe { HEAP.alloc_zeroed(layout) };
    let found = HEAP.inspect(|heap| heap.blocks().any(|info| info.address == block.addr()));
    assert!(found && block.addr().is_multiple_of(4096));
    // SAFETY: the block was just given.
    let moved = unsafe { HEAP.realloc(block, layout, 100_000) };
    assert!(moved.addr().is_multiple_of(4096));
    // SAFETY: the block has these bytes, zeroed where it was allocated so.
    assert!((0..1000).all(|i| unsafe { moved.add(i).read() } == 0));
    // SAFETY: the block is live.
    unsafe { HEAP.dealloc(moved, Layout::from_size_align(100_000, 4096).unwrap()) };
    // SAFETY: the layouts have sizes.
    let null = unsafe { HEAP.alloc(Layout::from_size_align(BYTES, 1).unwrap()) };
    assert!(null.is_null());
}

/// What a child does; not a test of its own.
#[test]
#[allow(clippy::undocumented_unsafe_blocks)] // faults, on purpose
fn child() {
    let Ok(fault) = std::env::var("CAIRN_TEST_FAULT") else { return };
    let layout = Layout::new::<[u64; 20]>();
    unsafe {
        let block = HEAP.alloc(layout);
        match fault.as_str() {
            "double free" => {
                HEAP.dealloc(block, layout);
                HEAP.dealloc(block, layout);
            }
            "interior" => HEAP.dealloc(block.add(16), layout),
            "foreign" => HEAP.dealloc((&raw const HEAP).cast_mut().cast(), layout),
            "overflow" => {
                let overflowed = block.add(layout.size());
                // 160 bytes, eight to the next multiple of the alignment, and there is the next block's header.
                overflowed.write_bytes(0x41, 16);
                HEAP.dealloc(block, layout);
            }
            "realloc" => {
                HEAP.realloc(block.add(32), layout, 1000);
            }
            other => panic!("no such fault: {other}"),
        }
    }
    println!("still alive");
}

#[test]
#[cfg(not(miri))]
fn a_fault_ends_the_process_with_its_sentence() {
    let sentences = [
        ("double free", "double free of 0x"),
        ("interior", "is not the beginning of a block, it is 16 bytes inside the block at 0x"),
        ("foreign", "is not a block of this heap"),
        ("overflow", "the heap is corrupted: the word at 0x"),
        ("realloc", "is not the beginning of a block, it is 32 bytes inside the block at 0x"),
    ];
    // What lies within a block, and what was overwritten, is told by the headers' check, which 32 bits don't have.
    let told = |fault| usize::BITS > 32 || ["double free", "foreign"].contains(&fault);
    for (fault, sentence) in sentences.into_iter().filter(|(fault, _)| told(fault)) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture", "--test-threads=1"])
            .env("CAIRN_TEST_FAULT", fault)
            .output()
            .unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!output.status.success(), "{fault}: {out}{err}");
        assert!(err.contains("cairn: ") && err.contains(sentence), "{fault}: {err}");
        assert!(!out.contains("still alive"), "{fault}: {out}");
    }
}

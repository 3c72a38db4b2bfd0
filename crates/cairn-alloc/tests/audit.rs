//! The audit among threads that allocate, resize, pass on and free, and that end: it must find nothing, however often it looks.

#![allow(clippy::undocumented_unsafe_blocks)] // each block is freed once, by whoever took it out of its slot

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering::*};

use cairn_alloc::{audit, engine};

static SLOTS: [AtomicPtr<u8>; 2000] = [const { AtomicPtr::new(std::ptr::null_mut()) }; 2000];
static STOP: AtomicBool = AtomicBool::new(false);

fn allocate(size: usize) -> *mut u8 {
    let block = engine::allocate_fast(size);
    if block.is_null() { engine::allocate_slow(size) } else { block }
}

fn free(block: *mut u8) {
    unsafe {
        if !block.is_null() && !engine::free_fast(block) {
            engine::free_slow(block);
        }
    }
}

fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize >> 3
}

fn some_size(state: &mut u64) -> usize {
    let bits = [6, 8, 8, 10, 12, 14, 16, 21][next(state) % 8];
    1 + next(state) % (1 << bits)
}

fn operate(state: &mut u64) {
    let slot = &SLOTS[next(state) % SLOTS.len()];
    let block = match next(state) % 6 {
        0 => engine::allocate_aligned(1 << (next(state) % 13), some_size(state)),
        1 => match slot.swap(std::ptr::null_mut(), AcqRel) {
            block if block.is_null() => block,
            block => unsafe { engine::reallocate(block, 1 + some_size(state)) },
        },
        2 => std::ptr::null_mut(),
        3 => engine::allocate_zeroed(some_size(state)),
        _ => allocate(some_size(state)),
    };
    if !block.is_null() {
        unsafe { block.write(1) };
    }
    free(slot.swap(block, AcqRel));
}

fn look() -> audit::Seen {
    audit::check().unwrap_or_else(|failure| panic!("{failure:?}"))
}

#[test]
fn a_busy_heap_is_found_whole() {
    let (steps, audits) = if cfg!(miri) { (20, 3) } else { (200, 400) };
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for seed in 1..=12u64 {
            let done = &done;
            scope.spawn(move || {
                let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                while !STOP.load(Relaxed) {
                    (0..steps).for_each(|_| operate(&mut state));
                    done.fetch_add(steps, Relaxed);
                    if seed > 8 {
                        // The thread's bins are emptied by its destructors while others look.
                        std::thread::spawn(move || (0..steps).for_each(|_| operate(&mut state)))
                            .join()
                            .unwrap();
                    }
                    if seed == 8 && next(&mut state).is_multiple_of(16) {
                        engine::trim(0);
                    }
                }
            });
        }
        let wrong =
            (0..audits).map(|_| audit::check()).find(|look| !look.as_ref().is_ok_and(|seen| !seen.alone));
        // First, since the threads are waited for in any case.
        STOP.store(true, Relaxed);
        assert_eq!(wrong, None);
    });
    assert!(done.load(Relaxed) > 0);
    let seen = look();
    assert!(seen.slabs > 3 && audit::count() > audits);
    for slot in &SLOTS {
        free(slot.swap(std::ptr::null_mut(), AcqRel));
    }
    engine::trim(0);
    assert_eq!(look().large, 0);
}

//! Bins of threads: bounds, capacities, and each block in one place.

use std::sync::atomic::AtomicUsize;

use super::{
    allocate, alone, filled_bin, free, half_free, is_whole, says_among_others, slab_of, wrong,
    wrong_among_others,
};
use crate::class::{self, SHAPES};
use crate::{bin, thread};

#[test]
fn a_bin_whose_thread_has_ended() {
    alone(|| {
        // Few, so that the array stays.
        std::thread::spawn(|| free(allocate(112))).join().expect("it ends");
        is_whole();
        let (bin, cold) = thread::damage::left_bin(class::of_size(112)).expect("it has left its heap");
        let [_, limit, base] = bin::audit::damage::fields(bin, cold);
        // SAFETY: fields of a bin that nobody uses.
        let (limit_now, base_now) = unsafe { (*limit, *base) };
        assert_eq!(limit_now, base_now);
        wrong_among_others(limit, base_now.wrapping_add(1), "has room, and its thread has ended");
    });
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
        wrong_among_others(limit, top_now.wrapping_sub(1), "holds more than it may");
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

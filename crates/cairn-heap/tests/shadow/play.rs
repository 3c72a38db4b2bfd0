//! Bytes as a program of operations: the first three choose policy, configuration and source, each operation takes up to five. Every byte
//! string is a program, and small changes make similar ones: what a fuzzer needs.

use cairn_heap::*;

use super::{Shadow, Step};

/// Alignment 8, everything given back at once, cut from the low end.
struct Small;
impl Config for Small {
    const ALIGN: usize = 8;
    const TRIM_MIN: usize = 0;
    const GROW_MIN: usize = 64;
    const CARVE: Carve = Carve::Low;
    type Meter = Tally;
}

/// Alignment 64, deferred coalescing, no small remainders.
struct Wide;
impl Config for Wide {
    const ALIGN: usize = 64;
    const SPLIT_MIN: usize = 200;
    const COALESCE: Coalesce = Coalesce::Deferred;
    const TRIM_MIN: usize = 4096;
    type Meter = ();
}

/// Runs the program, with an audit after each step.
pub fn play(bytes: &[u8]) {
    let Some((&policy, rest)) = bytes.split_first() else { return };
    match policy % 9 {
        0 => with_policy::<FirstFit>(rest),
        1 => with_policy::<FirstFitAddress>(rest),
        2 => with_policy::<NextFit>(rest),
        3 => with_policy::<BestFit>(rest),
        4 => with_policy::<WorstFit>(rest),
        5 => with_policy::<BestFitTree>(rest),
        6 => with_policy::<Segregated>(rest),
        7 => with_policy::<TwoLevel>(rest),
        _ => with_policy::<TwoLevel<2>>(rest),
    }
}

fn with_policy<P: Placement>(bytes: &[u8]) {
    let Some((&config, rest)) = bytes.split_first() else { return };
    match config % 4 {
        0 => with_config::<P, Standard>(rest),
        1 => with_config::<P, Small>(rest),
        2 => with_config::<P, Wide>(rest),
        _ => with_config::<P, Deferred>(rest),
    }
}

fn with_config<P: Placement, C: Config>(bytes: &[u8]) {
    let Some((&source, rest)) = bytes.split_first() else { return };
    let mut memory = vec![0xA5_u8; 64 << 10];
    let start = memory.as_mut_ptr();
    // SAFETY: the ranges that are named below lie in the buffer, don't overlap, and outlive the heap.
    let region = |from: usize, bytes: usize| unsafe { Region::from_raw(start.add(from), bytes) };
    let crooked = usize::from(source >> 4);
    let regions = match source % 3 {
        0 => [region(crooked, 60_000), region(0, 0), region(0, 0), region(0, 0)],
        1 => [region(40_000, 9000), region(crooked, 10_000), region(20_000, 100), region(21_000, 7001)],
        // The second one touches the first.
        _ => [region(crooked, 3000), region(crooked + 3000, 8000), region(0, 0), region(20_000, 300)],
    };
    run::<_, P, C>(Regions::new(regions), rest);
    drop(memory);
}

fn run<S: Source, P: Placement, C: Config>(source: S, bytes: &[u8]) {
    let mut shadow = Shadow::new(Heap::<S, P, C>::new(source));
    let mut bytes = bytes.iter().map(|&byte| usize::from(byte));
    while let Some(kind) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let (which, low, high) = (next(), next(), kind >> 4);
        // Sizes from 0 to 32 KiB, the small ones in single bytes, or near the greatest number.
        let size = match high {
            0..8 => low,
            8..14 => low << (high - 7),
            14 => low << 7,
            _ => usize::MAX - low,
        };
        shadow.step(match kind % 8 {
            0..3 => {
                let align_log2 = if kind & 8 != 0 { which as u32 % 14 } else { 0 };
                Step::Allocate { size, align_log2, zeroed: which & 128 != 0 }
            }
            3 | 4 => Step::Free { which },
            5 | 6 => Step::Reallocate { which, size },
            _ => Step::FreeTwice { which, inside: size },
        });
    }
    shadow.free_all();
}

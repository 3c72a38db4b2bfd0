//! Claim: under random operations, every policy on every source gives blocks that don't overlap, keep their contents, and leave a heap
//! that passes its audit after every step.

mod shadow;

use cairn_heap::*;
use shadow::{Shadow, Steps};

/// Alignment 8, the least one.
#[derive(Debug)]
struct Align8;
impl Config for Align8 {
    const ALIGN: usize = 8;
    const TRIM_MIN: usize = 0;
    const GROW_MIN: usize = 64;
    const CARVE: Carve = Carve::Low;
    type Meter = Tally;
}

/// Alignment 32, deferred coalescing.
#[derive(Debug)]
struct Align32;
impl Config for Align32 {
    const ALIGN: usize = 32;
    const SPLIT_MIN: usize = 100;
    const COALESCE: Coalesce = Coalesce::Deferred;
    type Meter = ();
}

/// Fewer where each step takes a thousand times as long.
const SEEDS: u64 = if cfg!(miri) { 1 } else { 8 };
const STEPS: usize = if cfg!(miri) { 60 } else { 1200 };

fn run<S: Source, P: Placement, C: Config>(source: S, seed: u64) {
    let mut shadow = Shadow::new(Heap::<S, P, C>::new(source));
    for step in Steps::from_seed(seed, STEPS) {
        shadow.step(step);
    }
    shadow.free_all();
}

fn region(bytes: usize) -> Region {
    Region::new(Box::leak(vec![0xA5; bytes].into_boxed_slice()))
}

/// There is one program break, and no way to move it that other threads can't come between.
static BREAK: std::sync::Mutex<()> = std::sync::Mutex::new(());

macro_rules! policies {
    ($($name:ident: $policy:ty),* $(,)?) => {$(
        mod $name {
            use super::*;

            #[test]
            fn on_a_region() {
                for seed in 0..SEEDS {
                    run::<_, $policy, Standard>(region(200_000), seed);
                    run::<_, $policy, Align8>(region(60_001), seed);
                    run::<_, $policy, Align32>(region(200_000), seed);
                    run::<_, $policy, Deferred>(region(100_000), seed);
                }
            }

            #[test]
            fn on_several_regions() {
                for seed in 0..SEEDS {
                    let regions = || Regions::new([region(30_000), region(1), region(50_003), region(0), region(40_000)]);
                    run::<_, $policy, Standard>(regions(), seed);
                    run::<_, $policy, Align8>(regions(), seed);
                    run::<_, $policy, Align32>(regions(), seed);
                }
            }

            #[cfg(all(feature = "os", not(miri)))]
            #[test]
            fn on_a_map() {
                for seed in 0..SEEDS {
                    run::<_, $policy, Standard>(Map::new(1 << 20), seed);
                    run::<_, $policy, Align8>(Map::new(300_000), seed);
                    run::<_, $policy, Align32>(Map::new(300_000), seed);
                }
            }

            #[cfg(all(feature = "os", not(miri)))]
            #[test]
            fn on_the_program_break() {
                let _alone = BREAK.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                for seed in 0..SEEDS {
                    run::<_, $policy, Standard>(Break::new(1 << 20), seed);
                    run::<_, $policy, Align8>(Break::new(300_000), seed);
                }
            }
        }
    )*};
}

policies! {
    first_fit: FirstFit,
    first_fit_address: FirstFitAddress,
    next_fit: NextFit,
    best_fit: BestFit,
    worst_fit: WorstFit,
    best_fit_tree: BestFitTree,
    segregated: Segregated,
    segregated_small: Segregated<3>,
    two_level: TwoLevel,
    two_level_small: TwoLevel<3>,
}

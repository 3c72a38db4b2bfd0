//! Runs by seed, and the comparison of the engine's count of live blocks with the shadow's.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_alloc::class::SMALL_COUNT;
use cairn_alloc::engine;
use cairn_alloc::mode::{self, Mode};

use super::door::ENGINE;
use super::{Live, Random, Shadow};

/// Tests that count live blocks run one at a time.
pub fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Live blocks and their usable bytes: small ones by usable size, large ones under 0.
type Count = BTreeMap<usize, (usize, usize)>;

fn count<'a>(blocks: impl Iterator<Item = &'a Live>) -> Count {
    let mut count = Count::new();
    for live in blocks {
        let (size, bytes) = live.counted();
        let entry = count.entry(size).or_default();
        *entry = (entry.0 + 1, entry.1 + bytes);
    }
    count
}

/// In the modes that place blocks in their own way only their number is compared.
fn as_counted(count: Count) -> Count {
    if mode::current() == Mode::Default {
        return count;
    }
    let all = count.values().map(|(blocks, _)| blocks).sum();
    BTreeMap::from([(usize::MAX, (all, 0))])
}

/// The engine counts exactly these blocks: at once, or when the thread of a test that has just ended has brought back what it held
/// (the harness doesn't wait for that). And the whole heap passes an audit.
pub fn expect_counted<'a>(blocks: impl Iterator<Item = &'a Live>) {
    expect_whole();
    let expected = as_counted(count(blocks));
    let mut counted = as_counted(counted_by_the_engine());
    for _ in 0..1000 {
        if counted == expected {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        counted = as_counted(counted_by_the_engine());
    }
    panic!("live blocks by size: the engine counts {counted:?}, the shadow {expected:?}");
}

fn counted_by_the_engine() -> Count {
    let statistics = engine::statistics();
    let small = statistics.classes[..SMALL_COUNT].iter().filter(|class| class.live_blocks > 0);
    let mut counted: Count = small
        .map(|class| (class.block_size, (class.live_blocks, class.live_blocks * class.block_size)))
        .collect();
    // Where one of up to 256 KiB lies depends on how it came to be.
    let mut others = (statistics.large_blocks, statistics.large_bytes);
    for class in &statistics.classes[SMALL_COUNT..] {
        others = (others.0 + class.live_blocks, others.1 + class.live_blocks * class.block_size);
    }
    if others != (0, 0) {
        counted.insert(0, others);
    }
    counted
}

/// So many on the machine itself; under an emulator a tenth.
pub fn steps(natively: usize) -> usize {
    if cfg!(target_arch = "x86_64") { natively } else { natively / 10 }
}

/// Random operations by this thread; the engine's count is compared throughout.
pub fn run_alone(seeds: std::ops::RangeInclusive<u64>, steps: usize) {
    let _alone = alone();
    expect_counted([].iter());
    for seed in seeds {
        let mut random = Random::from_seed(seed);
        let mut shadow = Shadow::new(&ENGINE);
        for step in 1..=steps {
            shadow.step(&mut random);
            if step % 1000 == 0 {
                expect_counted(shadow.blocks());
            }
            if step % 5000 == 0 {
                engine::trim(if random.once_in(2) { 0 } else { 1 << 20 });
            }
        }
        shadow.clear(&mut random);
        expect_counted([].iter());
    }
}

/// Four threads at a time, each with random operations; what is live when they end goes on to the next four.
pub fn run_threads(generations: u64, steps: usize) {
    let _alone = alone();
    let mut inbox: Vec<Vec<Live>> = vec![Vec::new(); 4];
    for generation in 0..generations {
        let spawn = |(i, mine): (usize, Vec<Live>)| {
            std::thread::spawn(move || {
                let mut random = Random::from_seed(0x1234_5678 + generation * 100 + i as u64);
                let mut shadow = Shadow::with(&ENGINE, mine);
                (0..steps).for_each(|_| shadow.step(&mut random));
                shadow.into_blocks()
            })
        };
        let threads: Vec<_> = inbox.into_iter().enumerate().map(spawn).collect();
        inbox = threads.into_iter().map(|thread| thread.join().expect("no thread fails")).collect();
        // The next thread gets the blocks of another one.
        inbox.rotate_left(1);
        expect_counted(inbox.iter().flatten());
    }
    let mut random = Random::from_seed(99);
    inbox.into_iter().for_each(|blocks| Shadow::with(&ENGINE, blocks).clear(&mut random));
    expect_counted([].iter());
}

/// The audit of the whole heap finds nothing.
pub fn expect_whole() {
    if let Err(failure) = cairn_alloc::audit::check() {
        panic!("{failure:?}");
    }
}

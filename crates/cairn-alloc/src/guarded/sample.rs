//! Which blocks sampled mode guards: one in `CAIRN_SAMPLE_RATE`, drawn where it costs nothing, when a bin misses.
//!
//! ```text
//!   LEFT ──── each miss subtracts the blocks that its bin fetches, at least 1 ────► below 0: this block is guarded,
//!                                                                                  LEFT = random, the rate on average
//! ```
//! So a program that takes n blocks through its bins has about n / rate of them guarded. Blocks that go round between `free` and
//! `malloc` without a miss are not counted and not drawn: the price of a fast path that knows nothing of sampling. And the block that
//! is drawn is always one that missed.

use core::sync::atomic::{AtomicIsize, AtomicU64, Ordering::Relaxed};

use crate::settings;

/// Blocks until the next one is drawn.
static LEFT: AtomicIsize = AtomicIsize::new(0);
static RANDOM: AtomicU64 = AtomicU64::new(0);

/// Draws the first block.
pub fn prepare() {
    let mut seed = [0];
    // Without random numbers the clock will do: nobody attacks by not being sampled.
    cairn_core::os::random(&mut seed);
    RANDOM.store((seed[0] ^ cairn_core::os::now_us()) | 1, Relaxed);
    LEFT.store(distance(), Relaxed);
}

/// `blocks` went by. Relaxed, as all here: who draws is as good as another.
pub fn pass(blocks: usize) {
    LEFT.fetch_sub(blocks as isize, Relaxed);
}

/// One block is wanted: whether it is drawn.
pub fn draw() -> bool {
    if LEFT.fetch_sub(1, Relaxed) > 1 {
        return false;
    }
    LEFT.store(distance(), Relaxed);
    true
}

/// A random distance to the next one: 1 to twice the rate less 1, the rate on average.
fn distance() -> isize {
    // Marsaglia's xorshift. A race of two threads gives both the same number.
    let mut random = RANDOM.load(Relaxed);
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    RANDOM.store(random, Relaxed);
    let range = 2 * settings::SAMPLE_RATE.get() as u64 - 1;
    (random % range) as isize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_the_rate_is_drawn() {
        prepare();
        let rate = settings::SAMPLE_RATE.get();
        let drawn = (0..200 * rate).filter(|_| draw()).count();
        assert!((150..=260).contains(&drawn), "{drawn} of 200");
    }
}

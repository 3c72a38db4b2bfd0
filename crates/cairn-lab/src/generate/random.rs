//! Random numbers that are the same on every machine and for ever.
//!
//! SplitMix64: one word of state that grows by a fixed odd number, and three rounds of mixing. Logarithm and
//! cosine come from `libm`, since the platform's own may differ in the last bit.

/// A source of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`, which isn't zero. The bias is below `limit / 2^64`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// A number of this range, both ends included.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A number above 0 and at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A size whose logarithm is normally distributed: half are below `median`, two thirds within a factor of
    /// e^`spread` of it.
    pub(super) fn log_normal(&mut self, median: f64, spread: f64, most: usize) -> usize {
        let radius = libm::sqrt(-2.0 * libm::log(self.unit()));
        let normal = radius * libm::cos(2.0 * std::f64::consts::PI * self.unit());
        let size = median * libm::exp(spread * normal);
        (size as usize).clamp(1, most)
    }
}

//! Where decisions come from: a seed, so that a failure can be repeated, or the bytes of a fuzzer, so that it can steer.

/// A stream of decisions.
pub struct Random {
    state: u64,
    /// What is left of the bytes.
    bytes: Option<std::vec::IntoIter<u8>>,
}

impl Random {
    /// A small generator (xorshift64*, Vigna 2016).
    pub fn from_seed(seed: u64) -> Self {
        Random { state: seed.wrapping_mul(0x9e37_79b9) | 1, bytes: None }
    }

    /// Decisions read from bytes; when they are used up each one is 0.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Random { state: 1, bytes: Some(bytes.into_iter()) }
    }

    /// Whether the bytes are used up; a seed never is.
    pub fn is_used_up(&self) -> bool {
        self.bytes.as_ref().is_some_and(|bytes| bytes.len() == 0)
    }

    fn generate(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A decision: a number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        let Some(bytes) = &mut self.bytes else { return self.idle(limit) };
        // As few bytes as make every number possible, the first one the heaviest: a small change makes a similar number.
        let count = (limit.max(2) - 1).ilog2() / 8 + 1;
        let number = (0..count).fold(0, |number, _| number << 8 | u128::from(bytes.next().unwrap_or(0)));
        ((number * u128::from(limit)) >> (8 * count)) as u64
    }

    /// A number below `limit` that decides nothing about the heap, only how closely is looked: it costs a fuzzer no byte.
    pub fn idle(&mut self, limit: u64) -> u64 {
        ((u128::from(self.generate()) * u128::from(limit)) >> 64) as u64
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == times - 1
    }

    /// Mostly small, sometimes large: log-uniform up to 2^`log2_max`.
    pub fn size(&mut self, log2_max: u64) -> usize {
        let bits = self.below(log2_max + 1);
        self.below(1 << bits) as usize
    }

    /// A large block's size, log-uniform up to 2^`log2_max`.
    pub fn large(&mut self, log2_max: u64) -> usize {
        let least = 1 << (15 + self.below(log2_max - 15));
        (least + 1 + self.below(least)) as usize
    }
}

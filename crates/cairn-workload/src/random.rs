//! Random numbers that are cheap, the same on every machine and in every run, and allocate nothing.

/// A generator with 64 bits of state (an additive counter, mixed by multiplication).
#[derive(Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Random {
        Random { state: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03 }
    }

    /// The next 64 random bits.
    #[inline(always)]
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0xA076_1D64_78BD_642F);
        let product = u128::from(self.state) * u128::from(self.state ^ 0xE703_7ED1_A0B4_28DB);
        (product >> 64) as u64 ^ product as u64
    }

    /// A number below `bound`; the tiny bias of the multiplication doesn't matter here.
    #[inline(always)]
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// A number from `low` to `high`, both included.
    #[inline(always)]
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// A number from `low` to `high` whose logarithm is evenly spread: small ones are as likely as large ones.
    pub fn between_log(&mut self, low: usize, high: usize) -> usize {
        let unit = (self.bits() >> 11) as f64 / (1u64 << 53) as f64;
        let value = low as f64 * (high as f64 / low as f64).powf(unit);
        (value as usize).clamp(low, high)
    }

    /// Brings the items into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_in_range_and_reaches_both_ends() {
        let mut random = Random::new(1);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            seen[random.between(3, 7) - 3] = true;
            let size = random.between_log(64 << 10, 8 << 20);
            assert!((64 << 10..=8 << 20).contains(&size));
        }
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn same_seed_same_numbers() {
        let (mut one, mut two, mut other) = (Random::new(7), Random::new(7), Random::new(8));
        let numbers: Vec<u64> = (0..10).map(|_| one.bits()).collect();
        assert_eq!(numbers, (0..10).map(|_| two.bits()).collect::<Vec<_>>());
        assert_ne!(numbers, (0..10).map(|_| other.bits()).collect::<Vec<_>>());
    }

    #[test]
    fn shuffle_keeps_all_items() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(3).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}

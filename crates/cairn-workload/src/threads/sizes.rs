//! A table of random sizes, made before the clock starts, for distributions that cost more to compute than a malloc.

use crate::random::Random;

/// Entries in the table; a power of two.
const ENTRIES: usize = 1 << 13;

pub(super) struct Sizes(Box<[u32; ENTRIES]>);

impl Sizes {
    /// Sizes from `smallest` to `largest` of which small ones are as likely as large ones, by their logarithm.
    pub fn log_uniform(smallest: usize, largest: usize) -> Sizes {
        let smallest = smallest.max(1);
        let largest = largest.clamp(smallest, u32::MAX as usize);
        let mut random = Random::new(0x512E5);
        let mut table = Box::new([0; ENTRIES]);
        table.fill_with(|| random.between_log(smallest, largest) as u32);
        Sizes(table)
    }

    /// One of them.
    #[inline(always)]
    pub fn pick(&self, random: &mut Random) -> usize {
        self.0[random.bits() as usize % ENTRIES] as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_doubling_gets_its_share() {
        let sizes = Sizes::log_uniform(8, 8 << 10);
        let mut counts = [0; 11];
        let mut random = Random::new(1);
        for _ in 0..10_000 {
            counts[sizes.pick(&mut random).ilog2() as usize - 3] += 1;
        }
        assert!(counts[..10].iter().all(|&count| (800..1_200).contains(&count)), "{counts:?}");
    }
}

//! Rounds over all classes, a few at a step: when one begins, and how far it is.
//!
//! A new window of the decay begins one, and so does growth, but seldom: what was free a moment ago will mostly be used again, and then each
//! hole that was given back costs two system calls' worth of time, and other CPUs an interrupt.
//!
//! Threads take steps without a lock. A race skips or repeats classes, or begins two rounds, which does no harm.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Milliseconds between two rounds that growth began.
const GROWTH_ROUND_MS: u64 = 32;

/// See the module.
pub struct Rounds {
    /// The last class.
    last: usize,
    /// The class that comes next, from the last one down; 0 if no round is under way.
    next: AtomicUsize,
    /// When growth last began one.
    grown_ms: AtomicU64,
}

impl Rounds {
    /// Over the classes from 1 up to `last`.
    pub const fn new(last: usize) -> Self {
        Rounds { last, next: AtomicUsize::new(0), grown_ms: AtomicU64::new(0) }
    }

    /// The class that comes next, of the round under way or of one that begins now; 0 if there is none.
    pub fn next(&self, new_window: bool, grew: bool, now_ms: impl FnOnce() -> u64) -> usize {
        match self.next.load(Relaxed) {
            0 if new_window || (grew && self.is_due(now_ms())) => self.last,
            next => next,
        }
    }

    /// A step is over, and so many classes are left.
    pub fn leave(&self, next: usize) {
        self.next.store(next, Relaxed);
    }

    /// Whether growth may begin another round.
    fn is_due(&self, now_ms: u64) -> bool {
        let due = now_ms.saturating_sub(self.grown_ms.load(Relaxed)) >= GROWTH_ROUND_MS;
        if due {
            self.grown_ms.store(now_ms, Relaxed);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAST: usize = 81;

    /// How many rounds of one step each begin, if the heap grows a thousand times, at each of these milliseconds.
    fn rounds_begun(rounds: &Rounds, ms: core::ops::Range<u64>) -> usize {
        let growths = ms.flat_map(|now_ms| core::iter::repeat_n(now_ms, 1000));
        growths
            .filter(|&now_ms| {
                let begun = rounds.next(false, true, || now_ms) > 0;
                rounds.leave(0);
                begun
            })
            .count()
    }

    #[test]
    fn growth_begins_a_round_at_once_and_then_seldom() {
        let rounds = Rounds::new(LAST);
        assert_eq!(rounds_begun(&rounds, 5000..5001), 1);
        assert_eq!(rounds_begun(&rounds, 5001..5000 + GROWTH_ROUND_MS), 0);
        let begun = rounds_begun(&rounds, 6000..7000);
        assert!((10..100).contains(&begun), "{begun} rounds in a second of growth");
        // A clock that goes back begins none until it has come as far again.
        assert_eq!(rounds_begun(&rounds, 100..200), 0);
    }

    #[test]
    fn a_window_begins_a_round_whenever_it_comes() {
        let rounds = Rounds::new(LAST);
        assert_eq!(rounds_begun(&rounds, 5000..5001), 1);
        assert_eq!(rounds.next(true, false, || unreachable!()), LAST);
    }

    #[test]
    fn without_a_reason_none_begins() {
        assert_eq!(Rounds::new(LAST).next(false, false, || 5000), 0);
    }

    #[test]
    fn one_under_way_goes_on_where_it_was() {
        let rounds = Rounds::new(LAST);
        rounds.leave(LAST / 2);
        for (new_window, grew) in [(false, false), (true, false), (false, true), (true, true)] {
            assert_eq!(rounds.next(new_window, grew, || 5000), LAST / 2);
        }
    }
}

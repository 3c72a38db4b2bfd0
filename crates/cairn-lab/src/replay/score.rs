//! The score of the malloc-lab courses.
//!
//! ```text
//!   score = 100 · ( w · U + (1 - w) · min(1, T / R) )
//! ```
//! U is the utilisation, T the throughput in operations a second; w is 0.6 and R, the throughput from which on being
//! faster earns nothing, is 600,000 operations a second, as in the original driver. On a machine of today R is within reach of
//! any policy that doesn't search long: to tell fast policies apart, raise it.

use serde::Serialize;

/// The constants of the formula.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// w: what utilisation counts, from 0 to 1.
    pub weight: f64,
    /// R: operations a second that earn all of the throughput's part.
    pub reference: f64,
}

impl Default for Score {
    fn default() -> Score {
        Score { weight: 0.6, reference: 600_000.0 }
    }
}

impl Score {
    /// The score, from 0 to 100, of a utilisation from 0 to 1 and a throughput in operations a second.
    pub fn of(&self, utilisation: f64, throughput: f64) -> f64 {
        100.0 * (self.weight * utilisation + (1.0 - self.weight) * (throughput / self.reference).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula() {
        let score = Score::default();
        assert!((score.of(1.0, 600_000.0) - 100.0).abs() < 1e-9);
        assert!((score.of(0.9, 6e9) - 94.0).abs() < 1e-9, "throughput is capped");
        assert!((score.of(0.5, 300_000.0) - 50.0).abs() < 1e-9);
        let other = Score { weight: 0.25, reference: 1e6 };
        assert!((other.of(0.8, 5e5) - (20.0 + 37.5)).abs() < 1e-9);
    }
}

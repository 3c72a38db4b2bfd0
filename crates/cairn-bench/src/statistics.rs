//! The few statistics that the tables need.
//!
//! All of them ignore order and refuse an empty slice by returning `None`, so that "no run survived" can't
//! turn into a zero that looks like a very good result.

use serde::{Deserialize, Serialize};

/// What is kept of one quantity over all runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The middle value; the mean of the two middle ones if their number is even.
    pub median: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
}

impl Summary {
    /// Summarises the values; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Summary> {
        let min = values.iter().copied().reduce(f64::min)?;
        let max = values.iter().copied().reduce(f64::max)?;
        Some(Summary { median: median(values)?, min, max })
    }

    /// The distance between the largest and the smallest value, as a share of the median: 0.05 is 5 %.
    pub fn spread(&self) -> f64 {
        if self.median == 0.0 { 0.0 } else { (self.max - self.min) / self.median }
    }
}

/// The middle value; the mean of the two middle ones if the number of values is even.
pub fn median(values: &[f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    Some(if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 })
}

/// The n-th root of the product, computed by logarithms so that many small ratios don't underflow.
/// `None` if there is no value or one of them is not positive: such a mean has no meaning.
pub fn geometric_mean(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|&value| value.is_nan() || value <= 0.0) {
        return None;
    }
    let logarithms: f64 = values.iter().map(|value| value.ln()).sum();
    Some((logarithms / values.len() as f64).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_even_and_unsorted() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(&[7.0]), Some(7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_disturbed_run_does_not_move_the_median() {
        assert_eq!(median(&[1.0, 1.1, 50.0, 1.2, 1.05]), Some(1.1));
    }

    #[test]
    fn geometric_mean_is_symmetric_in_ratios() {
        let mean = geometric_mean(&[2.0, 0.5]).unwrap();
        assert!((mean - 1.0).abs() < 1e-12, "{mean}");
        let mean = geometric_mean(&[1.0, 10.0, 100.0]).unwrap();
        assert!((mean - 10.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn geometric_mean_of_many_small_values_does_not_underflow() {
        let mean = geometric_mean(&[1e-200; 50]).unwrap();
        assert!((mean / 1e-200 - 1.0).abs() < 1e-9, "{mean}");
    }

    #[test]
    fn geometric_mean_refuses_what_has_none() {
        assert_eq!(geometric_mean(&[]), None);
        assert_eq!(geometric_mean(&[1.0, 0.0]), None);
        assert_eq!(geometric_mean(&[1.0, -2.0]), None);
        assert_eq!(geometric_mean(&[f64::NAN]), None);
    }

    #[test]
    fn summary_and_spread() {
        let summary = Summary::of(&[2.0, 1.0, 4.0]).unwrap();
        assert_eq!(summary, Summary { median: 2.0, min: 1.0, max: 4.0 });
        assert_eq!(summary.spread(), 1.5);
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[0.0, 0.0]).unwrap().spread(), 0.0);
    }
}

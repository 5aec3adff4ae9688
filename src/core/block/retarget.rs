//! Adjustment of the block difficulty as the reference's package has it (`proto/blocks.md`, section
//! 4.3). Nothing calls it: the difficulty in force is a constant of the rule set. It is kept so
//! that the vectors of these functions are checked and a later rule set can name it.
//!
//! Bounds: 21 and 41 samples.

use std::collections::VecDeque;

/// Samples of the median.
const MEDIAN_SAMPLES: usize = 21;
/// Which of the sorted samples counts as the median: one above the middle.
const MEDIAN_AT: usize = MEDIAN_SAMPLES / 2 + 1;
/// Samples of the moving average.
const AVERAGE_SAMPLES: u32 = 41;
/// Periods after which the difficulty has halved.
const HALF_LIFE: f64 = 100.0;

/// The filter behind [`Retarget::adjust`]: a median, then a weighted moving average of the medians.
#[derive(Debug, Clone, PartialEq)]
pub struct Retarget {
    recent: VecDeque<f64>,
    medians: VecDeque<f64>,
    total: f64,
    weighted: f64,
}

impl Default for Retarget {
    fn default() -> Self {
        Self {
            recent: vec![1.0; MEDIAN_SAMPLES].into(),
            medians: vec![1.0; AVERAGE_SAMPLES as usize].into(),
            total: f64::from(AVERAGE_SAMPLES),
            weighted: weight_sum(),
        }
    }
}

/// 1 + 2 + … + 41.
fn weight_sum() -> f64 {
    f64::from(AVERAGE_SAMPLES * (AVERAGE_SAMPLES + 1) / 2)
}

impl Retarget {
    /// The next reciprocal after a period that took `actual` instead of `expected` minutes.
    #[must_use]
    pub fn adjust(&mut self, reciprocal: f64, expected: f64, actual: f64) -> f64 {
        let median = self.median((expected / actual * reciprocal).max(1.0));
        self.average(median).max(1.0)
    }

    fn median(&mut self, sample: f64) -> f64 {
        self.recent.pop_front();
        self.recent.push_back(sample);
        let mut sorted: Vec<f64> = self.recent.iter().copied().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.get(MEDIAN_AT).copied().unwrap_or(sample)
    }

    /// The newest sample weighs 41, the one before 40, and so on: each step takes one share of
    /// everything held away and adds the new sample in full.
    fn average(&mut self, sample: f64) -> f64 {
        self.weighted += f64::from(AVERAGE_SAMPLES) * sample - self.total;
        self.total += sample - self.medians.pop_front().unwrap_or(1.0);
        self.medians.push_back(sample);
        self.weighted / weight_sum()
    }
}

/// The reciprocal after a period without a block.
#[must_use]
pub fn decay(reciprocal: f64) -> f64 {
    let rate = std::f64::consts::LN_2 / HALF_LIFE;
    (reciprocal - rate * reciprocal).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_high_samples_do_not_move_the_median_but_the_tenth_does() {
        let mut filter = Retarget::default();
        for _ in 0..9 {
            assert!((filter.adjust(100.0, 1.0, 1.0) - 1.0).abs() < 1e-12);
        }
        assert!(filter.adjust(100.0, 1.0, 1.0) > 1.0);
    }

    #[test]
    fn a_hundred_periods_halve_the_difficulty_about() {
        let mut reciprocal = 1000.0;
        for _ in 0..100 {
            reciprocal = decay(reciprocal);
        }
        assert!((reciprocal - 500.0).abs() < 2.0);
        assert!((decay(1.0) - 1.0).abs() < f64::EPSILON);
    }
}

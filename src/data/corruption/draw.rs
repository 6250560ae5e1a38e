//! An image's own value out of a span. One that is fixed costs no random number, so that a span
//! leaves the noise of a config without spans as it is.

use rand::RngExt;

use crate::config::corruption::Span;
use crate::system::random::Stream;

impl Span<f64> {
    /// Uniform between the ends.
    pub(super) fn draw(self, stream: &mut Stream) -> f64 {
        if !self.is_drawn() {
            return self.low;
        }
        self.low + (self.high - self.low) * stream.random::<f64>()
    }
}

impl Span<usize> {
    /// Every whole number is equally likely, both ends too.
    pub(super) fn draw(self, stream: &mut Stream) -> usize {
        if !self.is_drawn() {
            return self.low;
        }
        stream.random_range(self.low..=self.high)
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::data::corruption::testing::{assert_mean, some_stream};

    #[test]
    fn a_fixed_value_takes_nothing_from_the_stream() {
        let (mut used, mut fresh) = (some_stream(0), some_stream(0));
        assert!((Span::of(0.3).draw(&mut used) - 0.3).abs() < f64::EPSILON);
        assert_eq!(Span::of(7).draw(&mut used), 7);
        assert_eq!(used.next_u64(), fresh.next_u64());
    }

    #[test]
    fn numbers_lie_in_their_span_with_the_mean_and_deviation_of_a_uniform_one() {
        let span = Span { low: 0.2, high: 0.8 };
        let drawn: Vec<f64> = (0..10_000).map(|index| span.draw(&mut some_stream(index))).collect();
        assert!(drawn.iter().all(|&value| (0.2..=0.8).contains(&value)));
        let deviation = 0.6 / 12_f64.sqrt();
        assert_mean(&drawn, 0.5, deviation);
        let squares: Vec<f64> = drawn.iter().map(|value| (value - 0.5).powi(2)).collect();
        // The fourth central moment of a uniform number is its variance squared times 9/5.
        assert_mean(&squares, deviation.powi(2), deviation.powi(2) * 0.8_f64.sqrt());
    }

    #[test]
    fn whole_numbers_are_equally_likely_and_both_ends_occur() {
        let span = Span { low: 3, high: 6 };
        let mut counts = [0.0; 4];
        for index in 0..10_000 {
            counts[span.draw(&mut some_stream(index)) - 3] += 1.0;
        }
        // A binomial count of 2500; four standard errors.
        let error = (10_000.0 * 0.25 * 0.75_f64).sqrt();
        assert!(
            counts.iter().all(|count: &f64| (count - 2500.0).abs() < 4.0 * error),
            "{counts:?}"
        );
    }
}

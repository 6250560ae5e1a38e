//! Shot noise: an image of few photons.

use rand_distr::{self, Distribution};

use super::clip;
use crate::config::corruption::Poisson;
use crate::system::random::Stream;

impl Poisson {
    pub(super) fn apply(&self, values: &mut [f32], stream: &mut Stream) {
        let peak = self.peak.draw(stream);
        for value in values.iter_mut() {
            *value = (photons(f64::from(*value) * peak, stream) / peak) as f32;
        }
        clip(values, self.clip);
    }
}

/// How many arrive where so many are expected: none where an earlier kind left a negative value.
fn photons(expected: f64, stream: &mut Stream) -> f64 {
    rand_distr::Poisson::new(expected).map_or(0.0, |poisson| poisson.sample(stream))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{assert_moments, corrupted, corrupted_flats};

    fn poisson(peak: f64, clip: bool) -> CorruptionKind {
        CorruptionKind::Poisson(Poisson { peak: Span::of(peak), clip, drawn: Drawn::defaults() })
    }

    #[test]
    fn photons_are_whole_and_have_the_moments_of_a_poisson_number() {
        // Below and above 12, where the generator takes another way.
        for (peak, value) in [(4.0, 0.5_f32), (30.0, 0.25), (30.0, 0.75), (1000.0, 0.5)] {
            let expected = peak * f64::from(value);
            let counts = corrupted_flats(&poisson(peak, false), value, 300);
            let counts: Vec<f64> = counts.iter().map(|value| value * peak).collect();
            assert!(counts.iter().all(|count| (count - count.round()).abs() < 1e-3));
            assert_moments(&counts, expected, expected, 1.0 / expected);
        }
    }

    /// The whole distribution, not its moments alone, against probabilities by the book.
    #[test]
    fn every_count_is_as_frequent_as_the_formula_says() {
        for expected in [3.0, 20.0] {
            let counts = corrupted_flats(&poisson(2.0 * expected, false), 0.5, 300);
            let total = counts.len() as f64;
            let mut probability = f64::exp(-expected);
            for count in 0..40 {
                let near = |value: f64| (value * 2.0 * expected - f64::from(count)).abs() < 0.5;
                let seen = counts.iter().filter(|&&value| near(value)).count() as f64;
                let error = (total * probability * (1.0 - probability)).sqrt();
                // The Gaussian bar holds where some are expected; elsewhere few may come.
                let bar = 4.5 * error.max(1.0);
                assert!((seen - total * probability).abs() < bar, "{count}: {seen}");
                probability *= expected / f64::from(count + 1);
            }
        }
    }

    #[test]
    fn black_stays_black_and_negative_values_become_black() {
        let values = corrupted(&poisson(30.0, false), &[0.0, -0.5, -0.0, 0.0], [2, 2, 1], 0);
        assert_eq!(values, [0.0; 4]);
    }

    #[test]
    fn clipping_keeps_white_from_becoming_more_than_white() {
        let free = corrupted_flats(&poisson(10.0, false), 1.0, 1);
        assert!(free.iter().any(|&value| value > 1.0));
        let clipped = corrupted_flats(&poisson(10.0, true), 1.0, 1);
        let expected: Vec<f64> = free.iter().map(|value| value.min(1.0)).collect();
        assert_eq!(clipped, expected);
    }
}

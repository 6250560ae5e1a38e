//! Additive normal noise, as in the tutorial.

use rand_distr::{Distribution, StandardNormal};

use super::clip;
use crate::config::corruption::Gaussian;
use crate::system::random::Stream;

impl Gaussian {
    pub(super) fn apply(&self, values: &mut [f32], stream: &mut Stream) {
        // The factor is small, and f32 is what Keras computes in.
        let factor = self.factor.draw(stream) as f32;
        for value in values.iter_mut() {
            let normal: f32 = StandardNormal.sample(stream);
            *value += factor * normal;
        }
        clip(values, self.clip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{Corruption, CorruptionKind, Drawn, Resample, Span};
    use crate::data::corruption::Split;
    use crate::data::corruption::testing::{assert_mean, assert_moments, corrupted_flats};

    const FACTOR: f64 = 0.5;

    fn gaussian(factor: Span<f64>, clip: bool, resample: Resample) -> CorruptionKind {
        CorruptionKind::Gaussian(Gaussian { factor, clip, drawn: Drawn { resample } })
    }

    #[test]
    fn noise_has_the_mean_and_deviation_that_were_asked_for() {
        let free = gaussian(Span::of(FACTOR), false, Resample::Never);
        assert_moments(&corrupted_flats(&free, 0.5, 1000), 0.5, FACTOR * FACTOR, 0.0);
    }

    #[test]
    fn clipping_keeps_values_within_black_and_white() {
        let values = corrupted_flats(&gaussian(Span::of(FACTOR), true, Resample::Never), 0.5, 1);
        assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
        assert!(values.contains(&0.0) && values.contains(&1.0));
        let free = corrupted_flats(&gaussian(Span::of(FACTOR), false, Resample::Never), 0.5, 1);
        assert!(free.iter().any(|&value| value < 0.0) && free.iter().any(|&value| value > 1.0));
    }

    #[test]
    fn each_image_draws_a_deviation_of_its_own_from_a_span() {
        let span = Span { low: 0.1, high: 0.3 };
        let values = corrupted_flats(&gaussian(span, false, Resample::Never), 0.5, 1000);
        let deviations: Vec<f64> = (values.chunks(784))
            .map(|image| image.iter().map(|value| (value - 0.5).powi(2)).sum::<f64>())
            .map(|squares| (squares / 784.0).sqrt())
            .collect();
        assert_mean(&deviations, 0.2, 0.2 / 12_f64.sqrt());
        // 784 numbers tell a deviation to a fortieth of it, so six of those are never reached.
        assert!(deviations.iter().all(|deviation| (0.08..0.35).contains(deviation)));
        assert!(deviations.iter().any(|&deviation| deviation < 0.12));
        assert!(deviations.iter().any(|&deviation| deviation > 0.28));
    }

    /// Bits of values 0, 1, 2 and 783 of a flat image, written down before there was any other
    /// kind: checkpoints and seeds of then must give the same images.
    #[test]
    fn noise_is_bit_for_bit_what_it_always_was() {
        for (clip, resample, split, bits) in [
            (
                false,
                Resample::Never,
                Split::Train,
                [0x3f71_7c72, 0x3f36_4e93, 0xbe12_4880, 0x3e41_8552_u32],
            ),
            (
                true,
                Resample::Epoch,
                Split::Train,
                [0x3f80_0000, 0x3f41_430e, 0x3ed5_aa96, 0x3e0c_b77e],
            ),
            (
                false,
                Resample::Epoch,
                Split::Test,
                [0x3eb4_4d51, 0x3f0a_6619, 0x3f32_6c20, 0xbea1_655e],
            ),
        ] {
            let corruption = Corruption(vec![gaussian(Span::of(FACTOR), clip, resample)]);
            let mut values = vec![0.5; 784];
            corruption.apply(&mut values, [28, 28, 1], 7, split, 3, 5);
            assert_eq!([0, 1, 2, 783].map(|i: usize| values[i].to_bits()), bits);
        }
    }
}

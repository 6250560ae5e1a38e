//! Multiplicative noise, as of coherent light: it grows with the value, and black stays black.

use rand_distr::{Distribution, StandardNormal};

use super::clip;
use crate::config::corruption::Speckle;
use crate::system::random::Stream;

impl Speckle {
    pub(super) fn apply(&self, values: &mut [f32], stream: &mut Stream) {
        let factor = self.factor.draw(stream) as f32;
        for value in values.iter_mut() {
            let normal: f32 = StandardNormal.sample(stream);
            *value += factor * normal * *value;
        }
        clip(values, self.clip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{assert_moments, corrupted_flats};

    fn speckle(clip: bool) -> CorruptionKind {
        let factor = Span::of(0.4);
        CorruptionKind::Speckle(Speckle { factor, clip, drawn: Drawn::defaults() })
    }

    #[test]
    fn the_deviation_is_the_factor_times_the_value() {
        for value in [0.25_f32, 0.5, 1.0] {
            let mean = f64::from(value);
            let values = corrupted_flats(&speckle(false), value, 300);
            assert_moments(&values, mean, (0.4 * mean).powi(2), 0.0);
        }
    }

    #[test]
    fn black_stays_black() {
        assert!(corrupted_flats(&speckle(false), 0.0, 1).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn clipping_changes_only_what_lies_outside() {
        let free = corrupted_flats(&speckle(false), 0.9, 1);
        assert!(free.iter().any(|&value| value > 1.0));
        let clipped: Vec<f64> = free.iter().map(|value| value.clamp(0.0, 1.0)).collect();
        assert_eq!(corrupted_flats(&speckle(true), 0.9, 1), clipped);
    }
}

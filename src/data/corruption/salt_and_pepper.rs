//! Dead pixels: all channels of a hit pixel turn white or black together.

use rand::RngExt;

use crate::config::corruption::SaltAndPepper;
use crate::system::random::Stream;

impl SaltAndPepper {
    pub(super) fn apply(
        &self,
        values: &mut [f32],
        [_, _, channels]: [usize; 3],
        stream: &mut Stream,
    ) {
        let hit = self.amount.draw(stream);
        let white = hit * self.salt.draw(stream);
        for pixel in values.chunks_exact_mut(channels) {
            // One number decides both: below `white` white, from there to `hit` black.
            let chance: f64 = stream.random();
            if chance < hit {
                pixel.fill(if chance < white { 1.0 } else { 0.0 });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::corruption::{CorruptionKind, Drawn, Span};
    use crate::config::schema::Section;
    use crate::data::corruption::testing::{
        assert_moments, corrupted, corrupted_flats, random_image,
    };

    fn salt_and_pepper(amount: f64, salt: f64) -> CorruptionKind {
        let (amount, salt) = (Span::of(amount), Span::of(salt));
        CorruptionKind::SaltAndPepper(SaltAndPepper { amount, salt, drawn: Drawn::defaults() })
    }

    /// Independent yeses and noes with this chance.
    fn assert_chance(hits: &[bool], chance: f64) {
        let numbers: Vec<f64> = hits.iter().map(|&hit| f64::from(u8::from(hit))).collect();
        let variance = chance * (1.0 - chance);
        assert_moments(&numbers, chance, variance, (1.0 - 6.0 * variance) / variance);
    }

    #[test]
    fn the_shares_of_white_and_black_pixels_are_those_that_were_asked_for() {
        let values = corrupted_flats(&salt_and_pepper(0.2, 0.3), 0.5, 300);
        let are = |wanted: f64| -> Vec<bool> {
            values.iter().map(|value| (value - wanted).abs() < 1e-9).collect()
        };
        assert_chance(&are(1.0), 0.2 * 0.3);
        assert_chance(&are(0.0), 0.2 * 0.7);
        assert_chance(&are(0.5), 0.8);
    }

    #[test]
    fn a_colour_pixel_is_hit_as_a_whole_or_left_as_it_was() {
        let shape = [16, 16, 3];
        let clean = random_image(shape, 0);
        let dirty = corrupted(&salt_and_pepper(0.5, 0.5), &clean, shape, 0);
        let mut kinds = [0; 3];
        for (clean, dirty) in clean.chunks(3).zip(dirty.chunks(3)) {
            let kind = [&[0.0; 3][..], &[1.0; 3], clean].iter().position(|&known| dirty == known);
            kinds[kind.expect("black, white or untouched")] += 1;
        }
        assert!(kinds.iter().all(|&count| count > 20), "{kinds:?}");
    }

    #[test]
    fn amounts_of_nothing_and_of_everything_are_taken_at_their_word() {
        let clean = random_image([8, 8, 1], 1);
        assert_eq!(corrupted(&salt_and_pepper(0.0, 0.5), &clean, [8, 8, 1], 0), clean);
        assert_eq!(corrupted(&salt_and_pepper(1.0, 1.0), &clean, [8, 8, 1], 0), [1.0; 64]);
        assert_eq!(corrupted(&salt_and_pepper(1.0, 0.0), &clean, [8, 8, 1], 0), [0.0; 64]);
    }
}

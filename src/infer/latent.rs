//! Codes that nobody encoded: a grid over a plane, a walk between two codes, and draws from the standard normal
//! distribution, which the codes of a variational autoencoder follow.

use rand_distr::{Distribution as _, StandardNormal};

use crate::system::random::{Purpose, stream};

/// How far Keras's example reaches from 0, to both sides.
pub const SCALE: f32 = 1.0;
/// Codes of a walk, with both ends.
pub const STEPS: usize = 10;

/// `side * side` codes of two values between `-scale` and `scale`, row after row: the first grows from left to
/// right, the second from the lowest row to the highest. Source: the variational autoencoder of Keras's examples,
/// `plot_latent_space`.
#[must_use]
pub fn plane(side: usize, scale: f32) -> Vec<f32> {
    let last = side.saturating_sub(1).max(1) as f32;
    let at = |place: usize| scale * (2.0 * place as f32 / last - 1.0);
    let row = |row: usize| (0..side).flat_map(move |column| [at(column), at(side - 1 - row)]);
    (0..side).flat_map(row).collect()
}

/// [`STEPS`] codes in equal distances on the line between two, which are the first and the last.
#[must_use]
pub fn walk([from, to]: [&[f32]; 2]) -> Vec<f32> {
    let step = |step: usize| {
        let share = step as f32 / (STEPS - 1) as f32;
        from.iter().zip(to).map(move |(from, to)| from * (1.0 - share) + to * share)
    };
    (0..STEPS).flat_map(step).collect()
}

/// So many codes of `length` values, drawn from the seed.
#[must_use]
pub fn draws(count: usize, length: usize, seed: u64) -> Vec<f32> {
    let mut stream = stream(seed, Purpose::Codes, 0, 0);
    (0..count * length).map(|_| StandardNormal.sample(&mut stream)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_has_its_corners_where_keras_draws_them() {
        let plane = plane(3, 2.0);
        assert_eq!(plane.len(), 18);
        let corners = [0, 2, 6, 8].map(|code| [plane[2 * code], plane[2 * code + 1]]);
        assert_eq!(corners, [[-2.0, 2.0], [2.0, 2.0], [-2.0, -2.0], [2.0, -2.0]]);
        assert_eq!(plane[8..10], [0.0, 0.0]);
    }

    #[test]
    fn a_walk_begins_and_ends_at_its_codes() {
        let walk = walk([&[1.0, -3.0], &[10.0, 6.0]]);
        assert_eq!((&walk[..2], &walk[18..], walk.len()), (&[1.0, -3.0][..], &[10.0, 6.0][..], 20));
        assert!((walk[2] - 2.0).abs() < 1e-6 && (walk[3] + 2.0).abs() < 1e-6);
    }

    #[test]
    fn draws_are_standard_normal_and_the_same_for_a_seed() {
        let values = draws(5000, 2, 7);
        assert_eq!(values, draws(5000, 2, 7));
        assert_ne!(values, draws(5000, 2, 8));
        let mean = values.iter().sum::<f32>() / 1e4;
        let square = values.iter().map(|value| value * value).sum::<f32>() / 1e4;
        assert!(mean.abs() < 0.05 && (square - 1.0).abs() < 0.05, "{mean}, {square}");
    }
}

//! Which part of an image a sample is: all of it, or a patch, perhaps mirrored and turned. Pure in
//! (seed, epoch, sample).

use rand::RngExt;

use super::Draw;
use super::target::Target;
use crate::config::data::{Patches, Place, Resize};
use crate::data::corruption::Split;
use crate::formats::image_file::Samples;
use crate::system::random::{Purpose, stream};

/// How samples are taken from an image.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cut {
    /// One, the whole image; resized where its size differs.
    Whole(Option<Resize>),
    /// Patches of the model's size.
    Patches(Patches),
}

/// One sample's place in its image: first it is cut, then mirrored, then turned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Spot {
    top: usize,
    left: usize,
    /// Left to right.
    mirrored: bool,
    /// Quarter turns against the clock, as NumPy's `rot90` counts.
    turns: u8,
}

impl Cut {
    /// Samples of an image of that height and width; 0 where it is too small.
    pub(super) fn count(&self, size: [usize; 2], patch: [usize; 2]) -> usize {
        match self {
            Self::Whole(_) => 1,
            Self::Patches(_) if size[0] < patch[0] || size[1] < patch[1] => 0,
            Self::Patches(patches) => match patches.on {
                Place::Grid => along(patches, size, patch, 0) * along(patches, size, patch, 1),
                Place::Random => patches.per_image.unwrap_or(1),
            },
        }
    }

    /// Whether a training sample is another one in each epoch.
    pub(super) fn draws(&self) -> bool {
        match self {
            Self::Whole(_) => false,
            Self::Patches(patches) => {
                patches.on == Place::Random || patches.flips || patches.rotations
            }
        }
    }

    /// The place of an image's sample number `number`, which is `sample` of all. Rows and columns at which
    /// it begins are multiples of `steps`, which divide the sides of image and patch.
    pub(super) fn spot(
        &self,
        draw: Draw,
        (sample, number): (usize, usize),
        [size, patch]: [[usize; 2]; 2],
        steps: [usize; 2],
    ) -> Spot {
        let Self::Patches(patches) = self else { return Spot::default() };
        // The test set is the same in every epoch.
        let (purpose, epoch) = match draw.split {
            Split::Train => (Purpose::TrainPatches, draw.epoch),
            Split::Test => (Purpose::TestPatches, 0),
        };
        let mut stream = stream(draw.seed, purpose, epoch, sample as u64);
        let (top, left) = match patches.on {
            Place::Grid => {
                let (top, left) = on_grid(patches, number, size, patch);
                (top / steps[0] * steps[0], left / steps[1] * steps[1])
            }
            Place::Random => {
                let mut at = |axis: usize| {
                    stream.random_range(0..=(size[axis] - patch[axis]) / steps[axis]) * steps[axis]
                };
                (at(0), at(1))
            }
        };
        let varied = draw.split == Split::Train;
        let mirrored = varied && patches.flips && stream.random_bool(0.5);
        let turns = if varied && patches.rotations { stream.random_range(0..4) } else { 0 };
        Spot { top, left, mirrored, turns }
    }
}

/// Patches along a side of the image, which is at least as long as the patch's.
fn along(patches: &Patches, size: [usize; 2], patch: [usize; 2], axis: usize) -> usize {
    (size[axis] - patch[axis]).div_ceil(patches.stride.unwrap_or(patch[axis])) + 1
}

/// Row by row; the last of a row or column ends where the image does.
fn on_grid(
    patches: &Patches,
    number: usize,
    size: [usize; 2],
    patch: [usize; 2],
) -> (usize, usize) {
    let columns = along(patches, size, patch, 1);
    let at = |axis: usize, number: usize| {
        (number * patches.stride.unwrap_or(patch[axis])).min(size[axis] - patch[axis])
    };
    (at(0, number / columns), at(1, number % columns))
}

impl Spot {
    /// The same place on the clean image, mirrored and turned alike.
    pub(super) fn on_clean(self, target: &Target) -> Self {
        let (top, left) = (target.on_clean(0, self.top), target.on_clean(1, self.left));
        Self { top, left, ..self }
    }

    /// Appends the sample's values in 0..1: `shape` is the sample's, `width` the image's.
    pub(super) fn push(
        self,
        samples: &Samples,
        width: usize,
        shape: [usize; 3],
        to: &mut Vec<f32>,
    ) {
        let [height, _, channels] = shape;
        if !self.mirrored && self.turns == 0 {
            let row = shape[1] * channels;
            for y in 0..height {
                let start = ((self.top + y) * width + self.left) * channels;
                samples.push_scaled(start..start + row, to);
            }
            return;
        }
        for y in 0..height {
            for x in 0..shape[1] {
                let (y, x) = self.source(y, x, shape);
                let start = ((self.top + y) * width + self.left + x) * channels;
                samples.push_scaled(start..start + channels, to);
            }
        }
    }

    /// The pixel of the patch that lands on (y, x). Only squares are turned.
    fn source(self, y: usize, x: usize, [height, width, _]: [usize; 3]) -> (usize, usize) {
        let (y, x) = match self.turns {
            0 => (y, x),
            1 => (x, width - 1 - y),
            2 => (height - 1 - y, width - 1 - x),
            _ => (height - 1 - x, y),
        };
        (y, if self.mirrored { width - 1 - x } else { x })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: [usize; 2] = [4, 4];

    fn patches(on: Place) -> Patches {
        Patches { on, size: None, stride: None, per_image: None, flips: false, rotations: false }
    }

    fn draw(split: Split, epoch: u64) -> Draw {
        Draw { seed: 5, split, epoch }
    }

    /// Where the patches of a grid begin.
    fn grid(patches: Patches, size: [usize; 2]) -> Vec<(usize, usize)> {
        let cut = Cut::Patches(patches);
        let spot = |number| cut.spot(draw(Split::Test, 0), (number, number), [size, PATCH], [1, 1]);
        (0..cut.count(size, PATCH)).map(spot).map(|spot| (spot.top, spot.left)).collect()
    }

    #[test]
    fn a_grid_takes_all_of_the_image_and_ends_where_it_does() {
        assert_eq!(grid(patches(Place::Grid), [4, 4]), [(0, 0)]);
        assert_eq!(grid(patches(Place::Grid), [8, 8]), [(0, 0), (0, 4), (4, 0), (4, 4)]);
        assert_eq!(
            grid(patches(Place::Grid), [5, 10]),
            [(0, 0), (0, 4), (0, 6), (1, 0), (1, 4), (1, 6)]
        );
        let overlapping = Patches { stride: Some(3), ..patches(Place::Grid) };
        assert_eq!(grid(overlapping, [4, 9]), [(0, 0), (0, 3), (0, 5)]);
        assert!(grid(patches(Place::Grid), [3, 10]).is_empty());
    }

    #[test]
    fn random_patches_reach_every_place_equally_often() {
        let cut = Cut::Patches(patches(Place::Random));
        let mut counts = [0_u32; 12];
        for sample in 0..12_000 {
            let spot = cut.spot(draw(Split::Train, 1), (sample, 0), [[6, 7], PATCH], [1, 1]);
            counts[spot.top * 4 + spot.left] += 1;
        }
        // 1000 each, with a standard deviation of 30; five of those.
        assert!(counts.iter().all(|count| (850..=1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn training_patches_are_drawn_anew_each_epoch_and_test_patches_never() {
        let all = Patches { flips: true, rotations: true, ..patches(Place::Random) };
        let cut = Cut::Patches(all);
        let spots = |split, epoch| -> Vec<Spot> {
            let sizes = [[40, 40], PATCH];
            (0..20).map(|i| cut.spot(draw(split, epoch), (i, 0), sizes, [1, 1])).collect()
        };
        assert_eq!(spots(Split::Train, 1), spots(Split::Train, 1));
        assert_ne!(spots(Split::Train, 1), spots(Split::Train, 2));
        assert_eq!(spots(Split::Test, 1), spots(Split::Test, 2));
        assert!(spots(Split::Test, 1).iter().all(|spot| !spot.mirrored && spot.turns == 0));
        for turns in 0..4 {
            assert!(spots(Split::Train, 1).iter().any(|spot| spot.turns == turns));
        }
    }

    #[test]
    fn a_patch_is_mirrored_and_then_turned_against_the_clock() {
        // numpy: rot90([[1, 2], [3, 4]]) is [[2, 4], [1, 3]].
        let image = Samples::Eight(vec![0, 0, 0, 0, 1, 2, 0, 3, 4]);
        let seen = |mirrored, turns| {
            let spot = Spot { top: 1, left: 1, mirrored, turns };
            let mut values = Vec::new();
            spot.push(&image, 3, [2, 2, 1], &mut values);
            values.iter().map(|value| (value * 255.0).round() as u8).collect::<Vec<u8>>()
        };
        assert_eq!(seen(false, 0), [1, 2, 3, 4]);
        assert_eq!(seen(false, 1), [2, 4, 1, 3]);
        assert_eq!(seen(false, 2), [4, 3, 2, 1]);
        assert_eq!(seen(false, 3), [3, 1, 4, 2]);
        assert_eq!(seen(true, 0), [2, 1, 4, 3]);
        assert_eq!(seen(true, 1), [1, 3, 2, 4]);
        let mut colour = Vec::new();
        let pixels = Samples::Sixteen((0..12).map(|value| value * 1000).collect());
        let spot = Spot { mirrored: true, ..Spot::default() };
        spot.push(&pixels, 2, [2, 2, 3], &mut colour);
        assert_eq!(colour[..3], [3000.0 / 65_535.0, 4000.0 / 65_535.0, 5000.0 / 65_535.0]);
    }
}

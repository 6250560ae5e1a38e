//! How values become the model's, and back: `(value - offset) / factor`. The numbers come from the config, are
//! measured once on the training images, or on each image by itself.

use crate::config::data::{Data, Measured, Per, Scale};
use crate::formats::image_file::{ImageProblem, Samples};
use crate::system::exit::UsageError;

/// Values of which percentiles are found, at most; of more, every so manyth is taken. The rank of a percentile
/// of so many is known to 0.003 percent.
const MOST_SAMPLED: usize = 1 << 22;

/// From values to the model's: `(value - offset) / factor`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// The value that becomes 0.
    pub offset: f64,
    /// The distance that becomes 1, above 0.
    pub factor: f64,
}

impl Affine {
    /// Leaves values as they are.
    pub const UNIT: Self = Self { offset: 0.0, factor: 1.0 };

    /// Values to the model's.
    pub fn apply(self, values: &mut [f32]) {
        if self != Self::UNIT {
            for value in values {
                *value = ((f64::from(*value) - self.offset) / self.factor) as f32;
            }
        }
    }

    /// One of the model's values back to its own unit.
    #[must_use]
    pub fn undone(self, value: f32) -> f32 {
        if self == Self::UNIT {
            value
        } else {
            (f64::from(value) * self.factor + self.offset) as f32
        }
    }

    /// The model's values back to their own unit.
    pub fn undo(self, values: &mut [f32]) {
        if self != Self::UNIT {
            for value in values {
                *value = self.undone(*value);
            }
        }
    }
}

/// Which values of some images lie beyond 0..1.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beyond {
    /// Of what the corruption sees.
    pub seen: bool,
    /// Of what the model should give.
    pub given: bool,
    /// Of the same once it is scaled, as the loss sees it.
    pub targets: bool,
}

impl Beyond {
    /// By the least and the greatest value of what is seen and of what should be given.
    pub fn of([seen, given]: [[f32; 2]; 2], affine: Affine) -> Self {
        let beyond = |[low, high]: [f32; 2]| low < 0.0 || high > 1.0;
        let mut scaled = given;
        affine.apply(&mut scaled);
        Self { seen: beyond(seen), given: beyond(given), targets: beyond(scaled) }
    }

    /// Of all images, by those of each.
    pub fn of_all(each: impl Iterator<Item = Self>) -> Self {
        each.fold(Self::default(), |all, one| Self {
            seen: all.seen || one.seen,
            given: all.given || one.given,
            targets: all.targets || one.targets,
        })
    }
}

/// What is looked for among values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Measure {
    /// Nothing: values stay as they are.
    Unit,
    /// The least and the greatest become 0 and 1.
    Range,
    /// Two percentiles become 0 and 1.
    Percentile([f64; 2]),
    /// The mean becomes 0, a standard deviation 1.
    MeanStd,
}

/// What a config says about values, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// Nothing: values stay as they are, and have to lie in 0..1.
    Unset,
    /// The same for all images.
    Set(Measure, Affine),
    /// The same for all images, and yet to be measured.
    Unmeasured(Measure),
    /// Each image by itself.
    EachImage(Measure),
}

/// Why there is no scale for some values: all of them are this one.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("all values are {0}")]
pub struct Constant(pub f32);

impl Measure {
    fn of(scale: &Scale) -> Self {
        match scale {
            Scale::Unit(_) => Self::Unit,
            Scale::Range(_) => Self::Range,
            Scale::Percentile(own) => Self::Percentile([own.low, own.high]),
            Scale::MeanStd(_) => Self::MeanStd,
        }
    }

    /// What people see of values beyond 0..1, as 0 to 1: what the scale brings there, or of a mean three
    /// standard deviations on either side.
    #[must_use]
    pub fn shown(self, Affine { offset, factor }: Affine) -> Affine {
        match self {
            Self::MeanStd => Affine { offset: offset - 3.0 * factor, factor: 6.0 * factor },
            Self::Unit | Self::Range | Self::Percentile(_) => Affine { offset, factor },
        }
    }
}

impl Scaling {
    /// As a config says it.
    #[must_use]
    pub fn of(data: &Data) -> Self {
        let Some(scale) = data.scale() else { return Self::Unset };
        let measure = Measure::of(scale);
        let Some(Measured { per, offset, factor }) = scale.measured() else {
            return Self::Set(measure, Affine::UNIT);
        };
        match (per, offset, factor) {
            (Per::Image, ..) => Self::EachImage(measure),
            (Per::Set, Some(offset), Some(factor)) => {
                Self::Set(measure, Affine { offset: *offset, factor: *factor })
            }
            (Per::Set, ..) => Self::Unmeasured(measure),
        }
    }

    /// As the config of a trained model says it.
    ///
    /// # Errors
    /// When its numbers are missing, which a training writes.
    pub fn of_trained(data: &Data) -> Result<Self, UsageError> {
        match Self::of(data) {
            Self::Unmeasured(_) => Err(UsageError(
                "data.scale has no offset and factor, which are measured in training and kept in its \
                 checkpoint; give those of the training with --set data.scale.offset=NUMBER and --set \
                 data.scale.factor=NUMBER"
                    .to_owned(),
            )),
            known => Ok(known),
        }
    }

    /// What is to be measured.
    #[must_use]
    pub fn measure(self) -> Measure {
        match self {
            Self::Unset => Measure::Unit,
            Self::Set(measure, _) | Self::Unmeasured(measure) | Self::EachImage(measure) => measure,
        }
    }

    /// What makes all images the model's; nothing where each has its own.
    pub(super) fn of_set(self) -> Affine {
        match self {
            Self::Set(_, affine) => affine,
            Self::Unset | Self::Unmeasured(_) | Self::EachImage(_) => Affine::UNIT,
        }
    }

    /// The model's values as people see them where no image is known that they are of: in units of white where the
    /// scale lies within 0..1, else with what the scale brings to 0..1 there.
    pub fn show(self, values: &mut [f32]) {
        let (measure, known) = match self {
            Self::Unset => return,
            Self::Set(measure, affine) => (measure, Some(affine)),
            Self::Unmeasured(measure) | Self::EachImage(measure) => (measure, None),
        };
        match known {
            Some(affine) if affine.offset >= 0.0 && affine.offset + affine.factor <= 1.0 => {
                affine.undo(values);
            }
            _ => measure.shown(Affine::UNIT).apply(values),
        }
    }

    /// For the model's samples out of an array, each of so many values, and the results that the model gives.
    ///
    /// # Errors
    /// As [`of_image`](Self::of_image), with the sample's number.
    pub fn of_samples(self, values: &[f32], each: usize) -> Result<Vec<Affine>, String> {
        let of_one = |(index, values): (usize, &[f32])| match self {
            // Arrays were always taken as they are.
            Self::Unset => Ok(Affine::UNIT),
            known => known
                .of_image(&Samples::Float(values.to_vec()))
                .map_err(|problem| format!("sample {index}: {problem}")),
        };
        values.chunks_exact(each.max(1)).enumerate().map(of_one).collect()
    }

    /// For the values of one whole image.
    ///
    /// # Errors
    /// Where nothing is set and it has values beyond 0..1, or where it is measured and constant.
    pub fn of_image(self, samples: &Samples) -> Result<Affine, ImageProblem> {
        match self {
            Self::Unset => samples.check_unit().map(|()| Affine::UNIT),
            Self::Set(_, affine) => Ok(affine),
            Self::Unmeasured(_) => Ok(Affine::UNIT),
            Self::EachImage(measure) => {
                let found = Statistics::of(measure, samples, MOST_SAMPLED);
                found.affine().map_err(|Constant(value)| ImageProblem::Constant(value))
            }
        }
    }
}

/// What is known of some values.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    measure: Measure,
    range: [f32; 2],
    count: f64,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
    /// Some of the values of each image, for percentiles.
    sampled: Vec<Sampled>,
}

/// Some values of an image, each of which stands for `weight` of its values, 1 at least.
#[derive(Debug, Clone)]
struct Sampled {
    weight: f32,
    values: Vec<f32>,
}

impl Statistics {
    /// Of an image's values, keeping `most` of them at most.
    pub fn of(measure: Measure, samples: &Samples, most: usize) -> Self {
        /// Values that are looked at together.
        const AT_ONCE: usize = 1 << 16;
        let (length, mut part) = (samples.len(), Vec::new());
        // An odd step does not meet the same columns in every row.
        let step = length.div_ceil(most.max(1)) | 1;
        let (mut all, mut kept) = (Self::nothing(measure), Vec::new());
        for start in (0..length).step_by(AT_ONCE) {
            part.clear();
            samples.push_scaled(start..(start + AT_ONCE).min(length), &mut part);
            all.add(&Self::of_part(measure, &part));
            if let Measure::Percentile(_) = measure {
                let first = start.next_multiple_of(step) - start;
                kept.extend(part.iter().skip(first).step_by(step));
            }
        }
        if !kept.is_empty() {
            let weight = length as f32 / kept.len() as f32;
            all.sampled.push(Sampled { weight, values: kept });
        }
        all
    }

    fn nothing(measure: Measure) -> Self {
        let range = [f32::INFINITY, f32::NEG_INFINITY];
        Self { measure, range, count: 0.0, mean: 0.0, squares: 0.0, sampled: Vec::new() }
    }

    fn of_part(measure: Measure, values: &[f32]) -> Self {
        let widened = |[low, high]: [f32; 2], &value: &f32| [low.min(value), high.max(value)];
        let range = values.iter().fold([f32::INFINITY, f32::NEG_INFINITY], widened);
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum();
        Self { measure, range, count, mean, squares, sampled: Vec::new() }
    }

    /// Takes further values in. Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance",
    /// 1983, formula 2.1.
    pub fn add(&mut self, other: &Self) {
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        self.squares += other.squares + apart * apart * self.count * other.count / count;
        self.mean += apart * other.count / count;
        self.count = count;
        self.range = [self.range[0].min(other.range[0]), self.range[1].max(other.range[1])];
        self.sampled.extend_from_slice(&other.sampled);
    }

    /// The scale that follows.
    pub fn affine(self) -> Result<Affine, Constant> {
        let [low, high] = self.range;
        let [low, high] = match self.measure {
            Measure::Unit => return Ok(Affine::UNIT),
            Measure::Range => [low, high].map(f64::from),
            Measure::Percentile(percents) => percentiles(&self.sampled, percents),
            Measure::MeanStd => [self.mean, self.mean + (self.squares / self.count).sqrt()],
        };
        let affine = Affine { offset: low, factor: high - low };
        if affine.factor > 0.0 { Ok(affine) } else { Err(Constant(low as f32)) }
    }
}

/// As NumPy's `percentile` has them of all values, of which some stand for the rest.
fn percentiles(sampled: &[Sampled], percents: [f64; 2]) -> [f64; 2] {
    if sampled.windows(2).all(|two| two[0].weight.to_bits() == two[1].weight.to_bits()) {
        let mut values: Vec<f32> = sampled.iter().flat_map(|some| &some.values).copied().collect();
        return percents.map(|percent| percentile(&mut values, percent));
    }
    let with_weight = |some: &'_ Sampled| {
        let weight = some.weight;
        some.values.iter().map(move |&value| (value, weight)).collect::<Vec<_>>()
    };
    let mut values: Vec<(f32, f32)> = sampled.iter().flat_map(with_weight).collect();
    values.sort_unstable_by(|(one, _), (other, _)| one.total_cmp(other));
    percents.map(|percent| weighted_percentile(&values, percent))
}

/// Of values that all count alike: between two values linear.
fn percentile(values: &mut [f32], percent: f64) -> f64 {
    let place = percent / 100.0 * (values.len() as f64 - 1.0);
    let (below, part) = (place.floor() as usize, place.fract());
    let (_, &mut value, above) = values.select_nth_unstable_by(below, f32::total_cmp);
    let next = above.iter().copied().min_by(f32::total_cmp).unwrap_or(value);
    f64::from(value) + part * (f64::from(next) - f64::from(value))
}

/// Of values in order with their weights: each has the middle of the ranks of those that it stands for.
fn weighted_percentile(values: &[(f32, f32)], percent: f64) -> f64 {
    let total: f64 = values.iter().map(|&(_, weight)| f64::from(weight)).sum();
    let rank = percent / 100.0 * (total - 1.0);
    let (mut before, mut last) = (0.0, None);
    for (value, weight) in
        values.iter().map(|&(value, weight)| (f64::from(value), f64::from(weight)))
    {
        let place = before + (weight - 1.0) / 2.0;
        match last {
            _ if place < rank => {}
            None => return value,
            Some((at, below)) => return below + (rank - at) / (place - at) * (value - below),
        }
        before += weight;
        last = Some((place, value));
    }
    last.map_or(f64::NAN, |(_, value)| value)
}

/// How many values of each of so many images are kept for percentiles.
pub(super) fn sampled_of_each(images: usize) -> usize {
    (MOST_SAMPLED / images.max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn affine(measure: Measure, values: &[f32]) -> Result<Affine, Constant> {
        Statistics::of(measure, &Samples::Float(values.to_vec()), MOST_SAMPLED).affine()
    }

    fn of(offset: f64, factor: f64) -> Affine {
        Affine { offset, factor }
    }

    #[test]
    fn each_kind_finds_its_numbers() {
        let values = [3.0, -1.0, 7.0, 1.0, 0.0];
        assert_eq!(affine(Measure::Range, &values), Ok(of(-1.0, 8.0)));
        assert_eq!(affine(Measure::Unit, &values), Ok(Affine::UNIT));
        // numpy.percentile([3, -1, 7, 1, 0], [10, 90]) is [-0.6, 5.4].
        let found = affine(Measure::Percentile([10.0, 90.0]), &values).unwrap();
        assert!((found.offset + 0.6).abs() < 1e-12 && (found.factor - 6.0).abs() < 1e-12);
        // numpy.mean is 2, numpy.std is sqrt(8).
        let found = affine(Measure::MeanStd, &values).unwrap();
        assert!(
            (found.offset - 2.0).abs() < 1e-12 && (found.factor - 8.0_f64.sqrt()).abs() < 1e-12
        );
        for measure in [Measure::Range, Measure::Percentile([0.1, 99.9]), Measure::MeanStd] {
            assert_eq!(affine(measure, &[2.5; 100]), Err(Constant(2.5)));
        }
    }

    #[test]
    fn many_values_with_a_large_mean_keep_their_deviation() {
        let values: Vec<f32> = (0..200_000).map(|i| 10_000.0 + (i % 5) as f32).collect();
        let found = affine(Measure::MeanStd, &values).unwrap();
        assert!(
            (found.offset - 10_002.0).abs() < 1e-9 && (found.factor - 2.0_f64.sqrt()).abs() < 1e-9
        );
    }

    #[test]
    fn percentiles_of_some_values_are_near_those_of_all() {
        let values = Samples::Float((0..500_000).map(|i| (i % 1000) as f32).collect());
        let measure = Measure::Percentile([1.0, 99.0]);
        let found = Statistics::of(measure, &values, 10_000);
        assert!((9_000..=10_000).contains(&found.sampled[0].values.len()), "{found:?}");
        let found = found.affine().unwrap();
        assert!(
            (found.offset - 9.99).abs() < 1.0 && (found.factor - 979.0).abs() < 2.0,
            "{found:?}"
        );
    }

    #[test]
    fn each_value_of_a_set_counts_alike_whatever_the_size_of_its_image() {
        // A large image of 0 to 0.999, and fifty small ones of 10, which are a 21st of all values.
        let measure = Measure::Percentile([1.0, 95.0]);
        let large = Samples::Float((0..100_000).map(|i| (i % 1000) as f32 / 1000.0).collect());
        let small = Statistics::of(measure, &Samples::Float(vec![10.0; 100]), 1000);
        let mut all = Statistics::of(measure, &large, 1000);
        for _ in 0..50 {
            all.add(&small);
        }
        let found = all.affine().unwrap();
        // numpy.percentile(all, [1, 95]) is [0.01, 0.997].
        assert!((found.offset - 0.01).abs() < 2e-3, "{found:?}");
        assert!((found.offset + found.factor - 0.997).abs() < 2e-3, "{found:?}");
    }

    #[test]
    fn a_weighted_percentile_is_that_of_each_value_so_many_times() {
        // Of [1, 1, 1, 2, 5, 5, 5] the values have the ranks 0 to 2, 3, and 4 to 6, whose middles are 1, 3 and 5.
        let values = [(1.0, 3.0), (2.0, 1.0), (5.0, 3.0)];
        for (percent, wanted) in [(0.0, 1.0), (50.0, 2.0), (100.0, 5.0), (200.0 / 6.0, 1.5)] {
            let found = weighted_percentile(&values, percent);
            assert!((found - wanted).abs() < 1e-9, "{percent}: {found}");
        }
        let alike: Vec<(f32, f32)> = [-1.0, 0.0, 1.0, 3.0, 7.0].map(|value| (value, 1.0)).into();
        // numpy.percentile([3, -1, 7, 1, 0], [10, 90]) is [-0.6, 5.4].
        assert!((weighted_percentile(&alike, 10.0) + 0.6).abs() < 1e-12);
        assert!((weighted_percentile(&alike, 90.0) - 5.4).abs() < 1e-12);
    }

    #[test]
    fn what_is_scaled_and_undone_is_what_it_was() {
        let scale = of(-37.25, 1234.5);
        let values: Vec<f32> = (0..65_536).map(|i| i as f32 / 65_535.0).collect();
        let mut there = values.clone();
        scale.apply(&mut there);
        scale.undo(&mut there);
        let far = there.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 1e-4, "{far}");
        let scale = of(0.1, 0.4);
        let mut there = values.clone();
        scale.apply(&mut there);
        scale.undo(&mut there);
        let back: Vec<u32> = there.iter().map(|v| (v * 65_535.0).round() as u32).collect();
        assert_eq!(back, (0..65_536).collect::<Vec<_>>());
    }
}

//! What the noise of a set of images is like, put together from what each of them tells.

use super::blocks::{Shade, Strength, median, strength};
use super::correlation::{Correlation, REACH, correlation};
use super::plane::Plane;

/// The flattest blocks of an image without noise have a weak rest of texture and of compression. On the 68
/// photographs of BSD68 that is 0.3 of 255 at most high frequencies (median; largest 2.2) and 0.8 in all
/// (largest 5.2). Noise counts from about there, as a share of the range that the values use.
const WORTH: f64 = 2.5 / 255.0;
/// The same of noise that is not independent, of which the high frequencies tell little.
const WORTH_STRUCTURED: f64 = 5.0 / 255.0;
/// From this correlation of neighbours on, noise is not independent; texture at weak noise reaches 0.1.
const CORRELATED: f64 = 0.15;
/// And so far it reaches from there. The mean that is taken from each block takes a fifth from all correlations: the mean of
/// 3x3 pixels has 0.67 and 0.33, of which 0.55 and 0.18 are found.
const CORRELATED_STILL: f64 = 0.08;
/// A correlation that goes on at least so far in one direction, and twice as strongly as in the other, is one
/// of whole rows or columns.
const GOES_ON: f64 = 0.06;
/// Offsets of rows or columns count from this share of the noise on.
const OFFSETS: f64 = 0.2;
/// Noise grows with brightness where its deviation does by this factor, from the dark to the bright shades.
const GROWS: f64 = 1.4;
/// And where brightness explains its variance as well as this (Pearson's correlation).
const EXPLAINED: f64 = 0.6;
/// From this share of blocks on in which noise is cut off at an end of the range, it counts as clipped: twelve pages of
/// text with noise of 51 of 255 have it in 0.77 (median), photographs with 25 of 255 in 0.16, with 50 in 0.47.
const CLIPPED: f64 = 0.6;

/// How the noise of neighbouring pixels hangs together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Not at all.
    Independent,
    /// Along rows: each has an offset of its own, or streaks.
    Rows,
    /// Down columns.
    Columns,
    /// Within a block of this height and width.
    Block([usize; 2]),
}

/// Deviations of the noise in the dark and in the bright parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// At the brightness that a tenth of the flat blocks do not reach.
    pub dark: f64,
    /// At the brightness that a tenth exceed.
    pub bright: f64,
}

/// The noise of a set; deviations are in the unit of its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// Standard deviation of all of it: the median over the images.
    pub deviation: f64,
    /// The smallest and the largest of the images' own.
    pub between: [f64; 2],
    /// Whether neighbours are independent.
    pub structure: Structure,
    /// Autocorrelation of neighbours in a row and in a column.
    pub neighbours: [f64; 2],
    /// Standard deviation of offsets that whole rows have in common, and whole columns.
    pub offsets: [f64; 2],
    /// Where it grows with brightness.
    pub growth: Option<Growth>,
    /// Whether much of it is cut off at black or white.
    pub is_clipped: bool,
    /// What it has even in the quietest parts, where images without noise have nearly none.
    floor: f64,
}

impl Noise {
    /// The noise of images of the same unit; `None` where none has room for a block that is not saturated.
    #[must_use]
    pub fn of(planes: &[Plane]) -> Option<Self> {
        let told: Vec<(Strength, Correlation)> = planes.iter().filter_map(told).collect();
        (!told.is_empty()).then(|| Self::put_together(&told))
    }

    fn put_together(told: &[(Strength, Correlation)]) -> Self {
        let middle = |figure: &dyn Fn(&(Strength, Correlation)) -> f64| {
            median(told.iter().map(figure).collect())
        };
        let correlation = typical(told);
        let offsets = [middle(&|(_, c)| c.row_offsets), middle(&|(_, c)| c.column_offsets)];
        let structure = structure(&correlation, offsets);
        let independent = structure == Structure::Independent;
        let own = |told: &(Strength, Correlation)| own(structure, told);
        let quietest = |(strength, _): &(Strength, Correlation)| {
            let variance = |shade: &Shade| if independent { shade.variance } else { shade.total };
            let least = strength.shades.iter().map(variance).min_by(f64::total_cmp);
            least.map_or(strength.deviation, f64::sqrt)
        };
        let all = told.iter().map(own);
        // Texture adds to what is measured, noise is everywhere: of structured noise the quiet images tell more.
        let rank = if independent { 2 } else { 4 };
        let mut deviations: Vec<f64> = all.collect();
        deviations.sort_by(f64::total_cmp);
        let between = [deviations[0], deviations[deviations.len() - 1]];
        Self {
            deviation: deviations[deviations.len() / rank],
            between,
            structure,
            neighbours: [correlation.in_rows[0], correlation.in_columns[0]],
            offsets,
            growth: independent.then(|| growth(told)).flatten(),
            is_clipped: middle(&|(strength, _)| strength.clipped) > CLIPPED,
            floor: middle(&quietest),
        }
    }

    /// The deviation of the noise of one image, measured as that of the set; `None` where it cannot be told.
    #[must_use]
    pub fn deviation_in(&self, plane: &Plane) -> Option<f64> {
        told(plane).map(|told| own(self.structure, &told))
    }

    /// Whether it is worth removing from values that use so much of their unit.
    #[must_use]
    pub fn is_worth_removing(&self, span: f64) -> bool {
        let least = match self.structure {
            Structure::Independent => WORTH,
            _ => WORTH_STRUCTURED,
        };
        let brightest = self.growth.map_or(0.0, |growth| growth.bright / 2.0);
        self.floor.max(brightest) > least * span
    }
}

fn told(plane: &Plane) -> Option<(Strength, Correlation)> {
    Some((strength(plane)?, correlation(plane).unwrap_or_default()))
}

/// The high frequencies tell of independent noise best, and of other noise a part only.
fn own(structure: Structure, (strength, correlation): &(Strength, Correlation)) -> f64 {
    let with = |offsets: f64| strength.deviation.hypot(offsets).max(correlation.deviation);
    match structure {
        Structure::Independent => strength.deviation,
        // The flattest blocks have the weakest offsets, and the high frequencies none.
        Structure::Rows => with(correlation.row_offsets),
        Structure::Columns => with(correlation.column_offsets),
        Structure::Block(_) => correlation.deviation,
    }
}

/// The correlations of the quarter of the images that are quietest, where texture has the smallest part.
fn typical(told: &[(Strength, Correlation)]) -> Correlation {
    let mut all: Vec<&Correlation> = told.iter().map(|(_, correlation)| correlation).collect();
    all.sort_by(|a, b| a.deviation.total_cmp(&b.deviation));
    all.truncate(all.len().div_ceil(4));
    let middle = |figure: &dyn Fn(&Correlation) -> f64| {
        median(all.iter().map(|&correlation| figure(correlation)).collect())
    };
    Correlation {
        deviation: middle(&|c| c.deviation),
        in_rows: std::array::from_fn(|lag| middle(&|c| c.in_rows[lag])),
        in_columns: std::array::from_fn(|lag| middle(&|c| c.in_columns[lag])),
        row_offsets: middle(&|c| c.row_offsets),
        column_offsets: middle(&|c| c.column_offsets),
    }
}

fn structure(correlation: &Correlation, offsets: [f64; 2]) -> Structure {
    let Correlation { deviation, in_rows, in_columns, .. } = correlation;
    let far = |lags: &[f64; REACH]| lags[REACH / 2..].iter().sum::<f64>() / (REACH / 2) as f64;
    let [along, down] = [far(in_rows), far(in_columns)];
    let common = |offsets: f64| offsets > OFFSETS * deviation;
    let long = |this: f64, other: f64| this > GOES_ON && this > 2.0 * other;
    let strong = |lags: &[f64; REACH]| lags[0] > CORRELATED;
    if long(along, down) && (common(offsets[0]) || strong(in_rows)) {
        return Structure::Rows;
    }
    if long(down, along) && (common(offsets[1]) || strong(in_columns)) {
        return Structure::Columns;
    }
    match [reach(in_columns), reach(in_rows)] {
        [0, 0] => Structure::Independent,
        [height, width] => Structure::Block([2 * height + 1, 2 * width + 1]),
    }
}

/// How far a correlation reaches, in pixels.
fn reach(lags: &[f64; REACH]) -> usize {
    if lags[0] <= CORRELATED {
        return 0;
    }
    lags.iter().take_while(|&&correlation| correlation > CORRELATED_STILL).count()
}

/// The line of variance over brightness (Foi et al., "Practical Poissonian-Gaussian noise modeling and fitting for
/// single-image raw-data", IEEE TIP 2008), where it rises.
fn growth(told: &[(Strength, Correlation)]) -> Option<Growth> {
    let mut shades: Vec<Shade> =
        told.iter().flat_map(|(strength, _)| &strength.shades).copied().collect();
    shades.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let count = shades.len() as f64;
    let mean = |figure: fn(&Shade) -> f64| shades.iter().map(figure).sum::<f64>() / count;
    let centre = [mean(|shade| shade.mean), mean(|shade| shade.variance)];
    let sum = |product: &dyn Fn(f64, f64) -> f64| {
        let part = |shade: &Shade| product(shade.mean - centre[0], shade.variance - centre[1]);
        shades.iter().map(part).sum::<f64>()
    };
    let [xx, xy, yy] = [sum(&|x, _| x * x), sum(&|x, y| x * y), sum(&|_, y| y * y)];
    if shades.len() < 4 || xx <= 0.0 || yy <= 0.0 || xy < EXPLAINED * (xx * yy).sqrt() {
        return None;
    }
    let least = shades.iter().map(|shade| shade.variance).fold(f64::INFINITY, f64::min);
    let deviation = |place: usize| {
        let variance = centre[1] + xy / xx * (shades[place].mean - centre[0]);
        variance.max(least).sqrt()
    };
    let (dark, bright) =
        (deviation(shades.len() / 10), deviation(shades.len() - 1 - shades.len() / 10));
    (bright > GROWS * dark).then_some(Growth { dark, bright })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::survey::testing::{blurred, offsets, scene, white};

    /// Noise of this strength on a few scenes, in units of 255.
    fn found(noise: impl Fn(u64, &Plane) -> Vec<f32>) -> Noise {
        let image = |index| {
            let plane = scene(index);
            let pairs = plane.values.iter().zip(noise(index, &plane));
            Plane { values: pairs.map(|(value, noise)| value + noise).collect(), ..plane }
        };
        Noise::of(&(0..6).map(image).collect::<Vec<Plane>>()).unwrap()
    }

    #[test]
    fn the_strength_of_independent_noise_is_found_within_a_tenth() {
        for sigma in [5.0, 10.0, 25.0, 50.0] {
            let noise = found(|index, plane| white(index, plane, sigma));
            let [low, high] = noise.between;
            let far = (noise.deviation / f64::from(sigma) - 1.0).abs();
            assert!(far < 0.05, "{sigma}: {noise:?}");
            assert!(low > 0.9 * f64::from(sigma) && high < 1.1 * f64::from(sigma), "{noise:?}");
            assert_eq!((noise.structure, noise.growth), (Structure::Independent, None));
            assert!(noise.is_worth_removing(255.0) && !noise.is_clipped);
        }
    }

    #[test]
    fn images_without_noise_have_none_that_is_worth_removing() {
        let noise = found(|_, plane| vec![0.0; plane.values.len()]);
        assert!(!noise.is_worth_removing(255.0), "{noise:?}");
        let weak = found(|index, plane| white(index, plane, 1.0));
        assert!(!weak.is_worth_removing(255.0) && weak.is_worth_removing(50.0), "{weak:?}");
    }

    #[test]
    fn noise_of_rows_of_columns_and_of_blocks_is_told_apart() {
        let all = |index, plane: &Plane| white(index, plane, 10.0);
        let both = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(b).map(|(a, b)| a + b).collect();
        for sigma in [6.0, 15.0] {
            let rows = found(|i, plane| both(all(i, plane), offsets(i, plane, sigma)));
            assert_eq!(rows.structure, Structure::Rows, "{rows:?}");
            assert!((rows.offsets[0] / f64::from(sigma) - 1.0).abs() < 0.15, "{rows:?}");
            let whole = f64::from(sigma).hypot(10.0);
            assert!((rows.deviation / whole - 1.0).abs() < 0.15, "{rows:?}");
            let columns = found(|i, plane| {
                let turned = offsets(i, &plane.transposed(), sigma);
                let (height, width) = (plane.width, plane.height);
                both(all(i, plane), Plane { height, width, values: turned }.transposed().values)
            });
            assert_eq!(columns.structure, Structure::Columns, "{columns:?}");
        }
        for sigma in [10.0, 25.0] {
            let block = found(|index, plane| blurred(index, plane, sigma));
            assert_eq!(block.structure, Structure::Block([5, 5]), "{block:?}");
            assert!((block.deviation / f64::from(sigma) - 1.0).abs() < 0.2, "{block:?}");
            assert!(block.is_worth_removing(255.0));
        }
    }

    #[test]
    fn noise_that_grows_with_brightness_is_found_to_grow() {
        // Of 30 photons at white the deviation is 255 / sqrt(30) there, and less by the root of the brightness.
        let noise = found(|index, plane| {
            let white = white(index, plane, 1.0).into_iter();
            white.zip(&plane.values).map(|(n, v)| n * 255.0 * (v / 255.0 / 30.0).sqrt()).collect()
        });
        let growth = noise.growth.unwrap_or_else(|| panic!("{noise:?}"));
        assert!(growth.dark < 30.0 && growth.bright > 30.0, "{growth:?}");
        assert_eq!(noise.structure, Structure::Independent);
    }

    #[test]
    fn noise_that_is_cut_off_at_white_is_found_nearly_as_strong_as_it_was() {
        let page = |index| {
            let mut page = scene(index);
            for value in &mut page.values {
                *value = if *value > 80.0 { 255.0 } else { 0.0 };
            }
            let noise = white(index, &page, 40.0);
            for (value, noise) in page.values.iter_mut().zip(noise) {
                *value = (*value + noise).clamp(0.0, 255.0);
            }
            page
        };
        let noise = Noise::of(&(0..4).map(page).collect::<Vec<Plane>>()).unwrap();
        assert!(noise.is_clipped && (noise.deviation / 40.0 - 1.0).abs() < 0.15, "{noise:?}");
    }

    #[test]
    fn a_single_colour_and_an_image_of_a_few_pixels_tell_nothing() {
        let flat = |side| Plane { height: side, width: side, values: vec![7.0; side * side] };
        assert_eq!(Noise::of(&[flat(64)]), None);
        assert_eq!(
            Noise::of(&[Plane { values: (0..49).map(|i| i as f32).collect(), ..flat(7) }]),
            None
        );
        assert_eq!(Noise::of(&[]), None);
    }
}

//! Images to images: fitted to the model, cut into tiles, computed in batches of tiles of one size.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::augment::UPRIGHT;
use super::canvas::Tile;
use super::engines::Engines;
use super::tiles::{Fit, Side};
use crate::data::{Affine, Scaling};
use crate::engine::Pending;
use crate::formats::image_file::{ImageFile, Orientation, Walk};
use crate::nn::Parameters;
use crate::plan::Plan;
use crate::system::exit::UsageError;
use crate::system::ranks::cores;

/// Values that go through the model at once, at most, unless one tile has more.
const BATCH_VALUES: usize = 1 << 20;
/// The same in tiles.
const BATCH_TILES: usize = 128;

/// A model that takes images of any size.
#[derive(Debug)]
pub struct TiledPredictor<'a> {
    /// What sizes the model can take.
    fit: Fit<'a>,
    /// Computes images of each of them.
    engines: Engines,
    /// Channels of the images that go in, and of those that come out.
    channels: [usize; 2],
    /// Whether a grey model takes the channels of a coloured image one by one.
    per_channel: bool,
    /// That compute at the same time, at most.
    threads: usize,
    /// How values become the model's.
    scaling: Scaling,
    /// How it sees an image; of several outputs the mean is given.
    orientations: &'static [Orientation],
}

/// Tiles that are computed, or soon will be.
struct Computed {
    places: Vec<Place>,
    output: Pending,
}

/// Of at most so many tiles as many as give each thread the same number, so that none waits for another.
fn whole_rounds(most: usize, threads: usize) -> usize {
    if most > threads { most - most % threads } else { most }
}

/// An image that is ready to be computed.
struct Sheet {
    image: ImageFile,
    /// Of the image as it is seen.
    sides: [Rc<Side>; 2],
    /// How image and result are seen.
    seen: [Walk; 2],
    /// Each goes through the model by itself.
    planes: Vec<Option<usize>>,
    result: ImageFile,
    /// From its values to the model's.
    scale: Affine,
    /// Of the outputs so far, where there are several.
    mean: Option<Vec<f32>>,
}

/// Places in the sheets: which sheet, row of tiles, column of tiles, and plane.
type Place = (usize, usize, usize, Option<usize>);

impl<'a> TiledPredictor<'a> {
    /// The model that `engines` computes, on whole images or tiles as `fit` says.
    ///
    /// # Errors
    /// When it takes or gives no images that a file could hold.
    pub fn new(
        plan: &Plan,
        fit: Fit<'a>,
        engines: Engines,
        per_channel: bool,
    ) -> Result<Self, UsageError> {
        let channels = [plan.input_shape[2], plan.output_shape()[2]];
        for (channels, verb) in channels.into_iter().zip(["takes", "gives"]) {
            if !matches!(channels, 1 | 3) {
                return Err(UsageError(format!(
                    "the model {verb} images of {channels} channels, and image files have 1 (grey) or 3 \
                     (RGB); `convae export` takes it to where such arrays are"
                )));
            }
        }
        let per_channel = per_channel && channels == [1, 1];
        let scaling = Scaling::of_trained(&plan.config.data)?;
        let threads = plan.config.train.threads.unwrap_or_else(cores);
        let orientations = UPRIGHT;
        Ok(Self { fit, engines, channels, per_channel, threads, scaling, orientations })
    }

    /// The same with the mean of its outputs on an image that lies in each of these ways, turned back.
    #[must_use]
    pub fn averaged_over(self, orientations: &'static [Orientation]) -> Self {
        Self { orientations, ..self }
    }

    /// Takes over all weights of a model of the same plan.
    pub fn set_weights(&mut self, weights: &Parameters) {
        self.engines.set_weights(weights);
    }

    /// How many times as many values results have as their images, at most.
    #[must_use]
    pub fn growth(&self) -> u64 {
        let [seen, given] = self.channels;
        (self.fit.growth() * given.div_ceil(seen)) as u64
    }

    /// Whether a grey model makes a grey image of this coloured one.
    #[must_use]
    pub fn loses_colour(&self, image: &ImageFile) -> bool {
        self.channels == [1, 1] && !self.per_channel && image.is_coloured()
    }

    /// The model's outputs for some images, in their order and depth.
    ///
    /// Each comes back with the image as the model saw it, grey or coloured, or as a sentence that says
    /// why it cannot be computed.
    pub fn outputs(
        &mut self,
        images: Vec<ImageFile>,
    ) -> Vec<Result<(ImageFile, ImageFile), String>> {
        let mut sheets: Vec<_> = images.into_iter().map(|image| self.sheet(image)).collect();
        for &orientation in self.orientations {
            for sheet in &mut sheets {
                let turned = sheet.as_mut().map(|sheet| sheet.turn(orientation, &self.fit));
                if let Ok(Err(sentence)) = turned {
                    *sheet = Err(sentence);
                }
            }
            self.compute_all(&mut sheets);
        }
        sheets.into_iter().map(|sheet| sheet.map(Sheet::done)).collect()
    }

    /// All tiles of the sheets as they are seen. A GPU computes some while those before are written.
    fn compute_all(&mut self, sheets: &mut [Result<Sheet, String>]) {
        let mut before: Option<Computed> = None;
        for (size, places) in places(sheets) {
            let values = size[0] * size[1] * self.channels[0];
            let batch = whole_rounds((BATCH_VALUES / values).clamp(1, BATCH_TILES), self.threads);
            for places in places.chunks(batch) {
                let next = self.compute(size, places, sheets);
                if let Some(computed) = std::mem::replace(&mut before, next) {
                    self.write(computed, sheets);
                }
            }
        }
        if let Some(computed) = before {
            self.write(computed, sheets);
        }
    }

    /// Begins to compute some tiles.
    fn compute(
        &mut self,
        size: [usize; 2],
        places: &[Place],
        sheets: &mut [Result<Sheet, String>],
    ) -> Option<Computed> {
        let mut begin = match self.engines.of(size) {
            Ok(begin) => begin,
            Err(error) => {
                refuse(places, sheets, &error.to_string());
                return None;
            }
        };
        let values = size[0] * size[1] * self.channels[0];
        let places: Vec<Place> =
            places.iter().copied().filter(|place| sheets[place.0].is_ok()).collect();
        let mut input = Vec::with_capacity(places.len() * values);
        for &place in &places {
            let Ok(sheet) = &sheets[place.0] else { continue };
            let start = input.len();
            tile(&sheet.sides, place).read(&sheet.image, sheet.seen[0], &mut input);
            sheet.scale.apply(&mut input[start..]);
        }
        let output = (!places.is_empty()).then(|| begin(&input))?;
        Some(Computed { places, output })
    }

    /// Waits for tiles, and writes them into their sheets.
    fn write(&self, Computed { places, output }: Computed, sheets: &mut [Result<Sheet, String>]) {
        let output = output.values();
        // Tiles that are as large as one another give as much.
        let values = output.len() / places.len();
        let share = self.orientations.len() as f32;
        for (place, output) in places.into_iter().zip(output.chunks_exact(values)) {
            let Ok(sheet) = &mut sheets[place.0] else { continue };
            let Sheet { sides, seen, result, scale, mean, .. } = sheet;
            let tile = tile(sides, place);
            match mean {
                None => tile.write(output, result.shape[2], seen[1], |place, value| {
                    result.samples.set_scaled(place, scale.undone(value));
                }),
                Some(mean) => tile.write(output, result.shape[2], seen[1], |place, value| {
                    mean[place] += value / share;
                }),
            }
        }
    }

    /// Brings an image to the model's channels.
    fn sheet(&self, image: ImageFile) -> Result<Sheet, String> {
        let [height, width, present] = image.shape;
        let sides = self.fit.sides([height, width])?;
        if self.orientations.len() > 1 {
            self.fit.check_flips([height, width])?;
        }
        let [seen, given] = self.channels;
        let (image, planes) = match (seen, present) {
            (1, 3) if self.per_channel && image.is_coloured() => {
                (image, (0..3).map(Some).collect())
            }
            _ => (image.with_channels(seen), vec![None]),
        };
        let scale = self.scaling.of_image(&image.samples).map_err(|problem| problem.to_string())?;
        let channels = if planes.len() > 1 { planes.len() } else { given };
        let result = image.blank_of([sides[0].result, sides[1].result, channels]);
        let seen = [&image, &result].map(|image| walk(image, Orientation::NoTransforms));
        let mean = (self.orientations.len() > 1).then(|| vec![0.0; result.samples.len()]);
        Ok(Sheet { image, sides, seen, planes, result, scale, mean })
    }
}

/// Over an image that is seen so.
fn walk(image: &ImageFile, orientation: Orientation) -> Walk {
    Walk::new(orientation, [image.shape[0], image.shape[1]])
}

impl Sheet {
    /// Lets the image be seen turned.
    fn turn(&mut self, orientation: Orientation, fit: &Fit<'_>) -> Result<(), String> {
        self.seen = [&self.image, &self.result].map(|image| walk(image, orientation));
        self.sides = fit.sides(self.seen[0].size)?;
        Ok(())
    }

    /// The image and its result.
    fn done(mut self) -> (ImageFile, ImageFile) {
        for (place, value) in self.mean.unwrap_or_default().into_iter().enumerate() {
            self.result.samples.set_scaled(place, self.scale.undone(value));
        }
        (self.image, self.result)
    }
}

/// Of a size that the model cannot be laid out for.
fn refuse(places: &[Place], sheets: &mut [Result<Sheet, String>], sentence: &str) {
    for &(index, ..) in places {
        sheets[index] = Err(sentence.to_owned());
    }
}

fn tile(sides: &[Rc<Side>; 2], (_, row, column, plane): Place) -> Tile<'_> {
    let [rows, columns] = sides;
    Tile { rows: (rows, &rows.parts[row]), columns: (columns, &columns.parts[column]), plane }
}

/// All tiles by their size.
fn places(sheets: &[Result<Sheet, String>]) -> BTreeMap<[usize; 2], Vec<Place>> {
    let mut places: BTreeMap<_, Vec<Place>> = BTreeMap::new();
    for (index, sheet) in sheets.iter().enumerate() {
        let Ok(Sheet { sides: [rows, columns], planes, .. }) = sheet else { continue };
        let of_size = places.entry([rows.tile, columns.tile]).or_default();
        for row in 0..rows.parts.len() {
            for column in 0..columns.parts.len() {
                of_size.extend(planes.iter().map(|&plane| (index, row, column, plane)));
            }
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_tiles_gives_each_thread_as_many() {
        for (most, threads, batch) in [(7, 2, 6), (7, 7, 7), (7, 4, 4), (3, 16, 3), (128, 3, 126)] {
            assert_eq!(whole_rounds(most, threads), batch, "{most} tiles, {threads} threads");
        }
    }
}

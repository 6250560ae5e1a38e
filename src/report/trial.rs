//! Keeps the page of a training on noisy images fresh while it goes on: parts of the user's images, what the
//! model makes of them by now, and whether what it takes away looks like noise.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tch::Device;

use super::Raster;
use super::html::{TrialReport, TrialSample};
use crate::data::survey::{Noise, Plane, Structure, Survey, windows};
use crate::formats::image_file::ImageFile;
use crate::infer::apply::{Engines, Fit, TiledPredictor};
use crate::nn::Parameters;
use crate::plan::Plan;
use crate::run::folder::RunFolder;
use crate::system::exit::UsageError;
use crate::system::output_folder;
use crate::system::terminal::complain;
use crate::train::{EpochRecord, Observer, StepDone};

/// Images shown, and the largest side of the part of each.
const SHOWN: usize = 3;
const SIDE: usize = 480;
/// The page is drawn for the first time so soon, then after each epoch, at least so often, and never so often
/// that drawing takes more than this share of the time.
const FIRST: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_secs(60);
const SHARE: u32 = 25;
/// Deviations of the noise that fill half the range of what is shown as removed.
const SHOWN_DEVIATIONS: f32 = 3.0;
/// A removed part that is this much stronger along the image's outlines than in its flat parts shows them. Of noise
/// alone the ratio is 0.97 to 1.03; a blur that everybody sees (1.5 pixels at noise 10 of 255) makes it 2.0 to 2.5,
/// one at the limit of what is seen (at noise 25) 1.3 to 1.7 (five photographs of BSD68).
const OUTLINES: f64 = 1.25;
/// Neighbours in a removed part that hang together by so much more than the noise's own.
const PATCHES: f64 = 0.12;

/// The page of a training, and what it is made of.
#[derive(Debug)]
pub struct TrialPage {
    path: PathBuf,
    report: TrialReport,
    parts: Vec<(String, ImageFile)>,
    predictor: TiledPredictor<'static>,
    /// The range that is shown, black to white.
    range: [f64; 2],
    white: f64,
    noise: Noise,
    epochs: usize,
    begun: Instant,
    drawn: Instant,
    /// How long the last drawing took; none where there was none.
    took: Option<Duration>,
    epoch_ended: bool,
    failed: bool,
}

/// What stands on the page from the beginning to the end.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialWords {
    /// What is done, and why.
    pub lead: String,
    /// What was found.
    pub findings: Vec<(&'static str, String)>,
    /// The config that was chosen.
    pub config: String,
    /// What to do next.
    pub next: Vec<(String, String)>,
}

impl TrialPage {
    /// A page in the run's folder; nothing is written yet.
    ///
    /// # Errors
    /// When the model cannot be applied to images.
    pub fn new(
        folder: &RunFolder,
        plan: &Plan,
        device: Device,
        survey: &Survey,
        noise: &Noise,
        words: TrialWords,
    ) -> Result<Self, UsageError> {
        let fit = Fit::new(plan, None)?.into_owned();
        let engines = Engines::without_values(plan, device)?;
        let now = Instant::now();
        let values = &survey.values;
        Ok(Self {
            path: folder.dir().join("try.html"),
            report: TrialReport {
                name: plan.config.name.clone(),
                lead: words.lead,
                status: String::new(),
                goes_on: true,
                findings: words.findings,
                samples: Vec::new(),
                next: words.next,
                config: words.config,
            },
            parts: windows(survey, SHOWN, SIDE),
            predictor: TiledPredictor::new(plan, fit, engines, false)?,
            range: if values.fill_the_unit() { [0.0, 1.0] } else { values.range },
            white: values.white,
            noise: noise.clone(),
            epochs: plan.config.train.epochs,
            begun: now,
            drawn: now,
            took: None,
            epoch_ended: false,
            failed: false,
        })
    }

    /// Where the page is.
    #[must_use]
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Draws the page of a training that has ended, with a sentence on how.
    pub fn end(&mut self, weights: &Parameters, how: &str) {
        let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
        self.report.goes_on = false;
        self.draw(weights, format!("{how} Training took {minutes:.1} minutes."));
    }

    fn is_due(&self) -> bool {
        let waited = self.drawn.elapsed();
        match self.took {
            None => waited >= FIRST,
            Some(took) => waited >= took * SHARE && (self.epoch_ended || waited >= OFTEN),
        }
    }

    fn draw(&mut self, weights: &Parameters, status: String) {
        let started = Instant::now();
        self.predictor.set_weights(weights);
        let images = self.parts.iter().map(|(_, image)| image.clone()).collect();
        let outputs = self.predictor.outputs(images);
        let names = self.parts.iter().map(|(name, _)| name.clone());
        let samples = names.zip(outputs).filter_map(|(name, output)| {
            let (before, after) = output.ok()?;
            Some(self.sample(name, &before, &after))
        });
        self.report.samples = samples.collect();
        self.report.status = status;
        let html = self.report.to_html();
        let written = output_folder::write(&self.path, &html);
        if let (Err(error), false) = (written, self.failed) {
            complain(format_args!("{error:#}; training goes on"));
            self.failed = true;
        }
        (self.drawn, self.epoch_ended) = (Instant::now(), false);
        self.took = Some(started.elapsed());
    }

    fn sample(&self, name: String, before: &ImageFile, after: &ImageFile) -> TrialSample {
        let [height, width, channels] = before.shape;
        let [low, high] = self.range.map(|end| end as f32);
        let [seen, given] = [before.scaled(), after.scaled()];
        let amplified = (0.5 / (SHOWN_DEVIATIONS * self.noise.deviation as f32)).max(1.0);
        let raster = |values: Vec<f32>| Raster::new(height, width, channels, values);
        let shown = |values: &[f32]| values.iter().map(|v| (v - low) / (high - low)).collect();
        let difference =
            seen.iter().zip(&given).map(|(seen, given)| 0.5 + amplified * (seen - given));
        let of = |values: &[f32]| plane(values, before.shape);
        let (seen_plane, given_plane) = (of(&seen), of(&given));
        let verdict = Verdict::of(&seen_plane, &given_plane);
        TrialSample {
            name,
            removed: raster(difference.collect()).expect("as many as before"),
            before: raster(shown(&seen)).expect("a file's image"),
            after: raster(shown(&given)).expect("as large as the image"),
            amplified,
            figures: self.figures(&seen_plane, &given_plane, &verdict),
            warning: verdict.warning(&self.noise),
        }
    }

    fn figures(
        &self,
        seen: &Plane,
        given: &Plane,
        verdict: &Verdict,
    ) -> Vec<(&'static str, String)> {
        let noise = |plane: &Plane| {
            let deviation = self.noise.deviation_in(plane);
            deviation.map_or("cannot be told".to_owned(), |d| format!("{:.2}", d * self.white))
        };
        let &Verdict { deviation, outlines, neighbours } = verdict;
        vec![
            ("noise before", noise(seen)),
            ("noise after", noise(given)),
            ("removed", format!("{:.2} (standard deviation)", deviation * self.white)),
            (
                "outlines",
                format!("{outlines:.2} times as strong as flat parts in what was removed"),
            ),
            ("neighbours", format!("correlation {neighbours:.2} in what was removed")),
        ]
    }
}

impl Observer for TrialPage {
    fn step_done(&mut self, done: &StepDone<'_>) {
        if self.is_due() {
            let StepDone { epoch, step, steps, .. } = done;
            let minutes = self.begun.elapsed().as_secs_f64() / 60.0;
            let status = format!(
                "Training: epoch {epoch} of {}, step {step} of {steps}, {minutes:.1} minutes so far. The \
                 page is rewritten as it goes on.",
                self.epochs
            );
            self.draw(done.trainer.predictor.parameters(), status);
        }
    }

    fn epoch_done(&mut self, _record: &EpochRecord) {
        self.epoch_ended = true;
    }
}

/// The mean of the channels.
fn plane(values: &[f32], [height, width, channels]: [usize; 3]) -> Plane {
    let mean = |pixel: &[f32]| pixel.iter().sum::<f32>() / channels as f32;
    Plane { height, width, values: values.chunks_exact(channels).map(mean).collect() }
}

/// Whether what was removed looks like noise.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Verdict {
    /// Standard deviation of what was removed.
    deviation: f64,
    /// Its deviation along the outlines of the result, where that in flat parts of the same brightness is 1.
    outlines: f64,
    /// Its autocorrelation, mean of the neighbours in rows and in columns.
    neighbours: f64,
}

impl Verdict {
    fn of(before: &Plane, after: &Plane) -> Self {
        let difference = before.values.iter().zip(&after.values).map(|(a, b)| f64::from(a - b));
        let mut removed: Vec<f64> = difference.collect();
        let mean = removed.iter().sum::<f64>() / removed.len() as f64;
        for value in &mut removed {
            *value -= mean;
        }
        let variance =
            removed.iter().map(|value| value * value).sum::<f64>() / removed.len() as f64;
        let deviation = variance.sqrt();
        let neighbours = neighbours(&removed, after) / variance.max(f64::MIN_POSITIVE);
        Self { deviation, outlines: outlines(&removed, after), neighbours }
    }

    fn warning(&self, noise: &Noise) -> Option<String> {
        let &Self { outlines, neighbours, .. } = self;
        if outlines > OUTLINES {
            return Some(format!(
                "What was removed is {outlines:.2} times as strong along outlines as in flat parts: it \
                 takes some of the image away with the noise (above {OUTLINES} it can be seen). A longer \
                 training helps."
            ));
        }
        let own = f64::midpoint(noise.neighbours[0], noise.neighbours[1]);
        let independent = noise.structure == Structure::Independent;
        (independent && neighbours > own + PATCHES).then(|| {
            format!(
                "Neighbouring pixels of what was removed hang together (correlation {neighbours:.2}, the \
                 noise's own {own:.2}): it takes shades of the image away with the noise. A longer training \
                 helps."
            )
        })
    }
}

/// Mean product of neighbours.
fn neighbours(removed: &[f64], shape: &Plane) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for y in 1..shape.height {
        for place in y * shape.width + 1..(y + 1) * shape.width {
            sum += removed[place] * (removed[place - 1] + removed[place - shape.width]);
            count += 2;
        }
    }
    sum / f64::from(count.max(1))
}

/// How much stronger what was removed is along the outlines of the result: the tenth of the pixels where it is
/// steepest, against the half where it is flattest. Compared within shades of one brightness, since noise may grow
/// with it.
fn outlines(removed: &[f64], after: &Plane) -> f64 {
    const SHADES: usize = 6;
    let smooth = smoothed(after);
    let slopes = slopes(&smooth);
    let mut order: Vec<usize> = (0..removed.len()).collect();
    order.sort_by(|&a, &b| smooth.values[a].total_cmp(&smooth.values[b]));
    let energy = |places: &[usize]| {
        places.iter().map(|&place| removed[place].powi(2)).sum::<f64>() / places.len().max(1) as f64
    };
    let (mut steep, mut flat) = (0.0, 0.0);
    for shade in order.chunks_mut(removed.len().div_ceil(SHADES).max(1)) {
        shade.sort_by(|&a, &b| slopes[a].total_cmp(&slopes[b]));
        let count = shade.len();
        steep += energy(&shade[count - count / 10..]);
        flat += energy(&shade[..count / 2]);
    }
    (steep / flat.max(f64::MIN_POSITIVE)).sqrt()
}

/// Twice the mean with the neighbours, 1 2 1, along both sides; the border stays.
fn smoothed(plane: &Plane) -> Plane {
    let along = |plane: &Plane| {
        let mut values = plane.values.clone();
        for y in 0..plane.height {
            let row = plane.row(y);
            for x in 1..plane.width.saturating_sub(1) {
                values[y * plane.width + x] = (row[x - 1] + 2.0 * row[x] + row[x + 1]) / 4.0;
            }
        }
        Plane { values, ..*plane }
    };
    let twice = |plane: &Plane| along(&along(plane)).transposed();
    twice(&twice(plane))
}

/// How steep a plane is at each pixel; 0 at the border.
fn slopes(plane: &Plane) -> Vec<f32> {
    let &Plane { height, width, ref values } = plane;
    let mut slopes = vec![0.0; values.len()];
    for y in 1..height.saturating_sub(1) {
        for place in y * width + 1..(y + 1) * width - 1 {
            let right = values[place + 1] - values[place - 1];
            let down = values[place + width] - values[place - width];
            slopes[place] = right.hypot(down);
        }
    }
    slopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::survey::testing::{scene, white};

    fn noisy(clean: &Plane, sigma: f32) -> Plane {
        let noise = white(1, clean, sigma);
        let values = clean.values.iter().zip(noise).map(|(value, noise)| value + noise).collect();
        Plane { values, ..*clean }
    }

    #[test]
    fn of_noise_that_was_removed_nothing_is_said() {
        let clean = scene(1);
        for sigma in [10.0, 40.0] {
            let before = noisy(&clean, sigma);
            let verdict = Verdict::of(&before, &clean);
            assert!((verdict.deviation / f64::from(sigma) - 1.0).abs() < 0.03, "{verdict:?}");
            assert!((verdict.outlines - 1.0).abs() < 0.1 && verdict.neighbours.abs() < 0.03);
            let noise = Noise::of(&[before]).unwrap();
            assert_eq!(verdict.warning(&noise), None);
        }
    }

    #[test]
    fn a_blur_is_seen_by_the_outlines_that_it_takes_away() {
        let before = noisy(&scene(1), 10.0);
        let verdict = Verdict::of(&before, &smoothed(&smoothed(&before)));
        assert!(verdict.outlines > OUTLINES, "{verdict:?}");
        let noise = Noise::of(&[before]).unwrap();
        assert!(verdict.warning(&noise).unwrap().contains("outlines"));
    }

    #[test]
    fn shades_that_are_taken_away_hang_together() {
        let before = noisy(&scene(1), 10.0);
        let mut after = scene(1);
        for (place, value) in after.values.iter_mut().enumerate() {
            *value += 6.0 * ((place % 200) as f32 / 30.0).sin();
        }
        let verdict = Verdict::of(&before, &after);
        let noise = Noise::of(&[before]).unwrap();
        assert!(verdict.warning(&noise).unwrap().contains("hang together"), "{verdict:?}");
    }
}

//! Which method, model, patches and length of training fit a folder and the time that there is.

use crate::data::survey::{Noise, Structure, Survey};
use crate::system::exit::UsageError;

/// Side of a patch, in pixels, where the images have room for it, and the smallest that a model learns from.
const PATCH: usize = 64;
const SMALLEST_PATCH: usize = 16;
/// Layers before the last one, and their filters: `dncnn-small.toml`.
const LAYERS: usize = 7;
const FILTERS: usize = 32;
/// Epochs that the time is divided into: after each the page is drawn anew.
const EPOCHS: u64 = 20;
/// Fewest steps of an epoch, so that what comes between two epochs takes a small part of the time.
const FEWEST_STEPS: u64 = 20;
/// Images that are held out, at most, and their share.
const MOST_HELD_OUT: usize = 8;
const HELD_OUT: f64 = 0.1;
/// Share of the pixels that are masked where single ones are hidden: the config's default.
const MOST_MASKED: f64 = 0.02;
/// A step of validation takes so much of a training step.
const VALIDATION: f64 = 1.0 / 3.0;

/// How a model learns from noisy images alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    /// With these sides of what is hidden around a pixel; -1 is all of its row or column.
    Noise2Void([i64; 2]),
    Neighbor2Neighbor,
}

/// A training for a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    method: Method,
    /// Why that method.
    reason: String,
    name: String,
    folder: String,
    channels: usize,
    /// Images that are learned from, and those held out; of a single one both are parts of it.
    images: [usize; 2],
    /// What `data.test_fraction` makes these of all.
    test_fraction: f64,
    patch: usize,
    per_image: u64,
    epochs: u64,
    /// Whether much of the noise is cut off.
    is_clipped: bool,
    /// Its deviation before it was cut off, where [`cut_off`] can tell.
    cut_off: Option<f64>,
    /// Whether values have to be brought to 0..1.
    is_stretched: bool,
    /// Whether quarter turns leave the noise what it is.
    turns: bool,
}

impl Choice {
    /// Patches in a step.
    pub const BATCH: usize = 16;

    /// Refuses images that are too small.
    ///
    /// # Errors
    /// When they have no room for a patch.
    pub fn check(survey: &Survey) -> Result<(), UsageError> {
        patch(survey).map(drop)
    }

    /// What fits the images, for a run of that name; how long is still open.
    ///
    /// # Errors
    /// When nothing can be learned from them.
    pub fn of(survey: &Survey, noise: &Noise, name: &str) -> Result<Self, UsageError> {
        let folder = survey.folder.to_str().ok_or_else(|| {
            let shown = survey.folder.display();
            UsageError(format!("{shown} has a name that is no UTF-8; rename the folder"))
        })?;
        let (method, reason) = method(survey, noise);
        let turns = match noise.structure {
            Structure::Independent => true,
            Structure::Block([height, width]) => height == width,
            Structure::Rows | Structure::Columns => false,
        };
        let patch = patch(survey)?;
        let (images, test_fraction) = divided(survey, patch);
        Ok(Self {
            method,
            reason,
            name: name.to_owned(),
            folder: folder.to_owned(),
            channels: if survey.is_coloured { 3 } else { 1 },
            images,
            test_fraction,
            patch,
            per_image: 1,
            epochs: 1,
            is_clipped: noise.is_clipped,
            cut_off: cut_off(survey, noise),
            is_stretched: !survey.values.fill_the_unit(),
            turns,
        })
    }

    /// Images held out of which one at least can be used.
    #[must_use]
    pub fn held_out(&self) -> usize {
        self.images[1]
    }

    /// As long as the time allows, where a step takes so many seconds.
    #[must_use]
    pub fn lasting(mut self, seconds: f64, step: f64) -> Self {
        let [learned, held_out] = self.images.map(|count| count as f64);
        let whole = step * (1.0 + VALIDATION * held_out / learned);
        let all = ((seconds / whole) as u64).max(1);
        let in_epoch = (all / EPOCHS).max(FEWEST_STEPS).min(all);
        self.per_image = (in_epoch * Self::BATCH as u64).div_ceil(self.images[0] as u64);
        self.epochs = (all / self.steps()).max(1);
        self
    }

    /// Steps of an epoch.
    fn steps(&self) -> u64 {
        (self.per_image * self.images[0] as u64).div_ceil(Self::BATCH as u64)
    }

    /// What will be done, and why, in two sentences.
    #[must_use]
    pub fn sentence(&self) -> String {
        let method = self.method.words();
        let Self { reason, patch, epochs, .. } = self;
        let steps = self.steps() * epochs;
        let [depth, wide, batch] = [LAYERS + 1, FILTERS, Self::BATCH];
        format!(
            "It learns by {method}, because {reason}. A network of {depth} layers of {wide} filters sees \
             {steps} batches of {batch} patches of {patch}x{patch} pixels."
        )
    }

    /// The choice as a config, with its reasons.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let lines = [
            "# Written by `convae try`; `convae --config` with this file trains the same again."
                .to_owned(),
            format!("name = \"{}\"", self.name),
            String::new(),
        ];
        let all = [lines.to_vec(), self.data(), self.model(), self.train()].concat();
        all.into_iter().map(|line| line + "\n").collect()
    }

    fn data(&self) -> Vec<String> {
        let Self { folder, test_fraction, patch, per_image, .. } = self;
        let folder = toml::Value::String(folder.clone());
        let rotations = if self.turns { ", rotations = true" } else { "" };
        let mut lines = vec![
            "[data]".to_owned(),
            "kind = \"images\"".to_owned(),
            format!("train = {folder}"),
            format!("test_fraction = {test_fraction:.6}  # held out, for val_loss"),
            "on_error = \"skip\"  # what cannot be read is named and left out".to_owned(),
            format!(
                "patches = {{ on = \"random\", size = {patch}, per_image = {per_image}, \
                 flips = true{rotations} }}"
            ),
        ];
        if self.is_stretched {
            let scale =
                "scale = { kind = \"percentile\" }  # values lie beyond 0..1, or use a small part";
            lines.push(scale.to_owned());
        }
        lines.push(String::new());
        lines
    }

    fn model(&self) -> Vec<String> {
        let channels = self.channels;
        let hidden = format!(
            "  {{ layer = \"Conv2D\", filters = {FILTERS}, kernel_size = 3, padding = \"same\", \
             activation = \"relu\", kernel_initializer = \"he_normal\" }},"
        );
        // Starting near 0, a short training comes further: 0.2 dB in 4,000 steps.
        let last = |name: &str| {
            format!(
                "  {{ layer = \"Conv2D\",{name} filters = {channels}, kernel_size = 3, padding = \"same\", \
                 kernel_initializer = {{ name = \"RandomNormal\", stddev = 0.01 }} }},"
            )
        };
        let mut lines = vec![
            "[model]".to_owned(),
            format!("input_shape = [-1, -1, {channels}]  # `apply` takes images of any size"),
            "layers = [".to_owned(),
        ];
        lines.extend(vec![hidden; LAYERS]);
        match self.method {
            Method::Neighbor2Neighbor => {
                lines.push(last(" name = \"noise\","));
                lines.push(
                    "  { layer = \"Subtract\", inputs = [\"input\", \"noise\"] },".to_owned(),
                );
            }
            // With the input at hand it would only have to let the noise through.
            Method::Noise2Void(_) => lines.push(last("")),
        }
        lines.extend(["]".to_owned(), String::new()]);
        lines
    }

    fn train(&self) -> Vec<String> {
        let Self { reason, epochs, .. } = self;
        let (steps, batch) = (self.steps() * epochs, Self::BATCH);
        let loss = match self.cut_off {
            None if self.is_clipped => {
                "\"mean_absolute_error\"  # gives the median, which cutting off leaves alone"
                    .to_owned()
            }
            Some(stddev) => format!(
                "{{ loss = \"clipped_gaussian\", stddev = {stddev:.4} }}  # gives back what cutting off took from the mean"
            ),
            None => "\"mean_squared_error\"".to_owned(),
        };
        vec![
            "[train]".to_owned(),
            format!("method = {}  # {reason}", self.method.to_toml()),
            format!("epochs = {epochs}  # as many as the time allowed"),
            format!("batch_size = {batch}"),
            format!("loss = {loss}"),
            "optimizer = { name = \"Adam\", learning_rate = 0.001 }".to_owned(),
            format!(
                "learning_rate_schedule = {{ name = \"CosineDecay\", decay_steps = {steps} }}  # to 0 at the end"
            ),
        ]
    }
}

impl Method {
    fn to_toml(self) -> String {
        match self {
            Self::Noise2Void([height, width]) => {
                // Pixels beside what is hidden are what it is replaced by.
                let window = height.max(width) + 2;
                // Blocks hide a quarter of an image at most.
                let block = height.max(1) * width.max(1);
                let masked = (1.0 / (4.0 * block as f64)).min(MOST_MASKED);
                format!(
                    "{{ name = \"noise2void\", replacement = \"median\", window = {window}, \
                     masked = {masked:.4}, hidden = [{height}, {width}] }}"
                )
            }
            Self::Neighbor2Neighbor => "{ name = \"neighbor2neighbor\" }".to_owned(),
        }
    }

    /// In a few words.
    fn words(self) -> &'static str {
        match self {
            Self::Noise2Void([1, 1]) => "Noise2Void (a pixel is guessed from those around it)",
            Self::Noise2Void([1, -1]) => {
                "Noise2Void with a hidden row (a pixel is guessed from other rows)"
            }
            Self::Noise2Void([-1, 1]) => {
                "Noise2Void with a hidden column (a pixel is guessed from other columns)"
            }
            Self::Noise2Void(_) => {
                "Noise2Void with a hidden block (a pixel is guessed from beyond its neighbours)"
            }
            Self::Neighbor2Neighbor => "Neighbor2Neighbor (a pixel is guessed by its neighbour)",
        }
    }
}

/// Images to learn from and those held out, and the share that these are; images that cannot be read, or have no
/// room for a patch, may be among them.
fn divided(survey: &Survey, patch: usize) -> ([usize; 2], f64) {
    let all = survey.images + survey.damaged.len();
    if all == 1 {
        return ([1, 1], HELD_OUT);
    }
    let wanted =
        ((all as f64 * HELD_OUT) as usize).clamp(1, MOST_HELD_OUT) + unusable(survey, patch);
    let test = wanted.min(all - 1);
    // Half an image away from where it would be rounded.
    ([all - test, test], (test as f64 - 0.5) / all as f64)
}

/// Images that cannot be read, and those without room for a patch.
fn unusable(survey: &Survey, patch: usize) -> usize {
    survey.damaged.len() + survey.sides.iter().filter(|&&side| side < patch).count()
}

/// The largest side of patches for which the images have room.
fn patch(survey: &Survey) -> Result<usize, UsageError> {
    let [height, width] = survey.largest;
    let fits = |side: usize| side / 4 * 4;
    let room = match survey.sides.iter().find(|&&side| side >= SMALLEST_PATCH) {
        // Patches are learned from in one part, and held out in the other.
        Some(&side) if survey.images == 1 => fits(side.min(height.max(width) / 2)),
        Some(&side) => fits(side),
        None => 0,
    };
    if room < SMALLEST_PATCH {
        let twice =
            if survey.images == 1 { ", of which a single image has to hold two" } else { "" };
        return Err(UsageError(format!(
            "the largest image in {} is {width}x{height} pixels, and a model learns from patches of \
             {SMALLEST_PATCH}x{SMALLEST_PATCH}{twice}; \
             give larger images",
            survey.folder.display()
        )));
    }
    Ok(room.min(PATCH))
}

/// The deviation of noise that is cut off at 0 and at 1, is as strong everywhere, and is measured by itself: what the
/// loss that undoes it has to know. The measure of noise that hangs together is not corrected for what is cut off.
fn cut_off(survey: &Survey, noise: &Noise) -> Option<f64> {
    let [low, high] = survey.values.ends;
    let known = noise.growth.is_none() && noise.structure == Structure::Independent;
    (noise.is_clipped && known && low <= 0.0 && high >= 1.0).then_some(noise.deviation)
}

fn method(survey: &Survey, noise: &Noise) -> (Method, String) {
    let [along, down] = noise.neighbours;
    let hidden = |sides: [i64; 2], reason: String| (Method::Noise2Void(sides), reason);
    match noise.structure {
        Structure::Rows => hidden([1, -1], "the noise of a row hangs together".to_owned()),
        Structure::Columns => hidden([-1, 1], "the noise of a column hangs together".to_owned()),
        Structure::Block(sides) => hidden(
            sides.map(|side| side as i64),
            format!(
                "the noise of neighbours is not independent (correlation {:.2})",
                along.max(down)
            ),
        ),
        Structure::Independent if noise.is_clipped => hidden(
            [1, 1],
            "the noise is independent from pixel to pixel, and cut off at black or white"
                .to_owned(),
        ),
        Structure::Independent if survey.images == 1 => hidden(
            [1, 1],
            "the noise is independent from pixel to pixel, and there is one image".to_owned(),
        ),
        Structure::Independent => {
            (Method::Neighbor2Neighbor, "the noise is independent from pixel to pixel".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::data::survey::Growth;
    use crate::data::survey::testing::{offsets, scene, white};
    use crate::formats::image_file::{ImageFile, Samples};
    use crate::plan::Plan;

    /// A folder of scenes with this noise, of 8 bits.
    fn survey(count: u64, noise: impl Fn(u64) -> Vec<f32>) -> Survey {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..count {
            let scene = scene(index);
            let values = scene.values.iter().zip(noise(index)).map(|(value, noise)| value + noise);
            let samples = Samples::Eight(values.map(|value| value.round() as u8).collect());
            let image = ImageFile::new([scene.height, scene.width, 1], samples).unwrap();
            image.save(folder.path().join(format!("{index}.png"))).unwrap();
        }
        Survey::of(folder.path()).unwrap()
    }

    fn chosen(survey: &Survey) -> Choice {
        Choice::of(survey, survey.noise.as_ref().unwrap(), "scans").unwrap()
    }

    fn independent(count: u64) -> Survey {
        survey(count, |index| white(index, &scene(index), 12.0))
    }

    #[test]
    fn the_method_follows_the_noise_and_the_number_of_images() {
        let method = |survey: &Survey| chosen(survey).method;
        assert_eq!(method(&independent(3)), Method::Neighbor2Neighbor);
        assert_eq!(method(&independent(1)), Method::Noise2Void([1, 1]));
        let rows = survey(3, |index| offsets(index, &scene(index), 12.0));
        assert_eq!(method(&rows), Method::Noise2Void([1, -1]));
        assert!(
            !chosen(&rows).to_toml().contains("rotations"),
            "a quarter turn makes columns of rows"
        );
    }

    #[test]
    fn a_choice_is_a_config_that_makes_sense() {
        for count in [1, 4] {
            let survey = independent(count);
            let choice = chosen(&survey).lasting(60.0, 0.1);
            let text = choice.to_toml();
            let source =
                Source::parse(&text, "scans.toml", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let plan = Plan::new(source).unwrap_or_else(|e| panic!("{e}\n{text}"));
            assert_eq!((plan.config.name.as_str(), plan.open), ("scans", [true, true]));
            assert_eq!(plan.config.train.epochs as u64, choice.epochs);
        }
    }

    #[test]
    fn what_is_cut_off_is_undone_where_it_is_known_and_else_the_median_is_learned() {
        let of = |change: &dyn Fn(&mut Survey, &mut Noise)| {
            let mut survey = independent(3);
            let mut noise = survey.noise.clone().unwrap();
            (noise.is_clipped, noise.deviation, survey.values.ends) = (true, 0.2, [0.0, 1.0]);
            change(&mut survey, &mut noise);
            let text = Choice::of(&survey, &noise, "scans").unwrap().to_toml();
            Plan::new(Source::parse(&text, "scans.toml", &[]).unwrap()).unwrap();
            text
        };
        let undone = "{ loss = \"clipped_gaussian\", stddev = 0.2000 }";
        assert!(of(&|_, _| ()).contains(undone));
        // Paper of 200 of 255 that is cut off there; noise that grows; streaks.
        for text in [
            of(&|survey, _| survey.values.ends = [0.0, 200.0 / 255.0]),
            of(&|_, noise| noise.growth = Some(Growth { dark: 0.1, bright: 0.3 })),
            of(&|_, noise| noise.structure = Structure::Block([3, 3])),
        ] {
            assert!(text.contains("loss = \"mean_absolute_error\""), "{text}");
        }
    }

    #[test]
    fn every_block_of_noise_makes_a_config_that_hides_no_whole_image() {
        let sides = [1, 3, 5, 7, 9, 11, 13];
        let blocks =
            sides.iter().flat_map(|&height| sides.iter().map(move |&width| [height, width]));
        let any = chosen(&independent(4)).lasting(60.0, 0.1);
        for block in blocks.chain([[1, -1], [-1, 1]]) {
            for patch in [SMALLEST_PATCH, 32, PATCH] {
                let mut choice = any.clone();
                (choice.method, choice.patch, choice.turns) =
                    (Method::Noise2Void(block), patch, false);
                let text = choice.to_toml();
                let plan = Plan::new(Source::parse(&text, "scans.toml", &[]).unwrap()).unwrap();
                plan.objective().unwrap_or_else(|e| panic!("{e}\n{text}"));
            }
        }
    }

    #[test]
    fn images_without_room_for_a_patch_are_held_out_beside_one_that_has_it() {
        let mut survey = independent(3);
        (survey.images, survey.sides) = (11, [vec![8], vec![96; 10]].concat());
        let ([_, test], _) = divided(&survey, PATCH);
        assert_eq!(test, 2);
    }

    #[test]
    fn the_training_fits_the_time() {
        for (count, seconds, step) in
            [(1, 600.0, 0.1), (3, 30.0, 0.1), (4, 5.0, 0.02), (3, 0.1, 1.0)]
        {
            let choice = chosen(&independent(count)).lasting(seconds, step);
            let [train, test] = choice.images.map(|images| images as u64 * choice.per_image);
            let whole = choice.steps() as f64 + test as f64 / Choice::BATCH as f64 * VALIDATION;
            let taken = choice.epochs as f64 * whole * step;
            let least = if seconds > 1.0 { 0.8 * seconds } else { 0.0 };
            assert!(taken > least && taken < 1.05 * seconds.max(step * 1.4), "{taken}: {choice:?}");
            assert!(choice.epochs <= EPOCHS + 1 && train >= 1);
        }
    }

    #[test]
    fn parts_of_a_set_are_whole_images() {
        let mut all = independent(2);
        for images in 2..200 {
            all.images = images;
            let ([train, test], fraction) = divided(&all, SMALLEST_PATCH);
            let at = (images as f64 * (1.0 - fraction)).floor() as usize;
            assert_eq!((at, images - at), (train, test));
        }
    }

    #[test]
    fn images_without_room_for_a_patch_are_refused() {
        let mut survey = independent(2);
        (survey.sides, survey.largest) = (vec![9, 12], [12, 15]);
        let refusal = patch(&survey).unwrap_err().to_string();
        assert!(
            refusal.contains("is 15x12 pixels") && refusal.contains("16x16; give"),
            "{refusal}"
        );
        (survey.images, survey.sides, survey.largest) = (1, vec![20], [20, 30]);
        assert!(patch(&survey).unwrap_err().to_string().contains("hold two"));
        (survey.sides, survey.largest) = (vec![20], [20, 50]);
        assert_eq!(patch(&survey).unwrap(), 20);
    }
}
